"""What is said of a change whose place is known: its size, how sure it is, step or drift."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from beambench.analysis.change_points.policy import Change, ratio_of
from beambench.analysis.change_points.scan import CLIP_SCALE, Array, level_of
from beambench.analysis.intervals import T_975

NEAR = 60
"""Values before and after a change that tell a drift from a step; slopes are of all pairs."""

RISING = 1.28
"""Standard errors; of histories without drift 10 % rise, or fall, as much."""


def change_at(
    values: Array, starts: Sequence[int], *, z: float, error: float, freedom: float, places: float
) -> Change:
    """Return the last change of values, its index counted in them.

    Args:
        values: logarithms.
        starts: where levels begin: that before the change, and the new one. Before them may stand
            those of earlier levels, where each change went in the direction of this one.
        z: how far apart the two levels are, in standard deviations of a normal distribution.
        error: standard error of their difference, as a logarithm.
        freedom: degrees of freedom of the error.
        places: how many splits were tried; p is multiplied by it (Bonferroni).
    """
    start, split = starts[-2:]
    shift = level_of(values[split:])[0] - level_of(values[start:split])[0]
    reach = T_975[min(int(freedom), len(T_975)) - 1] * error
    return Change(
        index=split,
        direction="up" if shift > 0 else "down",
        ratio=ratio_of(shift),
        ratio_low=ratio_of(shift - reach),
        ratio_high=ratio_of(shift + reach),
        confidence=max(0.0, 1 - places * math.erfc(abs(z) / math.sqrt(2))),
        kind="drift" if is_drift(values, starts) else "step",
    )


def is_drift(values: Array, starts: Sequence[int]) -> bool:
    """Tell whether values follow one slope rather than the levels that begin at starts.

    Both have to be so:

    * The sum of squares about a line, in units of the variance within the levels, is above that
      about the levels by at most 2 for each parameter that they have more (H. Akaike, 1974): of
      each step its place and its size, beside one slope.
    * The values before the last step rise or fall as the line does, by more than 1.28 standard
      errors.

    Residuals are clipped at CLIP_SCALE deviations, slopes are P. K. Sen's.
    """
    split = starts[-1]
    cut = max(starts[0], split - NEAR)
    ends = [start - cut for start in starts if start > cut]
    values = values[cut : split + NEAR]
    levels = [level_of(part) for part in np.split(values, ends)]
    squares, freedom = (sum(each) for each in zip(*(noise for _, noise in levels), strict=True))
    deviation = math.sqrt(squares / freedom)

    def clipped(residuals: Array) -> Array:
        return np.clip(residuals, -CLIP_SCALE * deviation, CLIP_SCALE * deviation)

    centres = np.repeat([centre for centre, _ in levels], np.diff([0, *ends, len(values)]))
    apart = clipped(values - centres)
    trend, time = _slope(values), np.arange(len(values)) - (len(values) - 1) / 2
    centred = values - trend * time
    line = clipped(centred - level_of(centred)[0])
    line = line - line.mean() - (time @ line) / (time @ time) * time
    added = 2 * len(ends) - 1
    if line @ line - apart @ apart > 2 * added * deviation**2:
        return False
    before = values[: ends[-1]]
    begun, n = _slope(before), len(before)
    _, noise = level_of(before - begun * np.arange(n))
    error = math.sqrt(noise.squares / noise.freedom * 12 / (n**3 - n))
    return begun * math.copysign(1, trend) > RISING * error


def _slope(values: Array) -> float:
    """Return the median of the slopes between all pairs."""
    first, last = np.triu_indices(len(values), 1)
    return float(np.median((values[last] - values[first]) / (last - first)))
