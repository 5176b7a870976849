"""How many elements the reference takes: the sample always, further ones while they cost little."""

from __future__ import annotations

import pytest

from beambench.record.observation import SampledPrediction
from beambench.worker.outputs import with_two_greatest
from beambench.worker.sample import Budget, further_of, sample_of

IDS = [str(number) for number in range(2000)]


def sample_size(element: float, *, repeats: int, start_up: float = 0.0, count: int = 2000) -> int:
    """Return how many elements are sample_size, of which each takes so many seconds."""
    clock = [0.0]
    budget = Budget(32, count, repeats, lambda: start_up, lambda: clock[0])
    done = 0
    while not budget.is_spent(done):
        clock[0] += element
        done += 1
    return done


@pytest.mark.parametrize(
    ("element", "repeats", "start_up", "count", "further"),
    [
        # 5 % of 4 repeats, each 9.9375 s to start and 20 elements of 1/16 s / 16: 2.003 s.
        (1 / 16, 4, 9.9375, 20, 33),
        # 5 % of 2 repeats of 16,000 elements of 1/64 s in batches, 15.625 s: 1.5625 s are 100.
        (1 / 64, 2, 0.0, 16_000, 100),
        (1 / 16, 0, 9.0, 20, 0),
    ],
)
def test_further_elements_cost_5_percent_of_the_repeats(element, repeats, start_up, count, further):
    sample = sample_size(element, repeats=repeats, start_up=start_up, count=count)
    assert sample - 32 == pytest.approx(further, abs=1)  # the last begins before the time is over
    assert (sample - 33) * element <= 0.05 * repeats * (start_up + count * element / 16)


def test_the_sample_is_taken_whatever_it_costs():
    assert sample_size(1000.0, repeats=0) == 32


def test_further_elements_are_others_and_others_with_another_seed():
    sample = sample_of(IDS, 0)
    further = further_of(IDS, sample, 0)
    assert (len(further), len({*further})) == (480, 480)
    assert not {*further} & {*sample}
    assert further == further_of(IDS, sample, 0) != further_of(IDS, sample, 1)
    few = sample_of(IDS[:40], 0)
    assert sorted(few + further_of(IDS[:40], few, 0)) == sorted(IDS[:40])
    assert further_of(IDS[:5], sample_of(IDS[:5], 0), 0) == []


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [([0.5, 3.0, float("nan"), 2.0], [3.0, 2.0]), ([1.0], [1.0]), ([], []), (None, None)],
)
def test_of_the_evidence_of_further_elements_what_tells_a_near_tie_is_kept(evidence, expected):
    given = SampledPrediction(id="a", label=1, evidence=evidence)
    assert with_two_greatest(given).evidence == expected
