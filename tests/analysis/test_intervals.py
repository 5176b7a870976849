import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beambench.analysis.intervals import (
    coefficient_of_variation,
    median,
    median_interval,
    percentile_interval,
    percentile_supported,
)
from property_checks import CHECKED

numbers = st.floats(-1e12, 1e12)


def _coverage(n: int, rank: int) -> float:
    return 1 - 2 * sum(math.comb(n, i) for i in range(rank)) / 2**n


def test_median():
    assert median([3]) == 3
    assert median([5, 1, 3]) == 3
    assert median([4, 1, 2, 3]) == 2.5
    assert median(x for x in [1, 2]) == 1.5


@pytest.mark.parametrize("n", range(6))
def test_no_interval_at_95_percent_below_six_values(n):
    assert median_interval(range(n)) is None


# The largest k with 1 - 2·P(Binomial(n, 1/2) < k) ≥ 0.95, and n + 1 - k: from binomial tables.
@pytest.mark.parametrize(
    ("n", "low", "high"),
    [
        (6, 1, 6),
        (7, 1, 7),
        (8, 1, 8),
        (9, 2, 8),
        (10, 2, 9),
        (11, 2, 10),
        (12, 3, 10),
        (15, 4, 12),
        (20, 6, 15),
        (25, 8, 18),
        (30, 10, 21),
        (50, 18, 33),
        (70, 27, 44),
    ],
)
def test_the_ranks_of_the_interval(n, low, high):
    values = list(range(1, n + 1))
    random.Random(n).shuffle(values)
    assert median_interval(values) == (low, high)


@pytest.mark.parametrize(("n", "confidence"), [(2, 0.5), (3, 0.75), (4, 0.875), (11, 1 - 2**-10)])
def test_a_coverage_that_is_exactly_the_confidence_is_enough(n, confidence):
    assert median_interval(range(n), confidence) == (0, n - 1)
    assert median_interval(range(n), math.nextafter(confidence, 1) if n < 11 else 0.9999) is None


