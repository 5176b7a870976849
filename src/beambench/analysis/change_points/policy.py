"""What counts as a change of a history, and what is said of one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Direction = Literal["up", "down"]

Kind = Literal["step", "drift"]

FARTHEST = 700.0
"""Difference of two logarithms up to which their ratio is told: above e^709 no double is."""

YOUNG, SETTLED = 50, 90
"""Runs that a level has held up to which, and from which on, one threshold holds."""


@dataclass(frozen=True)
class AlarmPolicy:
    """When a history raises an alarm. docs/statistics.md has the table that the defaults come from.

    Attributes:
        threshold: how far the new level has to be from the old one, in standard deviations of a
            normal distribution, where the old level has held for up to 50 runs.
        settled_threshold: the same where it has held for 90 runs or more; between them the
            threshold grows evenly. A history that has been watched for long is looked at often.
        least_runs: how many runs a new level has at least.
        most_runs: a change that was not raised within so many runs of its start is not raised.
        view: so many of the newest runs since the last change are looked at.
        first_runs: how many runs a history has before the first change that can be seen in it.
        least_change: a smaller relative change is not raised: 0.01 is 1 %.
    """

    threshold: float = 3.55
    settled_threshold: float = 4.0
    least_runs: int = 3
    most_runs: int = 11
    view: int = 100
    first_runs: int = 10
    least_change: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (
            ("threshold", 1.0),
            ("settled_threshold", 1.0),
            ("least_runs", 2),
            ("most_runs", self.least_runs),
            ("first_runs", 4),
            ("view", self.first_runs + self.most_runs),
            ("least_change", 0.0),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise ValueError(f"{name} {value}: must be at least {least}")

    def raises(self, z: float, held: int) -> bool:
        """Tell whether z deviations from a level that has held for so many runs are an alarm."""
        settled = min(1.0, max(0.0, (held - YOUNG) / (SETTLED - YOUNG)))
        return abs(z) >= self.threshold + settled * (self.settled_threshold - self.threshold)


@dataclass(frozen=True)
class Change:
    """A history that goes to a new level.

    Attributes:
        index: of the first value of the new level, counted from 0.
        direction: of the values, whatever direction is better.
        ratio: new level ÷ old level.
        ratio_low: lower end of its 95 % interval, for the index as it stands.
        ratio_high: upper end of it.
        confidence: 1 - p, p being that of the change in noise alone, adjusted for all the places
            where a change was looked for.
        kind: ``drift`` where the values before and after follow one slope rather than two levels.
    """

    index: int
    direction: Direction
    ratio: float
    ratio_low: float
    ratio_high: float
    confidence: float
    kind: Kind


@dataclass(frozen=True)
class Alarm(Change):
    """A change, as soon as it is known.

    Attributes:
        observed_at: index of the value that raised it.
        revises: ``observed_at`` of the alarm whose index this one moves, else None.
    """

    observed_at: int
    revises: int | None = None


def logarithm(value: float, index: int) -> float:
    """Return the natural logarithm of a value of a history.

    Raises ValueError, which names the index, for a value not above 0, infinite, or not a number.
    """
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"value {index}: {value} must be a finite number above 0")
    return math.log(value)


def ratio_of(difference: float) -> float:
    """Return the ratio that a difference of logarithms is, within what a double can hold."""
    return math.exp(max(-FARTHEST, min(FARTHEST, difference)))


def check_time(time: float, last: float, index: int) -> float:
    """Return the time of a value.

    Raises ValueError, which names the index, unless it is finite and not before the last.
    """
    if not (math.isfinite(time) and time >= last):
        raise ValueError(f"time {index}: {time} must be finite and not before the last, {last}")
    return time


def stretches(groups: Sequence[object]) -> list[tuple[int, int]]:
    """Return start and end, exclusive, of each stretch of equal groups, in order."""
    starts = [i for i, group in enumerate(groups) if i == 0 or group != groups[i - 1]]
    return list(pairwise([*starts, len(groups)]))
