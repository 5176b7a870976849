"""What a workload's `postprocess` and `evidence` may return, for pipeline and loop alike."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Set
from typing import Any

from beambench.printable import storable

LARGEST_BITS = 1024
"""Of a label that is an integer; Python writes no integer of more than 4,300 digits as text."""


def as_label(value: Any) -> int | str:
    """Return a label as a plain int or str.

    Besides these, a label may be what Python itself takes for an integer (`__index__`: NumPy's, for
    instance), a text of a class of its own (`numpy.str_`), and a scalar of an array library: an
    array or tensor of shape () that holds such a value. A bool stays what it is. In text, halves of
    surrogate pairs, which Beam's coders refuse, are escaped.

    Raises:
        TypeError: it is something else. A float is, whole or not: 3.0 may be a class or a score.
        ValueError: it is an integer beyond all reason.
    """
    label = _plain(value)
    if isinstance(label, str):
        return storable(label)
    if label.bit_length() > LARGEST_BITS:
        raise ValueError(f"a label has at most {LARGEST_BITS} bits, not {label.bit_length()}")
    return label


def as_numbers(raw: Any) -> list[float]:
    """Return the raw outputs that `evidence` gave as plain numbers.

    Raises:
        TypeError: they are names, or have no order, so that something else would be compared.
    """
    if isinstance(raw, (Mapping, Set, str)):
        raise TypeError(f"evidence() gives numbers in a fixed order, not {type(raw).__name__}")
    return [float(value) for value in raw]


def _plain(value: Any) -> int | str:
    if type(value) in (int, bool):
        return value  # type: ignore[no-any-return]
    if isinstance(value, str):
        return str.__str__(value)
    shape = getattr(value, "shape", None)
    if shape is None:
        if hasattr(type(value), "__index__"):
            return operator.index(value)
    elif tuple(shape) == () and callable(getattr(value, "item", None)):
        scalar = value.item()
        if isinstance(scalar, (int, str)):
            return scalar
    raise TypeError(f"a label is an int or a str, not {_described(value, shape)}")


def _described(value: Any, shape: Any) -> str:
    """Name a type, and what was given where that is short and the same every time."""
    name = type(value).__name__
    if isinstance(value, (float, bytes)):
        return f"{name} ({value!r:.60})"
    if shape is None:
        return name
    return f"{name} of shape {tuple(shape)}" if tuple(shape) else f"{name} ({value.item()!r:.60})"
