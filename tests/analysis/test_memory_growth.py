"""Literal readings in, growth or none out."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import accumulate

import pytest

from beambench.analysis.memory_growth import Growth, Reading, growth

MB = 1_000_000
BASE = 400 * MB


def readings(
    memory: Callable[[int], float], sizes: Sequence[int] = (10,) * 40, noise: float = 0
) -> list[Reading]:
    """Return readings of batches; `noise` in bytes."""
    source = random.Random(1)
    before = accumulate(sizes, initial=0)
    return [
        Reading(number, elements, size, int(BASE + memory(number) + source.uniform(-1, 1) * noise))
        for number, (elements, size) in enumerate(zip(before, sizes, strict=False))
    ]


def test_a_leak_is_measured_from_the_end_of_the_warm_up():
    grown = growth(readings(lambda number: 12 * MB * number))
    assert grown == Growth(12 * MB, 29, BASE + 120 * MB, BASE + 468 * MB)


def test_a_leak_among_noise_and_batches_of_any_size():
    source = random.Random(0)
    sizes = [source.choice((10, 20, 40)) for _ in range(100)]
    data = readings(lambda number: 2 * MB * number + 0.6 * MB * sizes[number], sizes, 5 * MB)
    grown = growth(data)
    assert grown is not None
    assert grown.per_batch == pytest.approx(2 * MB, rel=0.1)


def test_readings_that_were_thinned_out_count_all_batches():
    every_fourth = readings(lambda number: 3 * MB * number, [10] * 160)[::4]
    grown = growth(every_fourth)
    assert grown is not None
    assert (grown.per_batch, grown.batches) == (pytest.approx(3 * MB), 116)


@pytest.mark.parametrize(
    "memory",
    [
        lambda number: 0,
        lambda number: 300 * MB * (number > 0),
        lambda number: 30 * MB * min(number, 10),
        lambda number: 20 * MB * min(number, 22),
        lambda number: 500 * MB * (number > 25),
        lambda number: 0.9 * MB * number,
        lambda number: 60 * MB * (number % 7),
        lambda number: -12 * MB * number,
        lambda number: 500 * MB * (1 - 0.85**number),
    ],
    ids=[
        "flat",
        "first-batch",
        "cache-that-fills-in-the-warm-up",
        "cache-that-fills-in-the-middle",
        "one-step",
        "less-than-32-MiB",
        "sawtooth",
        "falling",
        "levelling-off",
    ],
)
def test_what_levels_off_or_is_little_is_no_leak(memory):
    assert growth(readings(memory, noise=2 * MB)) is None


def test_batches_that_grow_hold_more_examples_and_leak_nothing():
    sizes = list(range(10, 50))
    assert growth(readings(lambda number: 5 * MB * sizes[number], sizes)) is None


def test_outputs_that_the_runner_keeps_are_no_leak():
    sizes = [1000] * 400
    assert growth(readings(lambda number: 1000 * 300 * number, sizes)) is None  # 120 MB at the end
    assert growth(readings(lambda number: 1000 * 3000 * number, sizes)) is not None


def test_a_large_model_leaks_by_its_own_measure():
    def of(base: int) -> Growth | None:
        data = readings(lambda number: 2 * MB * number)
        return growth([reading._replace(rss=reading.rss + base) for reading in data])

    assert of(0) is not None
    assert of(20_000 * MB) is None


@pytest.mark.parametrize("count", [0, 1, 15])
def test_too_few_batches_say_nothing(count):
    assert growth(readings(lambda number: 100 * MB * number, [10] * count)) is None
