"""What share of wrong labels a comparison would have shown, by hand and by counting samples."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from beambench.controller.proof.power import detectable_share


@pytest.mark.parametrize(
    ("compared", "share"),
    [
        (1, 0.95),
        (2, 0.77639),  # 1 - sqrt(0.05)
        (32, 0.08937),  # the 8.94 %
        (59, 0.04951),  # 59 is the known least n for 5 %
        (299, 0.009970),  # and 299 that for 1 %
    ],
)
def test_of_a_large_input_the_share_is_that_of_the_rule_of_three(compared, share):
    assert detectable_share(compared) == pytest.approx(share, abs=5e-6)
    assert (1 - detectable_share(compared)) ** compared == pytest.approx(0.05)


def test_an_allowed_difference_costs_power():
    # 30 compared, 1 differs: (1-p)^30 + 30 p (1-p)^29 = 0.05 at p = 14.86 % (Clopper-Pearson).
    assert detectable_share(30, differing=1) == pytest.approx(0.1486, abs=5e-5)
    assert detectable_share(30, 10**6, differing=1) == pytest.approx(0.1486, abs=5e-5)


def test_of_a_small_input_fewer_wrong_labels_suffice():
    # C(200-w, 32) / C(200, 32): 0.0544 for 16 wrong labels and 0.0450 for 17.
    assert math.comb(184, 32) / math.comb(200, 32) > 0.05 > math.comb(183, 32) / math.comb(200, 32)
    assert detectable_share(32, 200) == 16 / 200


@pytest.mark.parametrize("count", [1, 24, 200, 10**6])
def test_where_all_are_compared_every_wrong_label_is_seen(count):
    assert detectable_share(count, count) == 0.0


def test_where_nothing_agrees_nothing_is_said():
    assert detectable_share(0) == 1.0
    assert detectable_share(3, 10, differing=3) == 1.0


@pytest.mark.parametrize("numbers", [(3, 2, 0), (2, 9, 3), (2, 9, -1)])
def test_impossible_numbers_are_refused(numbers):
    with pytest.raises(ValueError, match="compared of"):
        detectable_share(*numbers)


@pytest.mark.parametrize("differing", [0, 1, 2])
@pytest.mark.parametrize("compared", [3, 5, 8])
def test_it_is_what_counting_all_samples_gives(compared, differing):
    population = 9
    samples = list(itertools.combinations(range(population), compared))

    def unseen(wrong: int) -> float:
        few = sum(
            sum(prediction < wrong for prediction in sample) <= differing for sample in samples
        )
        return few / len(samples)

    least = next((w for w in range(population + 1) if unseen(w) <= 0.05), population)
    assert detectable_share(compared, population, differing) == (least - 1) / population


def test_one_that_is_planted_is_seen_as_often_as_said():
    source = random.Random(13)
    population, compared = 1000, 32
    wrong = round(detectable_share(compared, population) * population) + 1
    runs = 4000
    seen = sum(
        any(prediction < wrong for prediction in source.sample(range(population), compared))
        for _ in range(runs)
    )
    assert seen / runs >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)
