"""What verbs say on stderr: one line a message, whatever text of others it quotes."""

from __future__ import annotations

import contextlib
import sys

from beambench.printable import printable


def say(message: str) -> None:
    """Print one line to stderr; what cannot be said (a closed or full stderr) is dropped."""
    with contextlib.suppress(OSError, ValueError):
        print(f"beambench: {printable(' '.join(message.split()))}", file=sys.stderr)  # noqa: T201
