"""What a workload's `postprocess` may return as a label, for the pipeline and the loop alike."""

from __future__ import annotations

import operator
from typing import Any

from beambench.printable import storable


def as_label(value: Any) -> int | str:
    """Return a label as a plain int or str.

    Besides these, a label may be what Python itself takes for an integer (`__index__`: NumPy's, for
    instance), a text of a class of its own (`numpy.str_`), and a scalar of an array library: an
    array or tensor of shape () that holds such a value. A bool stays what it is. In text, halves of
    surrogate pairs, which Beam's coders refuse, are escaped.

    Raises:
        TypeError: it is something else. A float is, whole or not: 3.0 may be a class or a score.
    """
    if type(value) in (int, bool):
        return value  # type: ignore[no-any-return]
    if isinstance(value, str):
        return storable(str.__str__(value))
    shape = getattr(value, "shape", None)
    if shape is None:
        if hasattr(type(value), "__index__"):
            return operator.index(value)
    elif tuple(shape) == () and callable(getattr(value, "item", None)):
        scalar = value.item()
        if isinstance(scalar, (int, str)):
            return as_label(scalar)
    raise TypeError(f"a label is an int or a str, not {_described(value, shape)}")


def _described(value: Any, shape: Any) -> str:
    """Name a type, and what was given where that is short and the same every time."""
    name = type(value).__name__
    if isinstance(value, (float, bytes)):
        return f"{name} ({value!r:.60})"
    if shape is None:
        return name
    return f"{name} of shape {tuple(shape)}" if tuple(shape) else f"{name} ({value.item()!r:.60})"
