"""Telling a run to end, from a signal handler or from another thread."""

from __future__ import annotations

import time

POLL = 0.1  # seconds


class Cancellation:
    """Whether a run is to end.

    A ``threading.Event`` cannot be set by a signal handler: its lock is not re-entrant, so that a
    second signal in the same instant would wait for the first for ever. This one takes no lock.
    """

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Wait until it is set or the time is over; return whether it is set."""
        end = time.monotonic() + seconds
        while not self._is_set and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, POLL))
        return self._is_set
