"""All changes of a history as it stands.

Narrowest-over-threshold (R. Baranowski, Y. Chen and P. Fryzlewicz, JRSS B 81, 2019) on the
intervals of seeded binary segmentation (S. Kovács, P. Bühlmann, H. Li and A. Munk, Biometrika 110,
2023): of all intervals with a significant split the narrowest gives the next change, so that no
interval with two changes hides them. Values are clipped around their running median before, which
follows a step and leaves out single outliers.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from beambench.analysis.change_points.estimate import change_at
from beambench.analysis.change_points.policy import (
    AlarmPolicy,
    Change,
    check_time,
    logarithm,
    stretches,
)
from beambench.analysis.change_points.scan import (
    LEAST_DEVIATION,
    Array,
    lag1_correlation,
    level_of,
    normal_deviations,
)

RUNNING = 7
"""Values of which each running median is taken; at the ends those that there are."""

CLIP = 3.0
"""Deviations from the running median at which a value is clipped."""

SIGNIFICANCE = 0.05
"""Of a history without change so many have one or more, if their values are independent."""

PLACES = 1
"""Splits that p is multiplied by, for each value: those of the intervals, which overlap, come to
so many independent ones."""

DECAY = math.sqrt(2)
"""Of the lengths of intervals, from each layer to the next."""

SHORTEST = 12
"""Values of an interval."""


class _Split(NamedTuple):
    """The best split of an interval: where, and how far apart its two sides are."""

    start: int
    end: int
    at: int
    z: float


def detect_changes(
    values: Sequence[float],
    *,
    groups: Sequence[Hashable] | None = None,
    times: Sequence[float] | None = None,
    policy: AlarmPolicy | None = None,
) -> list[Change]:
    """Return the changes of a history, ordered by index.

    Args:
        values: in the order of time, above 0, in any unit.
        groups: of each value what has to be equal for levels to be compared, such as the
            fingerprint of a machine. Where it changes, no level is compared.
        times: of each value, in any unit, none before the last.
        policy: how many runs a level has, and the least change.

    Raises ValueError for lists of different lengths and, naming the index, for a value not above
    0, infinite, or not a number, and for a time that goes back.
    """
    policy = policy or AlarmPolicy()
    logged = np.array([logarithm(value, index) for index, value in enumerate(values)])
    for name, given in (("groups", groups), ("times", times)):
        if given is not None and len(given) != len(logged):
            raise ValueError(f"{name}: {len(given)} for {len(logged)} values: give one for each")
    last = -math.inf
    for index, time in enumerate(() if times is None else times):
        last = check_time(time, last, index)
    changes = []
    for start, end in stretches([None] * len(logged) if groups is None else groups):
        changes += [
            replace(change, index=start + change.index)
            for change in _changes(logged[start:end], policy)
        ]
    return changes


def _changes(values: Array, policy: AlarmPolicy) -> list[Change]:
    """Return the changes of values (logarithms) of one group."""
    if len(values) < max(RUNNING, policy.first_runs + policy.least_runs):
        return []
    clipped = _clipped(values)
    splits = list(_splits(clipped, policy.least_runs))
    bounds = _bounds(clipped, splits, 1.0, policy)
    # Only once its levels are apart is what correlates in a history not its changes.
    inflation = _inflation(values, bounds)
    if inflation > 1:
        bounds = _bounds(clipped, splits, inflation, policy)
    changes, starts = list[Change](), [0]
    for before, at, after in zip(bounds, bounds[1:], bounds[2:], strict=False):
        z = _z(clipped[None, before:after], policy.least_runs)[0]
        spread = level_of(values[before:at])[1], level_of(values[at:after])[1]
        freedom = sum(noise.freedom for noise in spread)
        variance = sum(noise.squares for noise in spread) / freedom * inflation
        distance = float(z[at - before - policy.least_runs]) / math.sqrt(inflation)
        if changes and (distance > 0) != (changes[-1].direction == "up"):
            starts = [before]
        starts.append(at)
        change = change_at(
            values[:after],
            starts,
            z=distance,
            error=math.sqrt(variance * (1 / (at - before) + 1 / (after - at))),
            freedom=freedom,
            places=PLACES * len(values),
        )
        changes.append(change)
    return [change for change in changes if abs(change.ratio - 1) >= policy.least_change]


def _clipped(values: Array) -> Array:
    """Return the values, none further than CLIP deviations from their running median."""
    reach = RUNNING // 2
    middle = np.median(sliding_window_view(values, RUNNING), axis=1)
    running = np.concatenate([[middle[0]] * reach, middle, [middle[-1]] * reach])
    scale = CLIP * max(1.4826 * float(np.median(np.abs(values - running))), LEAST_DEVIATION)
    return np.clip(values, running - scale, running + scale)


def _splits(values: Array, least: int) -> Iterator[_Split]:
    """Yield the best split of each seeded interval, the narrowest intervals first.

    A layer has intervals of one length, each begins half a length after the one before it, and
    the last ends with the values.
    """
    n, lengths = len(values), list[int]()
    length = float(n)
    while length >= SHORTEST:
        lengths.append(int(length))
        length /= DECAY
    for length in reversed(lengths):
        starts = np.unique(np.append(np.arange(0, n - length + 1, length // 2), n - length))
        z = _z(sliding_window_view(values, length)[starts], least)
        best = np.abs(z).argmax(axis=1)
        for row, start in enumerate(starts.tolist()):
            at = int(best[row])
            yield _Split(start, start + length, start + at + least, float(z[row, at]))


def _z(rows: Array, least: int) -> Array:
    """Return how far apart the two sides of each split of each row are, in deviations.

    The first column is the split with ``least`` values on its left side.
    """
    n = rows.shape[1]
    k = np.arange(least, n - least + 1)
    centred = rows - rows.mean(axis=1, keepdims=True)
    sums = np.cumsum(centred, axis=1)[:, k - 1]
    between = sums**2 * n / (k * (n - k))
    within = (centred**2).sum(axis=1, keepdims=True) - between
    freedom = np.array(float(n - 2))
    t = np.sqrt(between * freedom / np.maximum(within, freedom * LEAST_DEVIATION**2))
    # The sum up to the split is below the mean where the values after it are above.
    return normal_deviations(-np.sign(sums) * t, freedom)


def _bounds(
    values: Array, splits: Sequence[_Split], inflation: float, policy: AlarmPolicy
) -> list[int]:
    """Return where levels begin, and where the last ends."""
    places, root = PLACES * len(values), math.sqrt(inflation)

    def significant(z: float) -> bool:
        return places * math.erfc(abs(z) / root / math.sqrt(2)) <= SIGNIFICANCE

    chosen = list[int]()
    for split in splits:
        if significant(split.z) and not any(split.start < at < split.end for at in chosen):
            chosen.append(split.at)
    bounds = [0, *sorted(chosen), len(values)]
    while len(bounds) > 2:
        bounds = _located(values, bounds, policy.least_runs)
        z = [
            float(_z(values[None, a:c], policy.least_runs)[0, b - a - policy.least_runs])
            for a, b, c in zip(bounds, bounds[1:], bounds[2:], strict=False)
        ]
        weakest = int(np.argmin(np.abs(z)))
        if significant(z[weakest]):
            break
        del bounds[weakest + 1]
    return bounds


def _located(values: Array, bounds: Sequence[int], least: int) -> list[int]:
    """Return the bounds, each where it parts its two neighbours best."""
    located = list(bounds)
    for i in range(1, len(bounds) - 1):
        before, after = located[i - 1], located[i + 1]
        if after - before >= 2 * least:
            z = np.abs(_z(values[None, before:after], least)[0])
            located[i] = before + least + int(z.argmax())
    return located


def _inflation(values: Array, bounds: Sequence[int]) -> float:
    """Return by how much correlation of each value with the one before inflates a variance."""
    parts = [values[start:end] for start, end in pairwise(bounds)]
    residuals = np.concatenate([part - level_of(part)[0] for part in parts])
    spread = 3 * math.sqrt(level_of(residuals)[1].squares / len(residuals))
    residuals = np.clip(residuals, -spread, spread)[None, :]
    squares = (residuals**2).sum(axis=1, keepdims=True)
    related = float(lag1_correlation(residuals, squares, np.array([[float(len(values))]]))[0, 0])
    return (1 + related) / (1 - related)
