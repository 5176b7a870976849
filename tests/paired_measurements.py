"""Simulated comparisons on a machine that drifts: pairs of repeats, in the order A B B A."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from beambench.analysis.comparison import Effect, compare_pairs, compare_samples

Values = NDArray[np.float64]
BETWEEN_BLOCKS = 0.05
"""Deviation of the level of a block of two pairs from that of the block before it."""

TREND = 0.001
"""Relative change of the level from one repeat to the next, within blocks too."""

SPIKES = 0.05
"""Share of repeats that take 1.2 to 2 times as long, where there are any."""


@dataclass(frozen=True)
class Machine:
    """A machine on which a repeat takes a time that varies.

    Attributes:
        cv: coefficient of variation of a repeat, as a fraction.
        pairs: in a comparison.
        spikes: whether some repeats take much longer.
    """

    cv: float
    pairs: int
    spikes: bool = False

    @property
    def deviation(self) -> float:
        """Standard deviation of the logarithm of a repeat's value."""
        return math.sqrt(math.log1p(self.cv**2))

    def measure(self, ratio: float, count: int, seed: int) -> tuple[Values, Values]:
        """Return values of base and candidate, a row a comparison."""
        chance = np.random.default_rng([seed, round(self.cv * 1000), self.pairs])
        shape = (count, self.pairs, 2)
        blocks = chance.normal(0, BETWEEN_BLOCKS, (count, (self.pairs + 1) // 2)).cumsum(axis=1)
        level = np.repeat(blocks, 2, axis=1)[:, : self.pairs, None]
        trend = TREND * np.arange(2 * self.pairs).reshape(1, self.pairs, 2)
        logarithms = level + trend + chance.normal(0, self.deviation, shape)
        if self.spikes:
            hit = chance.random(shape) < SPIKES
            logarithms += hit * np.log(chance.uniform(1.2, 2, shape))
        turned = np.arange(self.pairs) % 2 == 1
        first, second = logarithms[..., 0], logarithms[..., 1]
        base = np.where(turned, second, first)
        candidate = np.where(turned, first, second) + math.log(ratio)
        return np.exp(base), np.exp(candidate)

    def compare(self, ratio: float, count: int, seed: int = 1) -> list[Effect]:
        """Return the effects of so many comparisons, of a value of which less is better."""
        base, candidate = self.measure(ratio, count, seed)
        return [
            compare_pairs(*pair, higher_is_better=False)
            for pair in zip(base.tolist(), candidate.tolist(), strict=True)
        ]


@dataclass(frozen=True)
class Days:
    """A machine that is not the same each day, on which runs of six repeats are made.

    Attributes:
        between: standard deviation of the logarithm of the level of a run.
        within: of a repeat, about the level of its run.
    """

    between: float
    within: float

    def compare(self, other_runs: int, count: int, seed: int = 1) -> list[Effect]:
        """Return the effects of so many comparisons of two runs beside others of the same."""
        chance = np.random.default_rng([seed, round(self.between * 1000), other_runs])
        levels = chance.normal(0, self.between, (count, 2 + other_runs, 1))
        values = levels + chance.normal(0, self.within, (count, 2 + other_runs, 6))
        return [
            compare_samples(
                np.exp(runs[0]).tolist(),
                np.exp(runs[1]).tolist(),
                higher_is_better=False,
                other_runs=np.exp(runs[2:].mean(axis=1)).tolist(),
            )
            for runs in values
        ]


def covers(effect: Effect, ratio: float) -> bool:
    assert effect.low is not None
    assert effect.high is not None
    return effect.low <= ratio <= effect.high


def is_wrong(effect: Effect, ratio: float) -> bool:
    """Whether a verdict says what is not so.

    A change that is smaller than the margin is neither the same nor is it not: both are right.
    """
    if effect.verdict == "same":
        return abs(math.log(ratio)) >= math.log1p(effect.margin)
    right = "slower" if ratio > 1 else "faster"
    return effect.verdict != "inconclusive" and (ratio == 1 or effect.verdict != right)
