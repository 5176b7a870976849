"""A sparse, log-spaced histogram of whole numbers: latencies in nanoseconds, batch sizes.

A histogram is a plain ``{bucket index: count}``, so that it fits into counters, which add up on
every Beam runner, and into JSON. The buckets follow from one rule, in whole numbers only, so every
process and platform agrees on them:

* bucket 0 holds the value 0;
* a bucket that starts at ``low`` ends at ``high = floor(low·(1 + e)/(1 - e))``, e = 0.02, and the
  next one starts at ``high + 1``. Its representative is 2·low·high / (low + high), the number whose
  relative error is the same at both ends, (high - low)/(high + low) ≤ e.

So 0 to 24 have a bucket each, beyond them an octave has about 17 buckets, a decade about 58.
The idea is that of HdrHistogram (G. Tene) and DDSketch (C. Masson, J. E. Rim and H. K. Lee, VLDB
2019, whose buckets these are), without logarithms: their last digit differs between platforms.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from fractions import Fraction

RELATIVE_ERROR = 0.02
"""A representative is at most this far from every value of its bucket, relative to the value."""

EXACT_UP_TO = 24
"""Values up to here have a bucket each."""

MAX_VALUE = 2**63 - 1
"""The largest value: what a counter can hold."""


def _lower_bounds() -> tuple[int, ...]:
    # As it is written, 1/50, and not the nearest binary fraction.
    error = Fraction(str(RELATIVE_ERROR))
    grow, shrink = (1 + error).as_integer_ratio(), (1 - error).as_integer_ratio()
    lows = [0]
    low = 1
    while low <= MAX_VALUE:
        lows.append(low)
        low = low * grow[0] * shrink[1] // (grow[1] * shrink[0]) + 1
    return tuple(lows)


_LOWS = _lower_bounds()
MAX_BUCKETS = 128
"""Of them one process counts at most; later values go to the nearest one in use."""

BUCKETS = len(_LOWS)
"""How many buckets there are: indexes go from 0 to BUCKETS - 1."""


def bucket(value: int) -> int:
    """Return the index of the bucket that holds the value; a larger value has no smaller index.

    Runs once a batch inside a pipeline: a binary search in C, a fraction of a microsecond.
    Raises ValueError for a value below 0 or above MAX_VALUE.
    """
    if 0 <= value <= MAX_VALUE:
        return bisect_right(_LOWS, value) - 1
    raise ValueError(f"{value}: a histogram holds 0 to {MAX_VALUE}")


def bounds(index: int) -> tuple[int, int]:
    """Return the lowest and the highest value of a bucket, both inclusive.

    Raises ValueError for an index that no value has.
    """
    if not 0 <= index < BUCKETS:
        raise ValueError(f"bucket {index}: must be between 0 and {BUCKETS - 1}")
    high = _LOWS[index + 1] - 1 if index + 1 < BUCKETS else MAX_VALUE
    return _LOWS[index], high


def representative(index: int) -> float:
    """Return the number that stands for a bucket: within RELATIVE_ERROR of all of its values.

    2·low·high / (low + high), the harmonic mean of the two ends. Raises ValueError for an index
    that no value has.
    """
    low, high = bounds(index)
    return 2 * low * high / (low + high) if high else 0.0


def merge(histograms: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Return the sum of histograms, ordered by bucket: the histogram of all their values."""
    merged: dict[int, int] = {}
    for histogram in histograms:
        for index, count in histogram.items():
            merged[index] = merged.get(index, 0) + count
    return dict(sorted(merged.items()))


def total(histogram: Mapping[int, int]) -> int:
    """Return the number of values in a histogram, the n of every percentile from it."""
    return sum(histogram.values())


def nearest_rank(p: float, n: int) -> int:
    """Return the rank of the p-quantile among n ascending values: max(1, ceil(p·n)), from 1."""
    # p as it is written: in floating point 0.07 · 100 is above 7, which would be rank 8.
    return max(1, math.ceil(Fraction(repr(float(p))) * n))


def ranked(histogram: Mapping[int, int], rank: int) -> int:
    """Return the key of the value with a rank, from 1, in ascending order.

    Raises ValueError for a rank above the number of values.
    """
    seen = 0
    for key in sorted(histogram):
        seen += histogram[key]
        if seen >= rank:
            return key
    raise ValueError(f"rank {rank} of {seen} values")


def quantile(histogram: Mapping[int, int], p: float) -> float:
    """Return the p-quantile, p from 0 to 1, within RELATIVE_ERROR of that of the values themselves.

    The nearest rank: the representative of the bucket with the value number max(1, ceil(p·n)) in
    ascending order, so p = 0 is the minimum and p = 1 the maximum. Never interpolates.
    Raises ValueError for a p outside [0, 1] and for a histogram without values, whose quantiles are
    unknown. Ask ``intervals.percentile_supported(p, total(histogram))`` before printing it.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"quantile {p}: give a fraction between 0 and 1, such as 0.99")
    n = total(histogram)
    if n < 1:
        raise ValueError("the histogram holds no values")
    return representative(ranked(histogram, nearest_rank(p, n)))
