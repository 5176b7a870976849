"""Where credentials may be sent."""

from __future__ import annotations

from urllib.parse import SplitResult

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def is_in_the_clear(address: SplitResult) -> bool:
    """Tell whether what goes to an address can be read on its way: http to another machine."""
    return address.scheme == "http" and address.hostname not in LOOPBACK
