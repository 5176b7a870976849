"""Rows of numbers: what the workloads that classify them share."""

from __future__ import annotations

import importlib.util
import math
from typing import Any, ClassVar

from pydantic import Field

from beambench.definition.schema import Definition
from beambench.errors import UsageError
from beambench.workloads.base import Parameters, Workload

DIGITS = "digits"


class RowParameters(Parameters):
    """`columns`: numbers that every row must have."""

    columns: int = Field(64, ge=1)


class Rows(Workload):
    """Reads rows of numbers with commas between them. What both handlers share."""

    runs_on_torch: ClassVar[bool] = False
    input_types: ClassVar[tuple[str, ...]] = ("rows",)
    parameters_type: ClassVar[type[Parameters]] = RowParameters

    @classmethod
    def check(cls, definition: Definition) -> None:
        super().check(definition)
        model = definition.model
        if model.weights not in ("trained", "file"):
            raise UsageError(
                f"{definition.name}: model.weights {model.weights}: this workload has `trained` "
                "(on scikit-learn's digits) and `file`"
            )
        if model.weights == "trained" and model.name != DIGITS:
            raise UsageError(
                f"{definition.name}: model.name {model.name!r}: only {DIGITS!r} can be trained "
                "here: use model.weights=file and model.path"
            )

    def preprocess(self, raw: bytes) -> Any:
        """Return the row as float32, shape (columns,)."""
        import numpy

        return numpy.array(numbers(raw, self.parameters.columns), dtype=numpy.float32)


def numbers(raw: bytes, columns: int) -> list[float]:
    """Parse a row.

    Raises:
        ValueError: a field is no finite number, or there are too many or too few.
    """
    fields = raw.split(b",")
    try:
        values = [float(field) for field in fields]
    except ValueError:
        raise ValueError(_not_a_number(fields)) from None
    if len(values) == 1 != columns:
        raise ValueError(
            f"the row has 1 number, not {columns}: put commas between the numbers (of a .tsv the"
            " first column is read)"
        )
    if len(values) != columns:
        raise ValueError(f"the row has {len(values)} numbers, not {columns}")
    if not all(map(math.isfinite, values)):
        raise ValueError("the row holds a number that is not finite")
    return values


def _not_a_number(fields: list[bytes]) -> str:
    for number, field in enumerate(fields, 1):
        try:
            float(field)
        except ValueError:
            text = field.decode(errors="backslashreplace")
            return f"column {number} holds {text[:40]!r}: expected numbers with commas between"
    raise AssertionError("all fields are numbers")


def require(*distributions: str, extra: str) -> None:
    """Raise UsageError, with what to install, if a distribution is missing."""
    modules = {"scikit-learn": "sklearn"}
    missing = [
        name for name in distributions if importlib.util.find_spec(modules.get(name, name)) is None
    ]
    if missing:
        raise UsageError(f"{', '.join(missing)} missing: pip install 'beambench[{extra}]'")