@CHECKED
@given(st.lists(numbers, max_size=80), st.floats(0.01, 0.9999))
def test_the_interval_is_the_narrowest_with_the_coverage(values, confidence):
    interval = median_interval(values, confidence)
    n, ordered = len(values), sorted(values)
    if interval is None:
        assert n == 0 or _coverage(n, 1) < confidence
        return
    low, high = interval
    assert low <= median(values) <= high
    reaching = [k for k in range(1, (n + 1) // 2 + 1) if _coverage(n, k) >= confidence]
    assert interval == (ordered[max(reaching) - 1], ordered[n - max(reaching)])


@CHECKED
@given(st.lists(numbers, min_size=6, max_size=40), st.randoms(use_true_random=False))
def test_the_order_of_the_values_does_not_matter(values, shuffler):
    shuffled = values[:]
    shuffler.shuffle(shuffled)
    assert median_interval(shuffled) == median_interval(values)
    assert median(shuffled) == median(values)


@CHECKED
@given(st.lists(numbers, min_size=6, max_size=40))
def test_the_interval_moves_with_the_values(values):
    low, high = median_interval(values)
    assert median_interval([-x for x in values]) == (-high, -low)
    assert median_interval([2 * x for x in values]) == (2 * low, 2 * high)


def test_more_values_are_handled_quickly():
    low, high = median_interval(range(10_001))
    # The normal approximation, n/2 ± 1.96·sqrt(n)/2.
    assert (low, high) == pytest.approx((5000 - 98, 5000 + 98), abs=2)


@pytest.mark.parametrize("n", [6, 8, 9, 15, 30])
@pytest.mark.parametrize(
    ("draw", "true_median"),
    [
        (lambda dice: dice.lognormvariate(0, 0.5), 1.0),
        (lambda dice: dice.expovariate(1), math.log(2)),
        (lambda dice: dice.choice([1, 2, 2, 3]), 2),  # ties only widen it
    ],
    ids=["lognormal", "exponential", "ties"],
)
def test_the_interval_covers_the_true_median(n, draw, true_median):
    dice, trials = random.Random(n), 4000
    hits = 0
    for _ in range(trials):
        low, high = median_interval([draw(dice) for _ in range(n)])
        hits += low <= true_median <= high
    # Three standard errors of a share of 0.95 below it.
    assert hits / trials >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / trials)


def test_coefficient_of_variation():
    assert coefficient_of_variation([9, 10, 11]) == pytest.approx(0.1)
    assert coefficient_of_variation([-9, -10, -11]) == pytest.approx(0.1)
    assert coefficient_of_variation([5, 5]) == 0
    assert coefficient_of_variation([]) is None
    assert coefficient_of_variation([5]) is None
    assert coefficient_of_variation([-1, 1]) is None


@CHECKED
@given(st.lists(st.floats(0.1, 1e6), min_size=2, max_size=30), st.floats(0.1, 1000))
def test_the_coefficient_of_variation_has_no_unit(values, factor):
    scaled = coefficient_of_variation([factor * x for x in values])
    assert scaled == pytest.approx(coefficient_of_variation(values), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("p", "first"), [(0.5, 7), (0.9, 44), (0.95, 90), (0.99, 459), (0.999, 4603), (0.1, 44)]
)
def test_the_first_n_that_supports_a_percentile(p, first):
    assert not percentile_supported(p, 0)
    assert not percentile_supported(p, first - 1)
    assert percentile_supported(p, first)
    assert percentile_supported(p, 10**9)


@CHECKED
@given(st.floats(0.5, 0.9999), st.integers(1, 10**5))
def test_support_grows_with_n_and_falls_with_p(p, n):
    if percentile_supported(p, n):
        assert percentile_supported(p, n + 1)
        assert percentile_supported((p + 0.5) / 2, n)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_no_numbers_are_refused(bad):
    for function in (median, median_interval, coefficient_of_variation):
        with pytest.raises(ValueError, match="finite"):
            function([1.0, bad])


def test_arguments_out_of_range_are_refused():
    with pytest.raises(ValueError, match="no values"):
        median([])
    for bad in (0, 1, 95, -0.1, math.nan):
        with pytest.raises(ValueError, match="confidence"):
            median_interval(range(10), bad)
        with pytest.raises(ValueError, match="percentile"):
            percentile_supported(bad, 10)


def test_the_interval_of_a_percentile_by_hand():
    # v = 0.25 ÷ 600, and logit(0.5) ± 2.571 × √v ÷ 0.25 = ± 0.2099 are the shares 0.4477 and
    # 0.5523: of 600 values, each six times, those with the ranks 268 and 333.
    alike = dict.fromkeys(range(1, 101), 1)
    assert percentile_interval(0.5, [alike] * 6) == (45, 56)


def test_the_interval_of_a_percentile_of_many_repeats_by_hand():
    # The quantile of t is the last one at hand, which is greater than that of 59 degrees of
    # freedom: v = 0.25 ÷ 6000, logit ± 2.026 × √v ÷ 0.25 = ± 0.0523, shares 0.4869 and 0.5131,
    # ranks 2921 and 3080 of 6000 values, each sixty times.
    alike = dict.fromkeys(range(1, 101), 1)
    assert percentile_interval(0.5, [alike] * 60) == (49, 52)


def test_repeats_that_differ_widen_the_interval_of_a_percentile():
    # Half of the repeats are 10 up, half 10 down: F = 0.4 and 0.6, so v = 6 × 0.01 ÷ 30 = 0.002 and
    # the shares are 0.3870 and 0.6130: ranks 232 and 369 of 600.
    lower, upper = (dict.fromkeys(range(1 + shift, 101 + shift), 1) for shift in (0, 20))
    low, high = percentile_interval(0.5, [lower, upper] * 3) or (0, 0)
    assert (low, high) == (49, 72)
    assert high - low > 56 - 45


@pytest.mark.parametrize(
    ("p", "repeats"),
    [
        (0.5, [dict.fromkeys(range(100), 1)] * 5),  # too few repeats
        (0.5, [dict.fromkeys(range(100), 1)] * 5 + [{}]),  # one of which nothing is known
        (0.99, [dict.fromkeys(range(80), 1)] * 6),  # 4.8 values beyond it
        (0.9, [{1: 100}, {1: 100}, {1: 100}, {1: 100}, {1: 100}, {2: 100}]),  # one repeat is all
    ],
)
def test_a_percentile_has_no_interval_where_its_other_side_is_not_known(p, repeats):
    assert percentile_interval(p, repeats) is None
