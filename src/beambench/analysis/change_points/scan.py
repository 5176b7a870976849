"""Where the newest values of a history may have gone to a new level: a robust two-sample scan.

For every split of n values y (logarithms) into k before and the newest m, Student's two-sample
statistic of winsorised values is taken::

    x = clip((y - c) / w, ±3.5)        c, w: location and scale of the values before, robust
    t = (mean of the m - mean of the k) / (s·√(a(m)/m + a(k)/k))
    s² = sum of squares of x about the mean of its side / (n - 2)

Both sides are clipped alike, so that skewed or heavy-tailed noise is not taken for a change, and
no value counts for more than 3.5 deviations. a(m) is the
inflation of the variance of a mean by correlation of each value with the one before (an
autoregressive process of order 1), taken from the values before, where that is significant at 5 %.
t is turned into deviations of a normal distribution (D. L. Wallace, "Bounds on normal
approximations to Student's and the chi-square distributions", Ann. Math. Statist. 30, 1959).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CLIP_SCALE = 2.5
"""Deviations at which values are clipped for a scale."""

CLIP_COMPARED = 3.5
"""Deviations at which values are clipped that are compared."""

CORRELATED = 1.645
"""Standard errors of the lag-1 correlation above which it is taken for real."""

LEAST_DEVIATION = 1e-6
"""Relative. Values that repeat have no spread, and no step is infinitely far from them."""

FEW = 8
"""With fewer values before, their own median deviation is not trusted where others are known."""


class Noise(NamedTuple):
    """Spread that is known beside the values: squares about their level, degrees of freedom."""

    squares: float = 0.0
    freedom: int = 0


NO_NOISE = Noise()


class Scan(NamedTuple):
    """Of each split with the newest 1, 2, … values on one side.

    Attributes:
        z: by how many deviations the newest are above the others, negative if below.
        deviation: of a value of the others, as a logarithm.
        variance: of the difference of the two means, for a deviation of 1.
        freedom: degrees of freedom of the deviation.
    """

    z: Array
    deviation: Array
    variance: Array
    freedom: Array


def _kept_variance(clip: float) -> float:
    """Return the variance of a standard normal variable that is clipped at ±clip."""
    beyond = math.erfc(clip / math.sqrt(2))
    density = math.exp(-clip * clip / 2) / math.sqrt(2 * math.pi)
    return 1 - beyond - 2 * clip * density + clip * clip * beyond


KEPT_VARIANCE = _kept_variance(CLIP_SCALE)


@lru_cache(maxsize=512)
def _sides(n: int, most: int) -> tuple[Array, Array, Array]:
    """Return k and m of each split as columns, and 1.0 where a value is before the split."""
    m = np.arange(1, most + 1)[:, None]
    k = n - m
    return k.astype(float), m.astype(float), (np.arange(n)[None, :] < k).astype(float)


def _medians(values: Array, before: Array) -> Array:
    """Return the median of the values before each split, as a column."""
    rows = np.arange(len(before))
    counts = before.sum(axis=1).astype(int)
    ordered = np.sort(np.where(before > 0, values, np.inf), axis=1)
    middle: Array = (ordered[rows, (counts - 1) // 2] + ordered[rows, counts // 2]) / 2
    return middle[:, None]


def scan(values: Array, most: int, noise: Noise = NO_NOISE) -> Scan:
    """Compare the newest 1 to ``most`` values with those before them.

    Args:
        values: logarithms in time order, more than ``most`` of them.
        most: how many of the newest are tried as a level of their own.
        noise: what is known of the spread from elsewhere.
    """
    k, m, before = _sides(len(values), most)
    after = 1 - before
    centre, known = _medians(values, before), 0.0
    scale = 1.4826 * _medians(np.abs(values - centre), before)
    if noise.freedom:
        known = math.sqrt(noise.squares / noise.freedom)
        scale = np.where(k < FEW, known, scale)
    scale = np.maximum(scale, LEAST_DEVIATION)
    clipped = np.clip(values - centre, -CLIP_SCALE * scale, CLIP_SCALE * scale) * before
    offset = _sum(clipped) / k
    residuals = (clipped - offset) * before
    squares = _sum(residuals * residuals)
    freedom = np.maximum(k - 1 + noise.freedom, 1)
    deviation = np.sqrt((squares / KEPT_VARIANCE + noise.squares) / freedom)
    deviation = np.maximum(deviation, LEAST_DEVIATION)
    correlation = lag1_correlation(residuals, squares, k)
    inflation = variance_inflation(correlation, m)
    width = deviation * np.sqrt(inflation)
    compared = np.clip((values - centre - offset) / width, -CLIP_COMPARED, CLIP_COMPARED)
    old, new = _sum(compared * before) / k, _sum(compared * after) / m
    spread = _sum((compared - old) ** 2 * before + (compared - new) ** 2 * after)
    freedom = k + m - 2 + noise.freedom
    pooled = np.sqrt((spread + noise.squares / width**2) / freedom)
    variance = inflation / m + variance_inflation(correlation, k) / k
    t = (new - old) / np.maximum(pooled * np.sqrt(variance), 1e-12)
    return Scan(
        z=normal_deviations(t, freedom)[:, 0],
        deviation=(pooled * width)[:, 0],
        variance=variance[:, 0],
        freedom=freedom[:, 0],
    )


def _sum(values: Array) -> Array:
    total: Array = values.sum(axis=1, keepdims=True)
    return total


def lag1_correlation(residuals: Array, squares: Array, k: Array) -> Array:
    """Return the lag-1 correlation of the values before each split, 0 where not significant.

    Its mean among independent values is -1/k, its standard error 1/√k; an estimate r of a
    correlation is too low by about (1 + 3·r)/k.
    """
    products = (residuals[:, 1:] * residuals[:, :-1]).sum(axis=1, keepdims=True)
    raw = products / np.maximum(squares, 1e-300)
    unbiased = np.clip((raw * k + 1) / np.maximum(k - 3, 1), 0, 0.9)
    return np.where((raw + 1 / k) * np.sqrt(k) > CORRELATED, unbiased, 0.0)


def variance_inflation(correlation: Array, n: Array) -> Array:
    """Return the variance of a mean of n correlated values, relative to that of independent ones.

    1 + 2·Σ(1 - j/n)·r^j for j = 1 to n - 1, in closed form.
    """
    rest = 1 - correlation
    whole = (1 + correlation) / rest
    ends: Array = 2 * correlation * (1 - correlation**n) / (n * rest**2)
    return whole - ends


def normal_deviations(t: Array, freedom: Array) -> Array:
    """Return the deviations of a normal distribution that are as unlikely as Student's t."""
    root: Array = np.sqrt(freedom * np.log1p(t * t / freedom))
    return np.sign(t) * (8 * freedom + 1) / (8 * freedom + 3) * root


def level_of(values: Array) -> tuple[float, Noise]:
    """Return the level of values without a change, which outliers hardly move, and their spread."""
    middle = float(np.median(values))
    scale = max(1.4826 * float(np.median(np.abs(values - middle))), LEAST_DEVIATION)
    clipped = np.clip(values - middle, -CLIP_SCALE * scale, CLIP_SCALE * scale)
    offset = float(clipped.mean())
    squares = float(((clipped - offset) ** 2).sum()) / KEPT_VARIANCE
    return middle + offset, Noise(squares, len(values) - 1)
