"""The sample of a repeat beside that of the reference, and what of it cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from beambench.controller.proof.raw_output import RawOutput, margin
from beambench.record.observation import EVIDENCE, SampledPrediction


@dataclass(frozen=True)
class Pair:
    """What the run gave for a sampled element, None if nothing, and what the reference gave."""

    ours: SampledPrediction | None
    reference: SampledPrediction
    output: RawOutput
    expected: RawOutput

    @property
    def failed_alike(self) -> bool:
        return (
            self.ours is not None
            and self.ours.error is not None
            and self.reference.error is not None
        )

    @property
    def has_output(self) -> bool:
        return bool(self.output.values or self.expected.values)

    @property
    def is_blank(self) -> bool:
        """Whether both outputs are alike and hold no finite number, so that no label follows."""
        alike = bool(self.expected.values) and self.expected.is_comparable(self.output)
        return alike and not self.expected.has_finite

    @property
    def gaps_differ(self) -> bool:
        """Whether a value is finite on one side only, of outputs of the same length."""
        same_length = len(self.output.values) == len(self.expected.values)
        return same_length and self.output.gaps != self.expected.gaps

    def label_differs(self, near_tie: float) -> bool:
        """A failed element has no label, so one that failed on one side only differs too."""
        if self.ours is None:
            return True
        return self.ours.label != self.reference.label and is_clear(self.reference, near_tie)


def is_clear(reference: SampledPrediction, near_tie: float) -> bool:
    """Tell whether the two greatest outputs are far apart, or there are none to compare."""
    return margin(reference.evidence) >= near_tie


def paired(
    ours: Sequence[SampledPrediction], references: Sequence[SampledPrediction]
) -> list[Pair]:
    """Put what the run gave beside each element of the reference's sample."""
    by_id: dict[str, list[SampledPrediction]] = {}
    for prediction in ours:  # an element that the input names twice comes out twice
        by_id.setdefault(prediction.id, []).append(prediction)
    return [
        Pair(
            candidate,
            reference,
            RawOutput.of(candidate.evidence if candidate is not None else None),
            RawOutput.of(reference.evidence),
        )
        for reference in references
        for candidate in by_id.get(reference.id, [None])
    ]


def not_compared(pairs: Sequence[Pair], came_out: Sequence[Pair]) -> dict[str, Any]:
    """Return how many failed alike, and the share of values that are not finite, where any."""
    failed = len(pairs) - len(came_out)
    values = sum(len(pair.expected.values) for pair in came_out)
    gaps = sum(len(pair.expected.gaps) for pair in came_out)
    return {
        **({"failed_alike": failed} if failed else {}),
        **({"not_finite": gaps / values} if gaps else {}),
    }


def nothing_to_compare(loop: Sequence[SampledPrediction]) -> str:
    """Say why no element of a sample can be compared."""
    if not loop:
        return "the reference loop has no sample, so nothing could be compared"
    return f"all {len(loop)} sampled elements failed, here and in the reference loop"


def evidence_problems(
    ours: Sequence[SampledPrediction], loop: Sequence[SampledPrediction]
) -> list[str]:
    """Name an evidence() that fails: it is called for the sample only, which then proves less."""
    failed = {
        prediction.id: prediction for prediction in [*ours, *loop] if prediction.stage == EVIDENCE
    }
    if not failed:
        return []
    first = next(iter(failed.values()))
    return [
        f"evidence() failed for {len(failed)} of {len(loop)} sampled elements, which cannot be "
        f"compared, first {first.id!r}: {first.error}"
    ]


def blank_problems(came_out: Sequence[Pair], usable: Sequence[Pair]) -> list[str]:
    """Name a model that gives no finite number for more than half of the sample."""
    blank = len(came_out) - len(usable)
    having = sum(pair.has_output for pair in came_out)
    if 2 * blank <= having or not blank:
        return []
    return [
        f"{blank} of {having} sampled outputs hold no finite number (NaN or infinite throughout): "
        "the model has not worked"
    ]
