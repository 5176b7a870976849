"""Why a server did not start, from what it said last."""

from __future__ import annotations

import logging
import re
from collections import deque

BEAM_MODULE = "vllm_inference"
MAX_LINES = 400
SAYS_WHY = re.compile(r"\b(?:\w*Error|\w*Exception|error): (?!.*See root cause above)")
DEVICE = re.compile(r"\bdevice_config=(\w+)")
PREFIX = re.compile(r"^\(\w+ pid=\d+\)\s*")
"""Which of its processes said it, in front of a server's line."""


class ServerLog(logging.Handler):
    """The last lines of a server, which Beam writes to the root logger, as long as it starts."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._root = logging.getLogger()
        self._level = self._root.level

    def emit(self, record: logging.LogRecord) -> None:
        if record.module == BEAM_MODULE:
            self._lines.append(record.getMessage())

    def __enter__(self) -> ServerLog:
        self._level = self._root.level
        self._root.addHandler(self)
        self._root.setLevel(min(self._level, logging.INFO))
        return self

    def __exit__(self, *_: object) -> None:
        self._root.setLevel(self._level)
        self._root.removeHandler(self)

    def device(self) -> str | None:
        """Return the device that the engine said it runs on, None if it did not say."""
        said = [match[1] for line in self._lines if (match := DEVICE.search(line))]
        return said[-1] if said else None

    def reason(self) -> str:
        """Return the last error that was named, else the last line."""
        said = [PREFIX.sub("", line).strip() for line in self._lines if line.strip()]
        errors = [place for place, line in enumerate(said) if SAYS_WHY.search(line)]
        # What it is about may follow on lines of its own.
        last = said[errors[-1] :] if errors else said[-1:]
        return " ".join(last)[:300] or "it said nothing"
