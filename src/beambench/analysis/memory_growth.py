"""Whether the memory of a process grows with every batch, from one reading before each.

Pure functions on numbers. The slope is that of a least-squares fit of memory on the number of the
batch, with the batch's size held constant (Frisch, Waugh and Lovell: all is taken as residuals of a
fit on the size), because the examples of a larger batch take more memory and batches may grow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

MIN_POINTS = 16
WARM_UP = 0.25
"""Share of the readings that are left out: what is made once, in the first batches, is no leak."""

LEAST_BYTES = 32 << 20
LEAST_SHARE = 0.05
BYTES_PER_ELEMENT = 1024
"""Growth has to be more than each of these: allocators do not give back all that is freed, and
Beam's direct runner keeps the outputs of a stage until it ends."""

LEAST_CORRELATION = 0.9
LEAST_HALF = 0.5
"""Of the slope of the whole, in each half: what levels off is a cache that has filled."""

COLLINEAR = 0.1
"""With less of the variance of the number left at constant size, the two cannot be told apart."""


class Reading(NamedTuple):
    """Memory before a batch: batches and elements so far, elements of the batch, resident bytes."""

    batches: int
    elements: int
    size: int
    rss: int


class Growth(NamedTuple):
    """Memory that grew: bytes a batch, over how many batches, from and to how many bytes."""

    per_batch: float
    batches: int
    start: int
    end: int


def growth(readings: Sequence[Reading]) -> Growth | None:
    """Return how memory grows with every batch, or None if it does not or too little is known."""
    if len(readings) < MIN_POINTS:
        return None
    steady = readings[int(WARM_UP * len(readings)) :]
    first, last = steady[0], steady[-1]
    slope, correlation = _slope(steady)
    grown = slope * (last.batches - first.batches)
    elements = last.elements - first.elements
    if grown < max(LEAST_BYTES, LEAST_SHARE * first.rss, BYTES_PER_ELEMENT * elements):
        return None
    middle = len(steady) // 2
    halves = (_slope(steady[:middle])[0], _slope(steady[middle:])[0])
    if correlation < LEAST_CORRELATION or min(halves) < LEAST_HALF * slope:
        return None
    return Growth(slope, last.batches - first.batches, first.rss, last.rss)


def _slope(readings: Sequence[Reading]) -> tuple[float, float]:
    """Return bytes a batch at constant size, and the correlation; zeros where undetermined."""
    sizes = _centred([reading.size for reading in readings])
    numbers = _centred([reading.batches for reading in readings])
    memory = _centred([reading.rss for reading in readings])
    rest, grown = _residuals(numbers, sizes), _residuals(memory, sizes)
    spread, whole = _dot(rest, rest), _dot(numbers, numbers)
    if not spread or spread < COLLINEAR * whole:
        return 0.0, 0.0
    norm = math.sqrt(spread * _dot(grown, grown))
    return _dot(rest, grown) / spread, _dot(rest, grown) / norm if norm else 0.0


def _centred(values: Sequence[float]) -> list[float]:
    mean = sum(values) / len(values)
    return [value - mean for value in values]


def _residuals(values: Sequence[float], on: Sequence[float]) -> list[float]:
    spread = _dot(on, on)
    factor = _dot(values, on) / spread if spread else 0.0
    return [value - factor * other for value, other in zip(values, on, strict=True)]


def _dot(left: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, other, strict=True))
