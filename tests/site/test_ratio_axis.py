from __future__ import annotations

import math
from itertools import pairwise

import pytest

from beambench.site.ratio_axis import LEAST_DISTANCE, RatioAxis


def test_a_ratio_and_its_inverse_are_as_far_from_the_middle():
    axis = RatioAxis([0.8, 1.1])
    assert axis.at(1.0) == 50
    assert axis.at(0.8) + axis.at(1.25) == pytest.approx(100, abs=0.01)
    assert 0 < axis.at(0.8) < axis.at(1.1) < 100


def test_the_margin_is_a_band_around_the_middle():
    low, high = RatioAxis([1.0], margin=0.03).margin
    assert low + high == pytest.approx(100, abs=0.01)
    assert low < 50 < high


@pytest.mark.parametrize(
    ("ratio", "low", "high", "beyond"),
    [
        (1.0, 0.99, 1.01, None),
        (100.0, 90.0, 110.0, "right"),
        (0.001, 0.0, 0.002, "left"),
        (1.0, 0.99, 1e300, "right"),
        (1e-300, None, None, "left"),
        (math.inf, None, None, "right"),
    ],
)
def test_what_is_beyond_the_axis_stands_at_its_edge(ratio, low, high, beyond):
    mark = RatioAxis([ratio]).mark(ratio, low, high)
    assert mark.beyond == beyond
    assert all(0 <= at <= 100 for at in (mark.at, mark.low, mark.high) if at is not None)


@pytest.mark.parametrize("reach", [1.01, 1.06, 1.3, 2.5, 50])
def test_ticks_do_not_touch(reach):
    ticks = RatioAxis([reach]).ticks()
    places = [tick.at for tick in ticks]
    assert "0" in [tick.label for tick in ticks]
    assert len(ticks) >= 3
    assert min(b - a for a, b in pairwise(places)) >= LEAST_DISTANCE
