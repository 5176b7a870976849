"""Student's t distribution, and the power of its test: on nothing but the standard library.

Sources:

* W. H. Press et al., *Numerical Recipes*, 3rd edition (2007), section 6.4: the incomplete beta
  function as a continued fraction, evaluated by Lentz's method.
* J. Cohen, *Statistical Power Analysis for the Behavioral Sciences*, 2nd edition (1988), chapter 2:
  the power of a t test is a tail of the noncentral t distribution.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

_TINY = 1e-300
_EPSILON = 1e-16
_LARGEST_STEPS = 10_000
_POINTS = 1_000
_COARSE_POINTS = (30, 150)
"""Of the outer and the inner integral: within 0.2 points of the power of ten times as many."""
_NEGLIGIBLE = 40.0
"""Natural logarithm of the share of the density that the integral leaves out."""


def upper_tail(t: float, freedom: float) -> float:
    """Return P(T > t) of Student's distribution.

    Args:
        t: any number, infinities included.
        freedom: degrees of freedom, above 0, not necessarily whole.
    """
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    half = _incomplete_beta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2
    return half if t >= 0 else 1 - half


@functools.lru_cache(maxsize=4096)
def critical_value(tail: float, freedom: float) -> float:
    """Return the t above which ``tail`` of Student's distribution lies, for a tail up to 1/2."""
    return _increasing_root(lambda t: tail - upper_tail(t, freedom))


def power(shift: float, freedom: float, alpha: float, points: int = _POINTS) -> float:
    """Return how likely the two-sided test at ``alpha`` finds a difference.

    Args:
        shift: of the true mean from that of no difference, in standard errors.
        freedom: degrees of freedom.
        alpha: of the test, both sides together.
        points: of the numerical integral.
    """
    critical = critical_value(alpha / 2, freedom)
    return sum(
        weight * (_normal_tail(critical * spread - shift) + _normal_tail(critical * spread + shift))
        for spread, weight in _spreads(freedom, points)
    )


@functools.lru_cache(maxsize=4096)
def detectable_shift(freedom: float, alpha: float, wanted: float) -> float:
    """Return the shift, in standard errors, that the two-sided test finds with a given power."""
    return _increasing_root(lambda shift: power(shift, freedom, alpha) - wanted)


@functools.lru_cache(maxsize=4096)
def repeatable_shift(freedom: float, alpha: float, wanted: float) -> float:
    """Return the shift that another test finds with a given power, in standard errors as estimated.

    The standard error of a first sample is itself by chance. Of all pairs of a first sample and a
    second one of the same size, the second finds a shift of so many standard errors of the first
    with the power wanted: more than `detectable_shift`, which takes the standard error for known.
    """
    outer, inner = _COARSE_POINTS
    return _increasing_root(
        lambda shift: sum(
            weight * (power(shift * spread, freedom, alpha, inner) - wanted)
            for spread, weight in _spreads(freedom, outer)
        ),
        accuracy=1e-5,
    )


@functools.lru_cache(maxsize=64)
def _spreads(freedom: float, points: int) -> tuple[tuple[float, float], ...]:
    """Return values of (sample deviation ÷ true deviation) with their probabilities.

    The trapezoidal rule over its logarithm u, whose density is proportional to
    exp(freedom·(u - e^(2u)/2)): smooth, and falling to nothing on both sides.
    """
    low = -math.sqrt(_NEGLIGIBLE / freedom) - _NEGLIGIBLE / freedom
    high = 0.5 * math.log1p(2 * (_NEGLIGIBLE + math.sqrt(_NEGLIGIBLE * freedom)) / freedom)
    step = (high - low) / points
    logarithms = [low + step * index for index in range(points + 1)]
    densities = [math.exp(freedom * (u - (math.exp(2 * u) - 1) / 2)) for u in logarithms]
    whole = math.fsum(densities)
    return tuple(
        (math.exp(u), density / whole) for u, density in zip(logarithms, densities, strict=True)
    )


def _normal_tail(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2))


def _increasing_root(function: Callable[[float], float], accuracy: float = 1e-12) -> float:
    """Return where a function that increases from 0 or below is 0, for arguments from 0 on."""
    low, high = 0.0, 1.0
    while function(high) < 0:
        low, high = high, 2 * high
    while high - low > accuracy * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return high


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function of x in [0, 1]."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    factor = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1) / (a + b + 2):
        return factor * _continued_fraction(x, a, b) / a
    return 1 - factor * _continued_fraction(1 - x, b, a) / b


def _continued_fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _LARGEST_STEPS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _nonzero(1 + term * d)
            c = _nonzero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _EPSILON:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
