"""Beside values of scipy 1.17: `stats.t.sf`, `stats.t.isf`, and `stats.nct` for the power."""

from __future__ import annotations

import math

import pytest

from beambench.analysis.student_t import (
    critical_value,
    detectable_shift,
    power,
    repeatable_shift,
    upper_tail,
)


@pytest.mark.parametrize(
    ("t", "freedom", "tail"),
    [
        (0.0, 7, 0.5),
        (0.5, 1, 0.35241638234956674),
        (2.571, 5, 0.0249873173419257),
        (2.0, 3.7, 0.06090860095261699),
        (40.0, 3, 1.7190340394579253e-05),
        (-1.3, 9, 0.8870468136634754),
        (6.0, 200, 4.557560174405173e-09),
        (math.inf, 4, 0.0),
        (-math.inf, 4, 1.0),
    ],
)
def test_tail(t, freedom, tail):
    assert upper_tail(t, freedom) == pytest.approx(tail, rel=1e-11)


@pytest.mark.parametrize(
    ("tail", "freedom", "t"),
    [
        (0.5, 3, 0.0),
        (0.025, 1, 12.706204736174705),
        (0.005, 3, 5.840909309733357),
        (0.01, 9.5, 2.790831728905084),
        (0.005 / 12, 19, 3.9632269772242177),
        (0.025, 200, 1.9718962236339093),
    ],
)
def test_critical_value(tail, freedom, t):
    assert critical_value(tail, freedom) == pytest.approx(t, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize(
    ("shift", "freedom", "alpha", "expected"),
    [
        # R's power.t.test(n = 20, delta = 1, sd = 1), of one sample and of two.
        (math.sqrt(20), 19, 0.05, 0.9885912947787757),
        (math.sqrt(10), 38, 0.05, 0.8689530277239897),
        (0.0, 5, 0.01, 0.01),
        (5.0, 5, 0.01, 0.7708084472545973),
        (6.0, 3, 0.01, 0.6199332601167863),
        (3.75, 19, 0.01, 0.8000912108214274),
        (3.0, 7.3, 0.01, 0.40614483482993774),
    ],
)
def test_power(shift, freedom, alpha, expected):
    assert power(shift, freedom, alpha) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("freedom", [3, 5, 9, 19, 99])
@pytest.mark.parametrize("alpha", [0.01, 0.01 / 12])
def test_what_is_detectable_has_the_power(freedom, alpha):
    assert power(detectable_shift(freedom, alpha, 0.8), freedom, alpha) == pytest.approx(0.8)


# Monte Carlo: 4,000,000 standard errors of a first sample, each with a second test
@pytest.mark.parametrize(
    ("freedom", "alpha", "shift"),
    [
        (3, 0.01, 10.144),
        (5, 0.01, 6.2566),
        (9, 0.01, 4.6890),
        (19, 0.01, 3.9456),
        (9, 0.01 / 12, 6.8174),
    ],
)
def test_what_is_found_again(freedom, alpha, shift):
    assert repeatable_shift(freedom, alpha, 0.8) == pytest.approx(shift, rel=0.003)
    assert repeatable_shift(freedom, alpha, 0.8) > detectable_shift(freedom, alpha, 0.8)
