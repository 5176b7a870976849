"""Correlation and trend of values in time order, against values computed by hand."""

from __future__ import annotations

import math
import random
from itertools import permutations

import pytest

from beambench.analysis.independence import (
    SIGNIFICANCE,
    independence,
    lag1_correlation,
    slope,
    trend_probability,
)


def test_values_that_rise_one_by_one():
    # Mean 4.5; products 8.75 + 3.75 + 0.75 - 0.25 + 0.75 + 3.75 + 8.75 = 26.25; squares 42.
    # Above -1/8 by 0.75, of a deviation of 6 / (8·√7): by √7. One order of 8! rises throughout.
    judgement = independence([1, 2, 3, 4, 5, 6, 7, 8])
    assert judgement.n == 8
    assert judgement.lag1 == pytest.approx(26.25 / 42)
    assert judgement.lag1_p == pytest.approx(math.erfc(math.sqrt(7 / 2)) / 2)
    assert judgement.trend == 1.0
    assert judgement.trend_p == pytest.approx(2 / math.factorial(8))


def test_values_that_alternate():
    # Deviations ±0.5: products 7 · -0.25, squares 8 · 0.25. 10 pairs rise, 6 fall; the variance
    # (8·7·21 - 2·4·3·13) / 18 = 48 is that of two ties of four.
    values = [1, 2, 1, 2, 1, 2, 1, 2]
    assert lag1_correlation(values) == pytest.approx(-7 / 8)
    assert trend_probability(values) == pytest.approx(math.erfc(3 / math.sqrt(48) / math.sqrt(2)))
    assert independence(values).lag1_p > 0.99  # low correlation makes no interval too narrow


def test_a_slope_does_not_follow_one_outlier():
    assert slope([10, 12, 14, 1000, 18, 20, 22, 24]) == 2.0
    assert slope([24, 22, 20, 18, 16, 14, 12, 10]) == -2.0


@pytest.mark.parametrize("values", [[1, 2, 3, 4, 5, 6, 7], [3.0] * 20, []])
def test_too_few_or_equal_values_say_nothing(values):
    assert independence(values) is None


def test_the_exact_test_of_trend_counts_all_orders():
    orders = list(permutations(range(5)))

    def score(order):
        pairs = ((order[i], order[j]) for i in range(5) for j in range(i + 1, 5))
        return sum((later > earlier) - (later < earlier) for earlier, later in pairs)

    for order in ((0, 1, 2, 3, 4), (4, 2, 3, 1, 0), (2, 0, 1, 4, 3), (1, 3, 2, 0, 4)):
        as_strong = sum(abs(score(other)) >= abs(score(order)) for other in orders)
        assert trend_probability(order) == pytest.approx(as_strong / len(orders))


def test_many_values_have_the_same_trend_by_the_normal_test():
    # Of 465 pairs, the first alone falls; 1 less for continuity. Variance 31·30·67 / 18.
    distance = (464 - 1 - 1) / math.sqrt(31 * 30 * 67 / 18)
    assert trend_probability([1, 0, *range(2, 31)]) == pytest.approx(
        math.erfc(distance / math.sqrt(2))
    )


@pytest.mark.parametrize("n", [8, 10, 20])
@pytest.mark.parametrize("draw", ["gauss", "expovariate"])
def test_independent_values_are_seldom_called_dependent(n, draw):
    source = random.Random(n)
    draw_value = (
        (lambda: source.gauss(10, 1)) if draw == "gauss" else (lambda: source.expovariate(1))
    )
    judged = [independence([draw_value() for _ in range(n)]) for _ in range(1000)]
    # 1 % of 1,000 with a standard deviation of 3; up to 1.2 % are expected.
    assert sum(each.lag1_p < SIGNIFICANCE for each in judged) <= 22
    assert sum(each.trend_p < SIGNIFICANCE for each in judged) <= 20


def test_values_that_follow_each_other_are_seen():
    source, values = random.Random(1), [0.0]
    for _ in range(49):
        values.append(0.8 * values[-1] + source.gauss(0, 1))
    assert independence(values).lag1_p < SIGNIFICANCE
