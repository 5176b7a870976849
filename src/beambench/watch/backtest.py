"""What a policy would have done: in a history as it was, in its noise reordered, with steps in it.

The noise of a history is its longest stretch without a change. Drawn from in random order, it has
no change, so each alarm is a false one; with a step planted at a known place it has one. What
correlates in time is lost so: where neighbours do, the alarms in the history itself say more.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from beambench.analysis.change_points.evaluation import (
    FIRST_LOOK,
    Detection,
    FalseAlarms,
    alarms_of,
    detection,
    false_alarms,
)
from beambench.analysis.change_points.policy import AlarmPolicy
from beambench.analysis.change_points.segmentation import detect_changes

STEPS = (0.05, 0.10, 0.20)
"""Sizes of planted steps, as fractions; half of them go down."""

BEFORE, AFTER = 45, 15
"""Runs before a planted step, and with it."""

LEAST_NOISE = 12
"""Values without a change from which noise is known."""


class Backtest(NamedTuple):
    """What a policy would have done.

    Attributes:
        policy: the one tried.
        alarms: it would have raised in the history as it was.
        looks: at the history as it was, from its 20th run on.
        noise: coefficient of variation of what was reordered.
        false: alarms in reordered noise.
        detections: of planted steps, by size.
    """

    policy: AlarmPolicy
    alarms: int
    looks: int
    noise: float
    false: FalseAlarms
    detections: dict[float, Detection]

    def false_alarms_a_year(self, runs_a_year: float) -> float:
        return self.false.alarms / self.false.looks * runs_a_year


def noise_of(values: Sequence[float], groups: Sequence[Hashable]) -> list[float] | None:
    """Return the longest stretch without a change or another group, relative to its median.

    None if it has fewer than 12 values.
    """
    starts = {change.index for change in detect_changes(values, groups=groups)}
    starts |= {at for at in range(1, len(values)) if groups[at] != groups[at - 1]}
    bounds = [0, *sorted(starts), len(values)]
    start, end = max(pairwise(bounds), key=lambda pair: pair[1] - pair[0])
    if end - start < LEAST_NOISE:
        return None
    middle = float(np.median(values[start:end]))
    return [value / middle for value in values[start:end]]


def backtest(
    values: Sequence[float],
    groups: Sequence[Hashable],
    noise: Sequence[float],
    policy: AlarmPolicy,
    *,
    repetitions: int,
    seed: int,
) -> Backtest:
    """Try a policy on a history, on its noise in random orders, and on steps planted there.

    Args:
        values: the history.
        groups: of each value, as `detect_changes` takes them.
        noise: of the history, as `noise_of` returns it; drawn from with replacement.
        policy: to try.
        repetitions: histories of noise, and for each size of step.
        seed: the same one gives the same histories to every policy.
    """
    chance = np.random.default_rng(seed)
    drawn = chance.choice(np.array(noise), (repetitions, BEFORE + AFTER))
    detections = {}
    for size in STEPS:
        stepped = drawn.copy()
        stepped[::2, BEFORE:] *= 1 + size
        stepped[1::2, BEFORE:] /= 1 + size
        detections[size] = detection(stepped.tolist(), BEFORE, policy)
    raised = alarms_of(values, policy, groups)
    return Backtest(
        policy=policy,
        alarms=sum(1 for alarm in raised if alarm.observed_at >= FIRST_LOOK - 1),
        looks=max(0, len(values) - FIRST_LOOK + 1),
        noise=float(np.std(np.log(noise), ddof=1)),
        false=false_alarms(drawn.tolist(), policy),
        detections=detections,
    )


def runs_a_year(days_between_runs: float) -> float:
    """Return runs a year for a period in days. Raises ValueError unless it is above 0."""
    if not (math.isfinite(days_between_runs) and days_between_runs > 0):
        raise ValueError(f"{days_between_runs} days between runs: must be above 0")
    return 365.25 / days_between_runs
