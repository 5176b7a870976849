"""How often a policy is right: histories without a change, and with a step at a known place."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Iterable, Sequence
from itertools import repeat
from typing import NamedTuple

from beambench.analysis.change_points.monitor import AlarmMonitor
from beambench.analysis.change_points.policy import Alarm, AlarmPolicy

FIRST_LOOK = 20
"""Alarms count from this value of a history on, counted from 1."""

NEAR = 5
"""An alarm is of a step if its index is no further from it."""


class FalseAlarms(NamedTuple):
    """Histories without a change: how many, how many with an alarm, looks and alarms in all."""

    histories: int
    alarmed: int
    looks: int
    alarms: int

    @property
    def share(self) -> float:
        """Share of the histories with one or more alarms."""
        return self.alarmed / self.histories

    @property
    def per_100_looks(self) -> float:
        return 100 * self.alarms / self.looks


class Detection(NamedTuple):
    """Histories with a step.

    Attributes:
        histories: how many.
        seen: how many of them whose first alarm at or after the step is of the step.
        runs: of the new level until it was seen, the first counted as 1: mean, None if none was.
        distance: median distance of the index from the step, in runs.
        drifts: how many of those seen were called a drift.
    """

    histories: int
    seen: int
    runs: float | None
    distance: float | None
    drifts: int

    @property
    def share(self) -> float:
        return self.seen / self.histories


def alarms_of(
    values: Iterable[float],
    policy: AlarmPolicy | None = None,
    groups: Iterable[Hashable] | None = None,
) -> list[Alarm]:
    """Return the alarms of a history that is watched from its first value on, no revisions."""
    monitor = AlarmMonitor(policy)
    observed = (
        monitor.observe(value, group=group)
        for value, group in zip(values, repeat(None) if groups is None else groups, strict=False)
    )
    return [alarm for alarm in observed if alarm is not None and alarm.revises is None]


def false_alarms(
    histories: Sequence[Sequence[float]],
    policy: AlarmPolicy | None = None,
    groups: Sequence[Sequence[Hashable]] | None = None,
) -> FalseAlarms:
    """Count the alarms of histories without a change, from their 20th value on."""
    counts = [
        sum(1 for alarm in alarms_of(values, policy, group) if alarm.observed_at >= FIRST_LOOK - 1)
        for values, group in zip(
            histories, repeat(None) if groups is None else groups, strict=False
        )
    ]
    return FalseAlarms(
        histories=len(histories),
        alarmed=sum(1 for count in counts if count),
        looks=sum(max(0, len(values) - FIRST_LOOK + 1) for values in histories),
        alarms=sum(counts),
    )


def detection(
    histories: Sequence[Sequence[float]], step: int, policy: AlarmPolicy | None = None
) -> Detection:
    """Tell how many histories with a step at an index have it seen, and how soon."""
    seen = list[Alarm]()
    for values in histories:
        later = [alarm for alarm in alarms_of(values, policy) if alarm.observed_at >= step]
        if later and abs(later[0].index - step) <= NEAR:
            seen.append(later[0])
    return Detection(
        histories=len(histories),
        seen=len(seen),
        runs=statistics.fmean(alarm.observed_at - step + 1 for alarm in seen) if seen else None,
        distance=statistics.median(abs(alarm.index - step) for alarm in seen) if seen else None,
        drifts=sum(1 for alarm in seen if alarm.kind == "drift"),
    )
