"""Medians and their intervals, ranges for the next value, and how many values a percentile needs.

Pure functions on run-level values, on nothing but the standard library. Sources:

* H. A. David and H. N. Nagaraja, *Order Statistics*, 3rd edition (2003), section 7.1: the interval
  between two order statistics as an interval for a quantile.
* J.-Y. Le Boudec, *Performance Evaluation of Computer and Communication Systems* (2010), section
  2.2: the same for measurements of computers. Its table also has asymmetric pairs (n = 8), which
  are narrower by one rank; ours are symmetric, so that no side is favoured.
* W. Q. Meeker, G. J. Hahn and L. A. Escobar, *Statistical Intervals*, 2nd edition (2017), sections
  3.1 (normal) and 5.3 (distribution-free): intervals to contain one future value.
* R. S. Woodruff, "Confidence intervals for medians and other position measures", JASA 47 (1952): of
  a percentile, from the interval of the share below it.
* MLPerf Inference LoadGen, ``loadgen/early_stopping.cc``: how many queries a percentile needs.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from beambench.analysis.histogram import merge, nearest_rank, ranked, total

T_975 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160),
    *(2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056),
    *(2.052, 2.048, 2.045, 2.042, 2.040, 2.037, 2.035, 2.032, 2.030, 2.028, 2.026),
)
"""Quantiles of Student's t at 97.5 % for 1 to 37 degrees of freedom; with more it is less."""

LEAST_REPEATS = 6
"""As for an interval of a median at 95 %."""

LEAST_BEYOND = 5
"""Values beyond a percentile, without which nothing is known of its other side."""

PERCENTILE_RISK = 0.01
"""1 - 0.99, the confidence at which MLPerf claims a percentile."""


def median(values: Iterable[float]) -> float:
    """Return the median, in the unit of the values: the mean of the middle two if n is even.

    Raises ValueError without values, and for a value that is infinite or not a number.
    """
    return float(statistics.median(_checked(values)))


def median_interval(
    values: Iterable[float], confidence: float = 0.95
) -> tuple[float, float] | None:
    """Return the narrowest symmetric order-statistic interval for the median, or None.

    For independent values of *any* one distribution, with x(1) ≤ … ≤ x(n)::

        P(x(k) ≤ median ≤ x(n+1-k)) ≥ 1 - 2·P(B ≤ k-1),    B ~ Binomial(n, 1/2)

    with equality for a continuous distribution. The largest k for which the right-hand side is at
    least ``confidence`` is taken. If not even k = 1, which is [min, max] with coverage 1 - 2^(1-n),
    reaches it, n is too small and the answer is None: at 95 % that is n < 6.

    Raises ValueError for a confidence outside (0, 1), or a value infinite or not a number.
    """
    ordered = sorted(_checked(values, allow_none=True))
    rank = _median_rank(len(ordered), confidence)
    if rank is None:
        return None
    return ordered[rank - 1], ordered[-rank]


