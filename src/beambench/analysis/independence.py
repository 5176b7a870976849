"""Whether values in time order look independent of each other, as intervals take them to be.

Pure functions on numbers, on nothing but the standard library. Sources:

* P. A. P. Moran, "Some theorems on time series II", *Biometrika* 35 (1948): mean and variance of
  the lag-1 correlation of independent values.
* H. B. Mann, "Nonparametric tests against trend", *Econometrica* 13 (1945), and M. G. Kendall,
  *Rank Correlation Methods*, 4th edition (1975), for ties.
* P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", *JASA* 63 (1968).
"""

from __future__ import annotations

import functools
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

LEAST_VALUES = 8
"""With fewer, a correlation that goes from each value to the next is hardly ever significant."""

SIGNIFICANCE = 0.01

EXACT_VALUES = 30
"""Up to so many values without ties, the test of trend is exact; above, it is all but normal."""


class Independence(NamedTuple):
    """How values in time order hang together.

    Attributes:
        n: how many values there are.
        lag1: correlation of each value with the one before, from -1 to 1; about -1/n if they are
            independent.
        lag1_p: how likely one at least as high is among independent values. One that is low makes
            no interval too narrow.
        trend: median slope, in the unit of the values from one to the next.
        trend_p: how likely a trend at least as strong, up or down, is among independent values.
    """

    n: int
    lag1: float
    lag1_p: float
    trend: float
    trend_p: float


def independence(values: Sequence[float]) -> Independence | None:
    """Return correlation and trend, or None if there are fewer than eight values, or all equal."""
    if len(values) < LEAST_VALUES or len(set(values)) == 1:
        return None
    lag1 = lag1_correlation(values)
    return Independence(
        n=len(values),
        lag1=lag1,
        lag1_p=_upper_tail(_standardised(lag1, len(values))),
        trend=slope(values),
        trend_p=trend_probability(values),
    )


def lag1_correlation(values: Sequence[float]) -> float:
    """Return the lag-1 correlation of values that are not all equal::

    r = Σ (x(t) - m)·(x(t+1) - m) / Σ (x(t) - m)²,    m the mean
    """
    mean = statistics.fmean(values)
    deviations = [value - mean for value in values]
    products = sum(deviation * following for deviation, following in pairwise(deviations))
    return products / sum(deviation * deviation for deviation in deviations)


def _standardised(lag1: float, n: int) -> float:
    """Return by how many standard deviations a correlation is above its mean.

    For independent values the mean is -1/n, whatever their distribution; the deviation of normal
    ones is (n - 2) / (n·√(n - 1)). Taken as normal, 1 % is 0.4 % to 1.5 % for n from 8 to 50 and
    values that are normal, uniform, exponential, log-normal or of Student's t with 2 degrees of
    freedom.
    """
    return (lag1 + 1 / n) * n * math.sqrt(n - 1) / (n - 2)


def _upper_tail(standardised: float) -> float:
    """Return the share of a normal distribution above so many standard deviations."""
    return math.erfc(standardised / math.sqrt(2)) / 2


def slope(values: Sequence[float]) -> float:
    """Return the median of the slopes between all pairs, which one outlier hardly moves."""
    ordered = enumerate(values)
    return statistics.median(
        (later - earlier) / (end - begin)
        for (begin, earlier), (end, later) in combinations(ordered, 2)
    )


def trend_probability(values: Sequence[float]) -> float:
    """Return how likely the trend is among independent values, by the test of Mann and Kendall.

    The statistic is the number of pairs that rise less that of pairs that fall. Up to 30 values
    without ties its distribution is counted out; else it is taken as normal, with the variance
    that ties leave and a correction for continuity.
    """
    n, ties = len(values), Counter(values).values()
    score = sum((later > earlier) - (later < earlier) for earlier, later in combinations(values, 2))
    if n <= EXACT_VALUES and max(ties) == 1:
        falling = (n * (n - 1) // 2 - abs(score)) // 2
        at_most = sum(_orders_by_inversions(n)[: falling + 1])
        return min(1.0, 2 * at_most / math.factorial(n))
    variance = (_spread(n) - sum(map(_spread, ties))) / 18
    distance = max(abs(score) - 1, 0) / math.sqrt(variance) if variance else 0.0
    return min(1.0, 2 * _upper_tail(distance))


def _spread(n: int) -> int:
    return n * (n - 1) * (2 * n + 5)


@functools.cache  # up to EXACT_VALUES, and simulations ask thousands of times
def _orders_by_inversions(n: int) -> tuple[int, ...]:
    """Return of how many orders of n values so many pairs fall: 1, 2, 2, 1 for n = 3."""
    counts = [1]
    for size in range(2, n + 1):
        longer = [0] * (len(counts) + size - 1)
        for inversions, orders in enumerate(counts):
            for added in range(size):
                longer[inversions + added] += orders
        counts = longer
    return tuple(counts)
