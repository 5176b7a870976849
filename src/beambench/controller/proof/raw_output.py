"""Raw outputs of a model, and how far two of them lie apart."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

Gap = tuple[int, str]
"""Where a value is not finite, and whether it is ``nan``, ``inf`` or ``-inf``."""


@dataclass(frozen=True)
class RawOutput:
    """The raw output for one element, ready to be compared.

    Two outputs can be compared if their gaps are the same; distances are over the finite rest.

    Attributes:
        values: the numbers, with 0 in place of those that are not finite.
        gaps: the values that are not finite.
    """

    values: tuple[float, ...]
    gaps: tuple[Gap, ...] = ()

    @classmethod
    def of(cls, evidence: Sequence[float] | None) -> RawOutput:
        """Return the output that a workload's `evidence` gave; an empty one for None."""
        numbers = evidence or ()
        gaps = tuple((index, str(x)) for index, x in enumerate(numbers) if not math.isfinite(x))
        return cls(tuple(x if math.isfinite(x) else 0.0 for x in numbers), gaps)

    @property
    def has_finite(self) -> bool:
        return len(self.values) > len(self.gaps)

    def is_comparable(self, other: RawOutput) -> bool:
        """Tell whether the other has as many values, and the same at each gap."""
        return len(self.values) == len(other.values) and self.gaps == other.gaps

    def distance(self, other: RawOutput) -> float:
        """Return the Euclidean distance; infinite if they cannot be compared."""
        return math.dist(self.values, other.values) if self.is_comparable(other) else math.inf

    def length(self) -> float:
        return math.hypot(*self.values)

    def cosine(self, other: RawOutput) -> float:
        return cosine(self.values, other.values)

    def largest_difference(self, other: RawOutput) -> float:
        """Return the largest difference at one place, in the unit of the outputs."""
        differences = (abs(a - b) for a, b in zip(self.values, other.values, strict=True))
        return min(max(differences, default=0.0), sys.float_info.max)


def cosine(left: Sequence[float], other: Sequence[float]) -> float:
    """Return the cosine between two vectors of finite numbers; of zeros, 1 if they are equal."""
    if list(left) == list(other):
        return 1.0
    norm = math.hypot(*left) * math.hypot(*other)
    similarity = sum(a * b for a, b in zip(left, other, strict=True)) / norm if norm else 0.0
    return (
        similarity if math.isfinite(similarity) else 0.0
    )  # of numbers near the greatest that exists


def margin(evidence: Sequence[float] | None) -> float:
    """Return by how much the greatest value leads; infinite where there are no two to compare.

    A value that is not a number is no candidate, and two that are infinite alike are tied.
    """
    ranked = sorted((value for value in evidence or () if not math.isnan(value)), reverse=True)[:2]
    if len(ranked) < 2:
        return math.inf
    return 0.0 if ranked[0] == ranked[1] else ranked[0] - ranked[1]


def correlation(pairs: Sequence[tuple[RawOutput, RawOutput]]) -> float | None:
    """Return Pearson's correlation over all outputs, each about its mean over the sample.

    Gaps, which are the same on both sides of a pair, count in neither mean nor sum.

    Returns:
        None for fewer than two pairs, for different lengths, or where all references are the same.
    """
    if len(pairs) < 2 or len({len(own.values) for _, own in pairs}) != 1:
        return None
    gaps = [{index for index, _ in own.gaps} for _, own in pairs]
    centred = []
    for side in zip(*pairs, strict=True):
        rows = [output.values for output in side]
        counts = [sum(index not in gap for gap in gaps) for index in range(len(rows[0]))]
        sums = [sum(column) for column in zip(*rows, strict=True)]
        means = [total / count if count else 0.0 for total, count in zip(sums, counts, strict=True)]
        centred.append(
            [
                0.0 if index in gap else value - means[index]
                for row, gap in zip(rows, gaps, strict=True)
                for index, value in enumerate(row)
            ]
        )
    ours, references = centred
    return cosine(ours, references) if any(references) else None