@functools.lru_cache(maxsize=256)  # a record asks it for each metric
def _median_rank(n: int, confidence: float) -> int | None:
    """Return the largest k with 1 - 2·P(B ≤ k-1) ≥ confidence, in exact arithmetic."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence}: must be between 0 and 1")
    # Whole numbers, because coverage and confidence may be equal: 75 % at n = 3.
    allowed = math.floor((1 - Fraction(confidence)) * 2**n)
    term = outside = 1  # C(n, 0), and the sum of C(n, i) for i < k
    rank = 0
    while 2 * outside <= allowed:
        rank += 1
        term = term * (n - rank + 1) // rank
        outside += term
    return rank or None


def prediction_interval(values: Iterable[float]) -> tuple[float, float] | None:
    """Return an interval for the *next* value at 95 %, in the unit of the values, or None.

    An interval for the median narrows to nothing with more values; the next value does not. With
    n ≥ 39 independent values of any one distribution it is between order statistics::

        P(x(k) ≤ next ≤ x(n+1-k)) = 1 - 2·k/(n+1) ≥ 0.95

    for the largest such k; below that the logarithms are taken as normal, mean m and deviation s::

        exp(m ± t(0.975, n-1) · s · √(1 + 1/n))

    so that an interval of two values is wide, as little is known. None with fewer than two values.
    Raises ValueError for a value that is not above 0, infinite, or not a number.
    """
    ordered = sorted(_checked(values, allow_none=True))
    n = len(ordered)
    if ordered and ordered[0] <= 0:
        raise ValueError(f"values must be above 0: {ordered[:10]}")
    if n < 2:
        return None
    rank = (n + 1) // 40
    if rank:
        return ordered[rank - 1], ordered[-rank]
    logarithms = [math.log(value) for value in ordered]
    middle = statistics.fmean(logarithms)
    reach = T_975[n - 2] * statistics.stdev(logarithms) * math.sqrt(1 + 1 / n)
    return math.exp(middle - reach), math.exp(middle + reach)


def percentile_interval(p: float, repeats: Sequence[Mapping[int, int]]) -> tuple[int, int] | None:
    """Return the values between which the p-th percentile of all lies with 95 %, or None.

    The repeats are what varies independently, not the values within one. With K of them, n values,
    and F(r) the share of the values of repeat r up to the estimated percentile, the variance of the
    share is the greater one of that of clusters and that of independent values::

        v = max(Σ (F(r) - p)² / (K·(K - 1)), p·(1 - p) / n)
        logit(p) ± t(0.975, K-1) · √v / (p·(1 - p))

    and the interval goes from the value at the lower share to the value at the upper one. None with
    fewer than 6 repeats, as for a median, or where fewer than 5 values, counted by p·(1 - p) / v,
    lie beyond the percentile, or where the upper end is beyond the greatest value. What tails a
    repeat may have that none of these had is not known: the wider the repeats differ beside what
    the values within each do, the less is covered (docs/measuring.md).

    Args:
        p: as a fraction, 0.99.
        repeats: of each the count of every value, or of its bucket, whose order is theirs.
    """
    merged = merge(repeats)
    k, n = len(repeats), total(merged)
    if k < LEAST_REPEATS or not all(map(total, repeats)):
        return None
    estimate = ranked(merged, nearest_rank(p, n))
    below = [
        sum(count for value, count in each.items() if value <= estimate) / total(each)
        for each in repeats
    ]
    variance = max(sum((share - p) ** 2 for share in below) / (k * (k - 1)), p * (1 - p) / n)
    if p * (1 - p) / variance * min(p, 1 - p) < LEAST_BEYOND:
        return None
    reach = T_975[min(k - 2, len(T_975) - 1)] * math.sqrt(variance) / (p * (1 - p))
    low, high = (_logistic(math.log(p / (1 - p)) + end) for end in (-reach, reach))
    last = math.ceil(high * n) + 1
    if last > n:
        return None
    return ranked(merged, max(1, math.floor(low * n))), ranked(merged, last)


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def coefficient_of_variation(values: Iterable[float]) -> float | None:
    """Return s / |mean| as a fraction, s with n - 1 in its denominator.

    None (unknown) with fewer than two values or a mean of zero. Raises ValueError for a value that
    is infinite or not a number.
    """
    checked = _checked(values, allow_none=True)
    if len(checked) < 2:
        return None
    mean = statistics.fmean(checked)
    return statistics.stdev(checked) / abs(mean) if mean else None


def percentile_supported(p: float, n: int) -> bool:
    """Tell whether n values are enough to print their p-th percentile, p as a fraction (0.99).

    n values all lie below the true percentile with probability p^n. It is supported once that has
    become unlikely: p^n ≤ 0.01, the ``ceil(log(1 - c) / log(p))`` of MLPerf's early stopping
    for c = 0.99, tolerance 0 and no query over the latency. First n: 7 for p50, 44 for p90, 90 for
    p95, 459 for p99, 4,603 for p99.9. Below p50 the same holds mirrored, with 1 - p for p.

    MLPerf itself starts to *print an estimate* only where it can leave out the highest value: 64
    for p90, 662 for p99. Raises ValueError for a p outside (0, 1).
    """
    if not 0 < p < 1:
        raise ValueError(f"percentile {p}: give a fraction between 0 and 1, such as 0.99")
    return n > 0 and max(p, 1 - p) ** n <= PERCENTILE_RISK


def _checked(values: Iterable[float], *, allow_none: bool = False) -> list[float]:
    checked = list(values)
    if not checked and not allow_none:
        raise ValueError("no values")
    if not all(map(math.isfinite, checked)):
        raise ValueError(f"values must be finite numbers: {checked[:10]}")
    return checked
