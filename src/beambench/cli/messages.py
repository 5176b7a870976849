"""What verbs say on stderr: one line a message, whatever text of others it quotes."""

from __future__ import annotations

import contextlib
import sys


def printable(text: str) -> str:
    """Escape what could steer a terminal, line breaks excepted, or could not be encoded."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape", "replace").decode()
        for c in text
    )


def say(message: str) -> None:
    """Print one line to stderr; what cannot be said (a closed or full stderr) is dropped."""
    with contextlib.suppress(OSError, ValueError):
        print(f"beambench: {printable(' '.join(message.split()))}", file=sys.stderr)  # noqa: T201
