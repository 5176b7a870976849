"""JSON objects, one a line, out of a pipe that anyone may write anything to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

MAX_LINE = 64 * 1024  # bytes of a line; a longer one is dropped


class LineSplitter:
    """Cuts a stream of bytes into lines and drops whole lines longer than `limit` bytes."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._line = bytearray()
        self._dropping = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the lines that `data` completes, without their newline."""
        *complete, rest = data.split(b"\n")
        for piece in complete:
            self._add(piece)
            if not self._dropping:
                yield bytes(self._line)
            self._line.clear()
            self._dropping = False
        self._add(rest)

    def _add(self, piece: bytes) -> None:
        if len(self._line) + len(piece) > self._limit:
            self._dropping = True
            self._line.clear()
        elif not self._dropping:
            self._line += piece


def parse_object(line: bytes) -> dict[str, Any] | None:
    """The JSON object in `line`, or None: a worker's own code may write anything."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
