"""Verdicts on values whose interval and p are known: worked out beside scipy 1.17."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from beambench.analysis.comparison import (
    Effect,
    adjusted,
    compare_pairs,
    compare_samples,
    detectable,
    widened,
)
from beambench.analysis.student_t import repeatable_shift

BASE = [10.0, 11.0, 10.5, 9.8, 10.2]
CANDIDATE = [10.6, 11.9, 10.9, 10.1, 10.9]


def pairs(*logarithms: float, higher_is_better: bool = True, margin: float = 0.03) -> Effect:
    """Compare pairs whose ratios are given."""
    values = [math.exp(logarithm) for logarithm in logarithms]
    return compare_pairs(
        [1.0] * len(values), values, higher_is_better=higher_is_better, margin=margin
    )


def again(effect: Effect, alpha: float) -> float:
    """The change that another comparison of as many pairs finds with 80 %."""
    assert effect.noise is not None
    error = effect.noise / math.sqrt(effect.n)
    return math.expm1(repeatable_shift(effect.n - 1, alpha, 0.8) * error)


def test_pairs():
    effect = compare_pairs(BASE, CANDIDATE, higher_is_better=True)
    assert (effect.base, effect.candidate, effect.n) == (10.2, 10.9, 5)
    assert effect.ratio == pytest.approx(1.0556593361825)
    assert effect.noise == pytest.approx(0.0201442566388)
    # scipy.stats.ttest_1samp of the logarithms of the ratios, with its confidence interval
    assert effect.p == pytest.approx(0.0038529737378827)
    assert (effect.low, effect.high) == pytest.approx((1.0295822492181, 1.0823968992431))
    assert effect.mde == pytest.approx(again(effect, 0.01))
    assert effect.verdict == "faster"


def test_what_both_of_a_pair_have_in_common_cancels():
    drift = [1.0, 1.3, 0.8, 2.0, 1.1]
    shifted = compare_pairs(
        [value * factor for value, factor in zip(BASE, drift, strict=True)],
        [value * factor for value, factor in zip(CANDIDATE, drift, strict=True)],
        higher_is_better=True,
    )
    alone = compare_pairs(BASE, CANDIDATE, higher_is_better=True)
    assert (shifted.ratio, shifted.p) == pytest.approx((alone.ratio, alone.p))


def test_samples():
    effect = compare_samples(BASE, CANDIDATE[:4], higher_is_better=True)
    # scipy.stats.ttest_ind(…, equal_var=False) of the logarithms, with its confidence interval
    assert effect.p == pytest.approx(0.2391560018233, rel=1e-9)
    assert (effect.low, effect.high) == pytest.approx((0.9518005965976, 1.1689369418492))
    assert (effect.n, effect.verdict) == (4, "inconclusive")


def test_other_runs_widen_the_interval_of_samples():
    runs = [math.exp(logarithm) for logarithm in (0.0, 0.1, 0.2, 0.3, 0.4)]
    alone = compare_samples(BASE, CANDIDATE, higher_is_better=True)
    effect = compare_samples(BASE, CANDIDATE, higher_is_better=True, other_runs=runs)
    # The deviation of 0, 0.1, …, 0.4 is 0.1·√2.5, and t(0.975, 4) 2.7764451052
    reach = 2.7764451052 * 0.1 * math.sqrt(2.5) * math.sqrt(2)
    assert effect.high == pytest.approx(effect.ratio * math.exp(reach))
    assert (effect.ratio, effect.noise) == (alone.ratio, alone.noise)
    assert compare_samples(BASE, CANDIDATE, higher_is_better=True, other_runs=runs[:3]) == alone
    steady = [1.0, 1.0001, 1.0, 1.0001]
    assert compare_samples(BASE, CANDIDATE, higher_is_better=True, other_runs=steady) == alone


def test_the_other_way_round_is_the_reciprocal():
    there = compare_pairs(BASE, CANDIDATE, higher_is_better=True)
    back = compare_pairs(CANDIDATE, BASE, higher_is_better=True)
    assert back.ratio == pytest.approx(1 / there.ratio)
    assert (back.low, back.high) == pytest.approx((1 / there.high, 1 / there.low))
    assert (back.verdict, back.p) == ("slower", pytest.approx(there.p))


def test_verdicts():
    higher = [0.05, 0.052, 0.048, 0.051, 0.049]
    assert pairs(*higher).verdict == "faster"
    assert pairs(*higher, higher_is_better=False).verdict == "slower"
    assert pairs(*(-value for value in higher)).verdict == "slower"
    assert pairs(0.001, -0.001, 0.002, -0.002, 0.0).verdict == "same"
    assert pairs(0.1, -0.1, 0.2, -0.2, 0.05).verdict == "inconclusive"


def test_a_difference_within_the_margin_is_the_same():
    within = [0.01, 0.011, 0.009, 0.0105, 0.0095]
    assert pairs(*within).p < 0.001
    assert pairs(*within).verdict == "same"
    assert pairs(*within, margin=0.005).verdict == "faster"


def test_no_difference_is_not_the_same():
    effect = pairs(0.02, -0.02, 0.01, -0.01)
    assert effect.p == 1
    assert effect.verdict == "inconclusive"


def test_values_that_do_not_vary():
    same, more = pairs(0.0, 0.0, 0.0, 0.0), pairs(0.1, 0.1, 0.1, 0.1)
    assert (same.verdict, same.p, same.p_same, same.mde) == ("same", 1, 0, 0)
    assert (more.verdict, more.p, more.p_same) == ("faster", 0, 1)
    assert compare_samples([2.0] * 4, [2.0] * 6, higher_is_better=True).verdict == "same"


@pytest.mark.parametrize("n", [1, 2, 3])
def test_too_few_pairs_have_no_verdict(n):
    effect = pairs(*([0.1] * n))
    assert effect.verdict == "inconclusive"
    assert effect.reason == f"{n} values of a side, and a verdict needs 4"
    assert effect.mde is None
    assert (effect.low is None) == (n == 1)
    assert pairs(*([0.1] * 4)).reason is None


@pytest.mark.parametrize("compare", [compare_pairs, compare_samples])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, 0.0, -1.0])
def test_a_value_that_has_no_logarithm_is_an_error(compare, wrong):
    with pytest.raises(ValueError, match="candidate: the value at index 2 is"):
        compare([1.0, 1.0, 1.0], [1.0, 1.0, wrong], higher_is_better=True)
    with pytest.raises(ValueError, match="base: the value at index 0 is"):
        compare([wrong, 1.0, 1.0], [1.0, 1.0, 1.0], higher_is_better=True)


def test_unlike_lengths_and_settings_are_errors():
    with pytest.raises(ValueError, match="index 1 has not"):
        compare_pairs([1.0, 2.0], [1.0], higher_is_better=True)
    with pytest.raises(ValueError, match="base: no values"):
        compare_samples([], [1.0], higher_is_better=True)
    with pytest.raises(ValueError, match="margin 0"):
        compare_pairs(BASE, CANDIDATE, higher_is_better=True, margin=0)
    with pytest.raises(ValueError, match="alpha 1"):
        compare_pairs(BASE, CANDIDATE, higher_is_better=True, alpha=1)
    with pytest.raises(ValueError, match="1 pairs"):
        detectable(0.1, 1)


def test_several_metrics_are_corrected():
    effect = pairs(0.05, 0.052, 0.048, 0.051, 0.049)
    p = {"a": 0.004, "b": 0.0005, "c": 0.006, "d": 0.5}
    corrected = adjusted({name: replace(effect, p=value) for name, value in p.items()})
    # In order 0.0005·4, 0.004·3, 0.006·2 and not below the one before, 0.5·1
    expected = {"a": 0.012, "b": 0.002, "c": 0.012, "d": 0.5}
    assert {name: each.p for name, each in corrected.items()} == pytest.approx(expected)
    verdicts = {name: each.verdict for name, each in corrected.items()}
    assert verdicts == {
        "a": "inconclusive",
        "b": "faster",
        "c": "inconclusive",
        "d": "inconclusive",
    }
    assert corrected["b"].mde == pytest.approx(again(effect, 0.01 / 4))
    assert (corrected["b"].mde or 0) > (effect.mde or 1)


def test_same_is_corrected_too():
    effect = pairs(0.001, -0.001, 0.002, -0.002, 0.0)
    one = adjusted({"a": replace(effect, p_same=0.004)})
    three = adjusted({name: replace(effect, p_same=0.004) for name in "abc"})
    assert one["a"].verdict == "same"
    assert {each.verdict for each in three.values()} == {"inconclusive"}


def test_what_nothing_can_be_said_of_does_not_count_among_several():
    effect = replace(pairs(0.05, 0.052, 0.048, 0.051, 0.049), p=0.009)
    few = pairs(0.05, 0.052)
    corrected = adjusted({"a": effect, "b": few})
    assert (corrected["a"].p, corrected["a"].verdict) == (0.009, "faster")
    assert corrected["b"] == few


def test_what_is_detectable():
    # scipy: the shift found with 80 % at 1 % is 4.2123 standard errors for 10 pairs
    assert detectable(0.03, 10) == pytest.approx(math.expm1(4.2122553813 * 0.03 / math.sqrt(10)))
    assert detectable(0.03, 20) < detectable(0.03, 10)
    assert detectable(0.0, 10) == 0
    assert math.isfinite(detectable(1e6, 2))


def test_an_interval_that_could_be_looked_at_before_is_wider():
    effect = compare_pairs([10.0] * 5, [10.1, 9.9, 10.2, 10.0, 9.8], higher_is_better=True)
    assert widened(effect, 1) is effect
    wide = widened(effect, 5)
    assert (wide.ratio, wide.p, wide.verdict) == (effect.ratio, effect.p, effect.verdict)
    assert effect.high is not None
    assert wide.high is not None
    assert wide.low is not None
    # t(0.995, 4) ÷ t(0.975, 4), of tables
    widening = math.log(wide.high / wide.ratio) / math.log(effect.high / effect.ratio)
    assert widening == pytest.approx(4.6041 / 2.7764, rel=1e-4)
    assert wide.high / wide.ratio == pytest.approx(wide.ratio / wide.low)
    alone = compare_pairs([10.0], [11.0], higher_is_better=True)
    assert widened(alone, 5) is alone
