"""Numbers that are not known exactly, and what an estimate rests on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from beambench.record.run_record import Part

Origin = Literal["measured", "definition", "assumed", "asked"]
BOUNDS = ("low", "expected", "high")


class Range(Part):
    """A number that is not known exactly."""

    low: float = Field(ge=0, allow_inf_nan=False)
    expected: float = Field(ge=0, allow_inf_nan=False)
    high: float = Field(ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low <= self.expected <= self.high:
            raise ValueError("must rise: low, expected, high")
        return self

    @classmethod
    def of(cls, low: float, expected: float, high: float) -> Range:
        return cls(low=low, expected=expected, high=high)

    @classmethod
    def exactly(cls, value: float) -> Range:
        return cls(low=value, expected=value, high=value)

    def times(self, other: Range) -> Range:
        return Range.of(
            self.low * other.low, self.expected * other.expected, self.high * other.high
        )

    def inverse(self, numerator: float) -> Range:
        """Return numerator ÷ this, the low end from the high one."""
        return Range.of(numerator / self.high, numerator / self.expected, numerator / self.low)


class Assumption(Part):
    """What a projection rests on: a number with its range, and where it comes from.

    ``origin``: measured by the run, said by the definition, asked for on the command line, or
    assumed by beambench.
    """

    name: str
    value: Range | None
    unit: str
    origin: Origin
    note: str

    @classmethod
    def said(cls, name: str, origin: Origin, note: str) -> Assumption:
        """Return one that is no number."""
        return cls(name=name, value=None, unit="", origin=origin, note=note)
