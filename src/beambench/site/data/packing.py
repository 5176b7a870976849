"""Numbers of charts as whole ones with a power of ten for each metric: they are half as long.

``unpack.js`` makes numbers of them again, the same ones to the last digit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

ENDS = ("values", "low", "high")
"""Columns of a series that hold numbers of metrics, or null."""

DIGITS = 5
"""Significant digits of a number at most."""

FARTHEST = 290
"""Power of ten up to which a double holds all of its digits."""

Column = Sequence[float | None]


def packed(series: Mapping[str, Any]) -> dict[str, Any]:
    """Return a series with whole numbers where those are shorter, and the `exponents` of these."""
    result = {**series, **{end: dict(series[end]) for end in ENDS}, "exponents": {}}
    for name in series["values"]:
        columns = {end: series[end][name] for end in ENDS if name in series[end]}
        exponent = _exponent(columns)
        if exponent is None:
            continue
        whole = {end: _whole(column, exponent) for end, column in columns.items()}
        while all(not number or number % 10 == 0 for column in whole.values() for number in column):
            exponent += 1
            whole = {end: _whole(column, exponent) for end, column in columns.items()}
        if _length(whole) < _length(columns):
            result["exponents"][name] = exponent
            for end, column in whole.items():
                result[end][name] = column
    return result


def _exponent(columns: Mapping[str, Column]) -> int | None:
    """Return the power of ten of the last digit of the least number; None where there is none."""
    sizes = [abs(number) for column in columns.values() for number in column if number]
    if not sizes:
        return None
    exponent = math.floor(math.log10(min(sizes))) - DIGITS + 1
    return exponent if abs(exponent) < FARTHEST else None


def _whole(column: Column, exponent: int) -> list[int | None]:
    scale = 10.0 ** abs(exponent)
    if exponent < 0:
        return [None if number is None else round(number * scale) for number in column]
    return [None if number is None else round(number / scale) for number in column]


def _length(columns: Mapping[str, object]) -> int:
    return len(json.dumps(columns))
