"""The clock of a run, by which it waits and dates, so that a test can bring its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Protocol

from beambench.cancellation import Cancellation


class Clock(Protocol):
    """Time in seconds that never goes back, dates, and waiting that Ctrl-C ends."""

    def now(self) -> float: ...

    def wait(self, seconds: float) -> bool:
        """Wait; return whether we are to stop."""
        ...

    def utc_now(self) -> str:
        """Return the time in UTC, ISO 8601, to the millisecond."""
        ...


@dataclass(frozen=True)
class SystemClock:
    """The clock of this machine; waiting ends when it is cancelled."""

    cancelled: Cancellation

    def now(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> bool:
        return self.cancelled.wait(seconds)

    def utc_now(self) -> str:
        return utc_now()


def utc_now() -> str:
    """Return the time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
