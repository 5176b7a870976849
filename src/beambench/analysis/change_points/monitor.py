"""A history that is watched run by run."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import asdict, dataclass, replace

import numpy as np

from beambench.analysis.change_points.estimate import change_at
from beambench.analysis.change_points.policy import (
    Alarm,
    AlarmPolicy,
    Direction,
    check_time,
    logarithm,
)
from beambench.analysis.change_points.scan import Array, Noise, Scan, level_of, scan

LEAST_AGAIN = 8
"""Runs that a level has held before the next change can be seen in it."""

MOVED = 3
"""An alarm is revised when its index moves by more than so many runs."""

GAIN = 0.5
"""Deviations by which another split has to be the better one before an index moves."""

GONE = 2.0
"""Deviations below which a change that was raised is taken back, and its segments are joined."""

NOISE_FREEDOM = 30
"""Degrees of freedom at most that earlier segments add to the spread: it may have changed."""


@dataclass
class _Open:
    """A change whose index may still move.

    Attributes:
        alarm: as it was reported.
        starts: where levels began before it was raised.
        noise: what was known of the spread before it was raised.
    """

    alarm: Alarm
    starts: tuple[int, ...]
    noise: tuple[Noise, ...]


class AlarmMonitor:
    """Raises an alarm when a history goes to a new level, from one value after the other.

    The values since the last change, or since the group changed, are a segment: levels are compared
    within it only. Earlier segments of the same group inform the spread. A change that is raised
    begins a segment at once; where it begins is estimated anew with each value while the new level
    is no longer than ``policy.most_runs``, and one that turns out to be none is taken back.
    """

    def __init__(self, policy: AlarmPolicy | None = None) -> None:
        self.policy = policy or AlarmPolicy()
        self._values: list[float] = []
        self._last_time = -math.inf
        self._group: Hashable = None
        # Where the level of now begins; before it, those of levels whose changes went the same way.
        self._starts: tuple[int, ...] = (0,)
        self._direction: Direction | None = None
        self._noise: dict[Hashable, tuple[Noise, ...]] = {}
        self._open: _Open | None = None

    def observe(
        self, value: float, *, group: Hashable = None, time: float | None = None
    ) -> Alarm | None:
        """Take the next value; return the alarm that it raises, or whose index it moves.

        Args:
            value: above 0, in any unit.
            group: what has to be equal for levels to be compared, such as the fingerprint of a
                machine. Another one than before begins a new segment.
            time: in any unit, not before that of the last value.

        Raises ValueError, which names the index, for a value not above 0, infinite, or not a
        number, and for a time that goes back. Such a value is left out.
        """
        index = len(self._values)
        logged = logarithm(value, index)
        if time is not None:
            self._last_time = check_time(time, self._last_time, index)
        if index and group != self._group:
            self._noise[self._group] = self._noise_up_to(index)
            self._starts, self._direction, self._open = (index,), None, None
        self._group = group
        self._values.append(logged)
        return self._revision() or self._new_alarm()

    def _new_alarm(self) -> Alarm | None:
        policy, n = self.policy, len(self._values)
        values, noise = self._since(self._starts[-1]), self._known_noise()
        least_before = LEAST_AGAIN if noise.freedom else policy.first_runs
        most = min(policy.most_runs, len(values) - least_before)
        if most < policy.least_runs:
            return None
        splits = scan(values, most, noise)
        runs = int(np.argmax(np.abs(splits.z))) + 1
        z = float(splits.z[runs - 1])
        # Where the newest one or two stand out most, what they are is not known yet.
        if runs < policy.least_runs or not policy.raises(z, len(values) - runs):
            return None
        direction: Direction = "up" if z > 0 else "down"
        before = self._starts if direction == self._direction else self._starts[-1:]
        alarm = self._alarm((*before, n - runs), splits)
        if abs(alarm.ratio - 1) < policy.least_change:
            return None
        self._open = _Open(alarm, self._starts, self._noise.get(self._group, ()))
        self._noise[self._group] = self._noise_up_to(n - runs)
        self._starts, self._direction = (*before, n - runs), direction
        return alarm

    def _revision(self) -> Alarm | None:
        """Estimate anew where the open change begins; return its alarm if it moved far."""
        if self._open is None:
            return None
        last, n = self._open.alarm, len(self._values)
        if n - last.index > self.policy.most_runs:
            self._open = None
            return None
        values = self._since(self._open.starts[-1])
        splits = scan(
            values, min(self.policy.most_runs + MOVED, len(values) - self.policy.least_runs)
        )
        z = np.abs(splits.z)
        # What raised it is not among the values after it was raised.
        z[: n - last.observed_at + 1] = 0
        runs, current = int(np.argmax(z)) + 1, n - self._starts[-1]
        if z[runs - 1] < GONE:
            self._starts, self._direction = self._open.starts, None
            self._noise[self._group] = self._open.noise
            self._open = None
            return None
        if z[runs - 1] > z[current - 1] + GAIN:
            self._starts = (*self._starts[:-1], n - runs)
        if abs(self._starts[-1] - last.index) <= MOVED:
            return None
        alarm = replace(self._alarm(self._starts, splits), revises=last.observed_at)
        self._open.alarm = replace(alarm, observed_at=last.observed_at)
        return alarm

    def _alarm(self, starts: tuple[int, ...], splits: Scan) -> Alarm:
        n, first = len(self._values), len(self._values) - self.policy.view
        seen = sorted({max(start, first, starts[0]) for start in starts})
        chosen = n - starts[-1] - 1
        change = change_at(
            np.array(self._values[seen[0] :]),
            [start - seen[0] for start in seen],
            z=float(splits.z[chosen]),
            error=float(splits.deviation[chosen] * math.sqrt(splits.variance[chosen])),
            freedom=float(splits.freedom[chosen]),
            places=len(splits.z),
        )
        return Alarm(**(asdict(change) | {"index": starts[-1]}), observed_at=n - 1)

    def _since(self, start: int) -> Array:
        return np.array(self._values[max(start, len(self._values) - self.policy.view) :])

    def _noise_up_to(self, end: int) -> tuple[Noise, ...]:
        """Return the spread of the segments of the group, with that of the one that ends here."""
        noise = self._noise.get(self._group, ())
        if end - self._starts[-1] < LEAST_AGAIN:
            return noise
        return (*noise, level_of(np.array(self._values[self._starts[-1] : end]))[1])

    def _known_noise(self) -> Noise:
        """Return the spread of the newest earlier segments of the group."""
        squares, freedom = 0.0, 0
        for noise in reversed(self._noise.get(self._group, ())):
            added = min(noise.freedom, NOISE_FREEDOM - freedom)
            squares += noise.squares * added / noise.freedom
            freedom += added
        return Noise(squares, freedom)
