"""A clock that stands still until something waits by it, or a test moves it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

START = 1000.0
STARTED_AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
"""The date at `START`."""


@dataclass
class FakeClock:
    """A `Clock` that waiting moves; it can be told to be interrupted at a time."""

    time: float = START
    interrupted_at: float = float("inf")
    waits: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def utc_now(self) -> str:
        date = STARTED_AT + timedelta(seconds=self.time - START)
        return date.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.time += seconds
        return self.time >= self.interrupted_at
