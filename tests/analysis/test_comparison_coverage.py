"""Verdicts are right, intervals cover and changes are found as said: simulated comparisons.

The seeds are fixed, so a test either passes or does not. `benchmarks/simulated_comparisons.py`
prints the whole table. Under `make torture` 2,000 comparisons are made for each noise and number
of pairs; else 200, and a bound is moved by two standard errors of what so few can show.
"""

from __future__ import annotations

import itertools
import math
import os

import pytest

from beambench.analysis.comparison import ALPHA, MARGIN, detectable
from paired_measurements import Days, Machine, covers, is_wrong

pytestmark = pytest.mark.torture

COUNT = 2000 if os.environ.get("BEAMBENCH_TEST_TORTURE") == "full" else 200
CVS = (0.01, 0.02, 0.05, 0.1, 0.2)
PAIRS = (4, 6, 10, 20)
CELLS = len(CVS) * len(PAIRS)

ratios = pytest.mark.parametrize("ratio", [1.0, 1 + MARGIN, 1.05, 0.95, 1.1])


def at_most(share: float, count: int) -> float:
    """Return the bound itself for the whole number of comparisons."""
    return share if COUNT == 2000 else share + 2 * math.sqrt(share * (1 - share) / count)


@ratios
@pytest.mark.parametrize("spikes", [False, True])
def test_verdicts_are_right_and_intervals_cover(ratio, spikes):
    wrong = missed = 0
    for cv, pairs in itertools.product(CVS, PAIRS):
        effects = Machine(cv, pairs, spikes).compare(ratio, COUNT)
        outside = sum(not covers(effect, ratio) for effect in effects)
        assert outside / COUNT <= at_most(0.07, COUNT)
        missed += outside
        wrong += sum(is_wrong(effect, ratio) for effect in effects)
    assert wrong / (CELLS * COUNT) <= at_most(0.01, CELLS * COUNT)
    assert missed / (CELLS * COUNT) <= at_most(0.055, CELLS * COUNT)


@pytest.mark.parametrize("cv", CVS)
@pytest.mark.parametrize("pairs", PAIRS)
def test_what_is_detectable_is_found_with_80_percent(cv, pairs):
    machine = Machine(cv, pairs)
    known = detectable(math.sqrt(2) * machine.deviation, pairs)
    found = sum(effect.p <= ALPHA for effect in machine.compare(1 + known, COUNT))
    assert abs(found / COUNT - 0.8) <= 0.1
    first = machine.compare(1.0, COUNT, seed=2)
    again = [
        machine.compare(1 + effect.mde, 1, seed)[0]
        for seed, effect in enumerate(first, start=1000)
        if effect.mde is not None
    ]
    assert abs(sum(effect.p <= ALPHA for effect in again) / COUNT - 0.8) <= 0.1


@pytest.mark.parametrize("between", [0.0, 0.02, 0.05])
@pytest.mark.parametrize("runs", [4, 8, 20])
def test_two_runs_of_the_same_are_rarely_called_different(between, runs):
    count = 10 * COUNT
    effects = Days(between, within=0.01).compare(runs, count)
    wrong = sum(is_wrong(effect, 1.0) for effect in effects)
    assert wrong / count <= at_most(0.015, count)
    assert sum(covers(effect, 1.0) for effect in effects) / count >= 0.93
