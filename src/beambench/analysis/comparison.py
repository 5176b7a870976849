"""Whether a candidate is faster than a base, slower, or the same: run-level values of each side.

Pure functions on nothing but the standard library. Everything works on logarithms, so that effects
are ratios and the same in both directions. Sources:

* Student's t test of the logarithms of the ratios of pairs: what both of a pair have in common, as
  the drift of a machine between blocks, cancels. B. L. Welch, "The generalization of 'Student's'
  problem when several different population variances are involved", Biometrika 34 (1947), for
  values that are no pairs.
* D. J. Schuirmann, "A comparison of the two one-sided tests procedure …", Journal of
  Pharmacokinetics and Biopharmaceutics 15 (1987): to show that two are the same, both the test of
  "at least a margin less" and that of "at least a margin more" have to reject.
* S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
  Statistics 6 (1979): for several metrics at once.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from beambench.analysis.student_t import (
    critical_value,
    detectable_shift,
    repeatable_shift,
    upper_tail,
)

Verdict = Literal["faster", "slower", "same", "inconclusive"]

MARGIN = 0.03
"""Relative change up to which two are the same for all purposes, if nobody says another one."""

ALPHA = 0.01
"""How often a verdict on a metric may be wrong."""

POWER = 0.8
"""How likely the least detectable change is found."""

LEAST_PAIRS = 4
"""Below that the deviation is known too badly for any verdict."""

_UNKNOWN = 1.0  # the p of a test that was not made
_GREATEST_LOGARITHM = 700.0  # of a number that still has a floating-point value


@dataclass(frozen=True)
class Effect:
    """What a candidate does to one metric, beside a base.

    Attributes:
        base, candidate: medians of the run-level values of each side, in the metric's unit.
        ratio: candidate ÷ base, from the mean of the logarithms.
        low, high: of the ratio, at 95 %; None with fewer than two values a side.
        p: two-sided, of no difference; after `adjusted` corrected for several metrics.
        p_same: of a change by the margin or more, the greater one of both directions; likewise.
        mde: least relative change, as a fraction, that another comparison of as many would find
            with a power of 80 %, with this noise as an estimate; after `adjusted` with the
            correction for several metrics. None where no verdict can be given.
        mde_before: what was expected beforehand from noise that was known: `detectable`.
        n: pairs, or values of the smaller side.
        noise: standard deviation of the logarithms of the ratios of pairs.
        verdict: with `reason`, where it is inconclusive for another reason than the noise.
        higher_is_better, margin, alpha: what the verdict was made by.
        standard_error, freedom: of the mean of the logarithms, with its degrees of freedom.
    """

    base: float
    candidate: float
    ratio: float
    low: float | None
    high: float | None
    p: float
    p_same: float
    mde: float | None
    mde_before: float | None
    n: int
    noise: float | None
    verdict: Verdict
    reason: str | None
    higher_is_better: bool
    margin: float
    alpha: float
    standard_error: float | None
    freedom: float


def compare_pairs(
    base: Sequence[float],
    candidate: Sequence[float],
    *,
    higher_is_better: bool,
    margin: float = MARGIN,
    alpha: float = ALPHA,
) -> Effect:
    """Compare values measured in pairs, the i-th of both sides next to each other.

    With d the logarithms of candidate ÷ base, n pairs, their mean m and standard deviation s::

        m ± t(0.975, n-1) · s / √n                                the interval at 95 %
        |m| / (s/√n) against t(1 - alpha/2, n-1)                  faster or slower
        (log(1 + margin) - |m|) / (s/√n) against t(1 - alpha, n-1)    the same

    The verdict is `same` where that test rejects a change by the margin, else `faster` or `slower`
    where there is a difference, else `inconclusive`; with fewer than 4 pairs always that.

    Args:
        base: run-level values in the metric's unit, above 0.
        candidate: those of the other side.
        higher_is_better: whether a greater value is `faster`.
        margin: relative change up to which both are the same, as a fraction.
        alpha: how often a verdict may be wrong.

    Raises:
        ValueError: no values, unequal lengths, or a value that is not above 0 and finite, whose
            index it names; a margin that is not above 0, or an alpha outside (0, 1/2).
    """
    if len(base) != len(candidate):
        raise ValueError(
            f"{len(base)} values of the base and {len(candidate)} of the candidate: pairs have one "
            f"of each, and index {min(len(base), len(candidate))} has not"
        )
    first, second = _logarithms(base, "base"), _logarithms(candidate, "candidate")
    differences = [after - before for before, after in zip(first, second, strict=True)]
    n = len(differences)
    noise = statistics.stdev(differences) if n > 1 else None
    return _effect(
        base,
        candidate,
        mean=statistics.fmean(differences),
        noise=noise,
        standard_error=None if noise is None else noise / math.sqrt(n),
        freedom=n - 1,
        n=n,
        higher_is_better=higher_is_better,
        margin=margin,
        alpha=alpha,
    )


def compare_samples(
    base: Sequence[float],
    candidate: Sequence[float],
    *,
    higher_is_better: bool,
    margin: float = MARGIN,
    alpha: float = ALPHA,
    other_runs: Sequence[float] = (),
) -> Effect:
    """Compare values that were not measured in pairs: repeats of two runs, some other day.

    As `compare_pairs`, with the difference of the means of the logarithms, its standard error
    √(s₁²/n₁ + s₂²/n₂), and the degrees of freedom of Welch and Satterthwaite.

    Two runs of the same differ by more than their repeats tell, as a machine is not the same on
    another day. With 4 or more other runs of the base, whose logarithms have the standard deviation
    s, the standard error is at least s·√2, with their degrees of freedom. Without, that difference
    is in the effect, and in no interval.

    Args:
        base: as `compare_pairs`.
        candidate: likewise; there may be another number of them.
        higher_is_better: as `compare_pairs`.
        margin: likewise.
        alpha: likewise.
        other_runs: a value of each.

    Raises:
        ValueError: as `compare_pairs`; lengths may differ.
    """
    first, second = _logarithms(base, "base"), _logarithms(candidate, "candidate")
    noise, standard_error, freedom = None, None, 0.0
    if min(len(first), len(second)) > 1:
        variances = [statistics.variance(side) for side in (first, second)]
        parts = [v / len(side) for v, side in zip(variances, (first, second), strict=True)]
        noise, standard_error = math.sqrt(sum(variances)), math.sqrt(sum(parts))
        freedom = _welch_freedom(parts, [len(first), len(second)])
        if len(other_runs) >= LEAST_PAIRS:
            between = math.sqrt(2) * statistics.stdev(_logarithms(other_runs, "other runs"))
            if between > standard_error:
                standard_error, freedom = between, float(len(other_runs) - 1)
    return _effect(
        base,
        candidate,
        mean=statistics.fmean(second) - statistics.fmean(first),
        noise=noise,
        standard_error=standard_error,
        freedom=freedom,
        n=min(len(first), len(second)),
        higher_is_better=higher_is_better,
        margin=margin,
        alpha=alpha,
    )


def adjusted(effects: Mapping[str, Effect]) -> dict[str, Effect]:
    """Return the effects of several metrics with verdicts that are corrected for being several.

    Holm: the k-th smallest p of m is multiplied by m + 1 - k, and none is below the one before it;
    those of the tests of being the same likewise. Metrics that nothing can be said of do not count.
    The least detectable changes are those at alpha ÷ m, what the smallest p has to reach.
    """
    tested = [name for name, effect in effects.items() if effect.n >= LEAST_PAIRS]
    p = _holm({name: effects[name].p for name in tested})
    p_same = _holm({name: effects[name].p_same for name in tested})
    corrected = dict(effects)
    for name in tested:
        effect = effects[name]
        corrected[name] = _judged(
            replace(
                effect,
                p=p[name],
                p_same=p_same[name],
                mde=_mde(effect.standard_error, effect.freedom, effect.alpha / len(tested)),
            )
        )
    return corrected


def widened(effect: Effect, looks: int) -> Effect:
    """Return an effect with the interval that holds if it could be looked at so many times before.

    Each look has the interval at 1 - 0.05/looks, so that all of them together hold the ratio in
    95 % of the cases, whichever of them was the last (Bonferroni).
    """
    if looks == 1 or effect.standard_error is None:
        return effect
    reach = critical_value(0.025 / looks, effect.freedom) * effect.standard_error
    mean = math.log(effect.ratio)
    low, high = (math.exp(min(mean + end, _GREATEST_LOGARITHM)) for end in (-reach, reach))
    return replace(effect, low=low, high=high)


def detectable(noise: float, n: int, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """Return the least relative change that n pairs show with a given power, as a fraction.

    Exactly, by the noncentral t distribution.

    Args:
        noise: standard deviation of the logarithms of the ratios of pairs; of independent values
            with a coefficient of variation c on both sides about c·√2.
        n: pairs, 2 or more.
        alpha: of the two-sided test.
        power: how likely the change is found.

    Raises:
        ValueError: too few pairs, or a negative noise.
    """
    if n < 2 or not noise >= 0:
        raise ValueError(f"{n} pairs, noise {noise}: give 2 pairs or more and a noise from 0 on")
    return _change(detectable_shift(n - 1, alpha, power) * noise / math.sqrt(n))


def _effect(
    base: Sequence[float],
    candidate: Sequence[float],
    *,
    mean: float,
    noise: float | None,
    standard_error: float | None,
    freedom: float,
    n: int,
    higher_is_better: bool,
    margin: float,
    alpha: float,
) -> Effect:
    if not margin > 0 or not 0 < alpha < 0.5:
        raise ValueError(
            f"margin {margin}, alpha {alpha}: give a margin above 0 and an alpha between 0 and 0.5"
        )
    low = high = None
    p = p_same = _UNKNOWN
    if standard_error is not None:
        reach = critical_value(0.025, freedom) * standard_error
        low, high = (math.exp(min(mean + end, _GREATEST_LOGARITHM)) for end in (-reach, reach))
        p = min(1.0, 2 * upper_tail(_ratio(abs(mean), standard_error), freedom))
        room = math.log1p(margin) - abs(mean)
        p_same = upper_tail(_ratio(room, standard_error), freedom)
    return _judged(
        Effect(
            base=statistics.median(base),
            candidate=statistics.median(candidate),
            ratio=math.exp(mean),
            low=low,
            high=high,
            p=p,
            p_same=p_same,
            mde=_mde(standard_error, freedom, alpha) if n >= LEAST_PAIRS else None,
            mde_before=None,
            n=n,
            noise=noise,
            verdict="inconclusive",
            reason=None,
            higher_is_better=higher_is_better,
            margin=margin,
            alpha=alpha,
            standard_error=standard_error,
            freedom=freedom,
        )
    )


def _judged(effect: Effect) -> Effect:
    """Return the effect with the verdict that its tests allow."""
    if effect.n < LEAST_PAIRS:
        reason = f"{effect.n} values of a side, and a verdict needs {LEAST_PAIRS}"
        return replace(effect, verdict="inconclusive", reason=reason)
    verdict: Verdict = "inconclusive"
    if effect.p_same <= effect.alpha:
        verdict = "same"
    elif effect.p <= effect.alpha:
        verdict = "faster" if (effect.ratio > 1) == effect.higher_is_better else "slower"
    return replace(effect, verdict=verdict, reason=None)


def _mde(standard_error: float | None, freedom: float, alpha: float) -> float | None:
    """Return the least change that is found again; freedom is cut to a whole number, as tables do.

    Integrals over it take long enough to do each once.
    """
    if standard_error is None:
        return None
    whole = max(1, int(freedom + 1e-9))
    return _change(repeatable_shift(whole, alpha, POWER) * standard_error)


def _change(logarithm: float) -> float:
    return math.expm1(min(logarithm, _GREATEST_LOGARITHM))


def _welch_freedom(parts: Sequence[float], sizes: Sequence[int]) -> float:
    """Return the degrees of freedom of a sum of squared standard errors."""
    shares = sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
    return sum(parts) ** 2 / shares if shares else float(min(sizes) - 1)


def _ratio(value: float, standard_error: float) -> float:
    """Return value ÷ standard error; values that do not differ at all leave no doubt."""
    if standard_error:
        return value / standard_error
    return math.copysign(math.inf, value) if value else 0.0


def _holm(p: Mapping[str, float]) -> dict[str, float]:
    corrected: dict[str, float] = {}
    greatest = 0.0
    for rank, name in enumerate(sorted(p, key=lambda name: p[name])):
        greatest = max(greatest, min(1.0, (len(p) - rank) * p[name]))
        corrected[name] = greatest
    return corrected


def _logarithms(values: Sequence[float], side: str) -> list[float]:
    if not values:
        raise ValueError(f"{side}: no values")
    for index, value in enumerate(values):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(
                f"{side}: the value at index {index} is {value}: not above 0 and finite"
            )
    return [math.log(value) for value in values]
