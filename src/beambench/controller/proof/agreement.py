"""Judging the sample: are its elements those of the reference, and can that be told at all?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from beambench.analysis.intervals import median
from beambench.controller.proof.power import detectable_share
from beambench.controller.proof.raw_output import RawOutput, correlation, margin
from beambench.controller.proof.sample_pairs import (
    Pair,
    blank_problems,
    evidence_problems,
    is_clear,
    not_compared,
    nothing_to_compare,
    paired,
)
from beambench.record.observation import NEAR_TIE, SampledPrediction

DISTINCT_SHARE = 0.2
"""Fewer distinct labels than this share of the sample (20 in 100) prove too little."""

MIN_COSINE = 0.999
MAX_DISTANCE = 0.05
"""Of two raw outputs, as a share of the reference's length; at equal length 0.999 is 0.045."""

SAME_DISTANCE = 1e-5
"""References this near to each other have the same input, and cannot be told apart."""

CLEARLY = 2
"""How often nearer an output must be to its own reference than to that of any other input."""

MIN_AGREEMENT = 0.99

IGNORES_INPUT = "the outputs are the same for every input: the model ignores its input"

SAME_LABEL = (
    "all sampled elements have the same label, so the model may ignore its input: let the "
    "workload's evidence() return raw outputs to compare"
)

APART = 3
"""Of references: how many times the rounding lies between two that can be told apart."""

MIN_CORRELATION = 0.9
"""Between rounded outputs and their references, each about its mean: outputs of other inputs have
about 0, and rounding to 8 bits leaves more than 0.95 where inputs make a difference at all."""


@dataclass(frozen=True)
class Agreement:
    """How far the run and the reference agree on the sample.

    Attributes:
        share: None if unknown.
        compared: ids of the elements whose labels or outputs were compared.
    """

    share: float | None
    details: dict[str, Any]
    problems: list[str]
    warnings: list[str] = field(default_factory=list)
    compared: frozenset[str] = frozenset()

    def detectable_share(self, outputs: int) -> float | None:
        """Return the share of wrong labels that the sample would have shown, if it says anything.

        Near ties of the sample are left out of the elements that it stands for, as they are of
        those compared.

        Args:
            outputs: how many elements came out.
        """
        if self.share is None or self.problems:
            return None
        count, differing = len(self.compared), len({*self.details["differing"]})
        left_out = self.details["sample"] - self.details.get("failed_alike", 0) - count
        return detectable_share(count, max(count, outputs - max(0, left_out)), differing)


def agreement(
    ours: Sequence[SampledPrediction],
    loop: Sequence[SampledPrediction],
    *,
    near_tie: float = NEAR_TIE,
    outputs: bool = True,
    rounded: bool = False,
    further: tuple[Sequence[SampledPrediction], Sequence[SampledPrediction]] = ((), ()),
) -> Agreement:
    """Compare the sampled predictions of a repeat with those of the reference loop.

    Labels are compared, not float bits. Near-ties are left out and counted. If the labels are too
    few to prove anything, the raw outputs are compared instead, those of near-ties too. Elements
    that failed on both sides, and outputs without any finite number, are counted and not compared.

    Args:
        ours: what the repeat gave.
        loop: what the reference gave.
        near_tie: two best outputs of the reference this close may change places.
        outputs: evidence is raw output that can be compared; else it only tells near ties.
        rounded: the model computes in less than float32, so that its outputs depend on the batch
            by more than a near-tie: raw outputs are compared with that in mind.
        further: labels of more elements, ours and the reference's, compared where labels are.
    """
    pairs = paired(ours, loop)
    came_out = [pair for pair in pairs if not pair.failed_alike]
    usable = [pair for pair in came_out if not pair.is_blank]
    clear = [pair.reference for pair in usable if is_clear(pair.reference, near_tie)]
    labels = {reference.label for reference in clear if reference.error is None}
    details: dict[str, Any] = {
        "sample": len(loop),
        "near_ties": sum(not is_clear(reference, near_tie) for reference in loop),
        "distinct_labels": len(labels),
        **not_compared(pairs, came_out),
    }
    problems = [*evidence_problems(ours, loop), *blank_problems(came_out, usable)]
    if not usable:
        return Agreement(None, details, problems or [nothing_to_compare(loop)])
    count = len({pair.reference.id for pair in usable})
    if rounded and outputs and any(pair.expected.values for pair in usable):
        result = _rounded_outputs_agree(usable, details)
    elif len(labels) >= max(DISTINCT_SHARE * count, min(2, count)):
        others = [pair for pair in paired(*further) if not pair.failed_alike]
        ties = sum(not is_clear(pair.reference, near_tie) for pair in others)
        details |= {"sample": len(loop) + len(others), "near_ties": details["near_ties"] + ties}
        result = _labels_agree([*usable, *others], details, near_tie, outputs=outputs)
    else:
        compare = _outputs_agree if outputs else _nothing_proven
        result = compare(usable, details, near_tie)
    warnings = [
        *result.warnings,
        *_little_compared(result),
        *_one_label(usable),
        *_all_alike(usable),
    ]
    problems += result.problems
    return replace(result, problems=problems, warnings=[] if problems else warnings)


def _little_compared(result: Agreement) -> list[str]:
    compared, sample = result.details.get("compared", 0), result.details["sample"]
    if result.share is None or 2 * compared >= sample:
        return []
    return [f"only {compared} of {sample} sampled elements were compared with the reference loop"]


def _one_label(pairs: Sequence[Pair]) -> list[str]:
    """Say that a sample has one label only, which its outputs cannot excuse altogether."""
    references = {pair.reference.id: pair for pair in pairs}
    labels = {pair.reference.label for pair in references.values()}
    if len(labels) > 1 or DISTINCT_SHARE * len(references) <= 1:
        return []
    cause = "right for random weights and one-sided inputs, else postprocess() may not read them"
    if all(len(pair.expected.values) == 1 for pair in references.values()):
        cause = "each is one number, of which the greatest is always the first: label by its value"
    return [
        f"all {len(references)} sampled elements have the label {str(labels.pop())[:50]!r}, though "
        f"the outputs of the model differ: {cause}"
    ]


def _all_alike(pairs: Sequence[Pair]) -> list[str]:
    """Say that outputs are too near to each other to tell whose they are."""
    outputs = [pair.expected for pair in pairs if pair.expected.values]
    if len({pair.reference.id for pair in pairs}) < 2 or len(outputs) < 2:
        return []
    first = outputs[0]
    if any(first.distance(output) > SAME_DISTANCE * first.length() for output in outputs):
        return []
    return [
        f"the outputs of all sampled elements lie within {SAME_DISTANCE:g} of their length, too "
        "near to tell one element's from another's"
    ]


def _labels_agree(
    pairs: Sequence[Pair], details: dict[str, Any], near_tie: float, *, outputs: bool
) -> Agreement:
    """Compare labels, and of outputs only whether they are finite at the same places."""
    compared = [
        pair
        for pair in pairs
        if is_clear(pair.reference, near_tie) or (outputs and pair.gaps_differ)
    ]
    if not compared:
        return Agreement(None, {**details, "method": "labels", "compared": 0}, [])
    differing = [
        pair.reference.id
        for pair in compared
        if pair.label_differs(near_tie) or (outputs and pair.gaps_differ)
    ]
    return _judged(compared, differing, {**details, "method": "labels"})


def _judged(
    pairs: Sequence[Pair], differing: Sequence[str], details: Mapping[str, Any], **noise: Any
) -> Agreement:
    """Return the share of the compared pairs that do not differ, and a problem if it is small."""
    compared = len(pairs)
    details = {**details, "compared": compared}
    judged = {**details, "differing": [*differing], **noise}
    if not compared:
        return Agreement(None, judged, [])
    share = 1 - len(differing) / compared
    problems = [
        f"{len(differing)} of {compared} sampled elements differ from the reference loop, "
        f"first {differing[0]!r}"
        for _ in range(share < MIN_AGREEMENT)
    ]
    warnings = [
        f"{len(differing)} of {compared} sampled elements differ from the reference loop, which "
        f"{MIN_AGREEMENT:g} agreement allows, first {differing[0]!r}"
        for _ in range(bool(differing))
    ]
    ids = frozenset(pair.reference.id for pair in pairs)
    return Agreement(share, judged, problems, warnings, ids)


def _nothing_proven(pairs: Sequence[Pair], details: dict[str, Any], near_tie: float) -> Agreement:
    """Without raw outputs few labels that are equal prove nothing; those that differ are wrong."""
    result = _labels_agree(pairs, details, near_tie, outputs=False)
    if result.problems:
        return result
    reason = "labels are too few to prove anything and the workload gives no raw outputs"
    problems = []
    if DISTINCT_SHARE * len(pairs) > 1:
        if not details["distinct_labels"]:
            problems = [f"all {len(pairs)} sampled elements are near ties: no label was compared"]
        elif details["distinct_labels"] == 1:
            problems = [SAME_LABEL]
    return Agreement(None, {**result.details, "reason": reason}, problems)


def _split(pairs: Sequence[Pair], near_tie: float) -> tuple[list[Pair], list[Pair]]:
    """Return the pairs that can be compared, and those that only have the same label."""
    compared: list[Pair] = []
    lacking: list[Pair] = []
    for pair in pairs:
        says_something = pair.has_output or pair.label_differs(near_tie)
        (compared if says_something else lacking).append(pair)
    return compared, lacking


def _with_lacking(result: Agreement, lacking: Sequence[Pair]) -> Agreement:
    """Say of how many elements the workload gave no outputs; too many leave agreement unknown."""
    if not lacking:
        return result
    details = {**result.details, "without_outputs": len(lacking)}
    problems, share = list(result.problems), result.share
    if not problems and len(lacking) > details["compared"]:
        share = None
        details["reason"] = "the workload gives no raw outputs for most of the sample"
    same = len({pair.reference.label for pair in lacking}) == 1
    if not problems and same and DISTINCT_SHARE * len(lacking) > 1:
        problems = [SAME_LABEL]
    return replace(result, share=share, details=details, problems=problems)


def _ignores_input(pairs: Iterable[Pair]) -> bool:
    references = {pair.reference.id: pair.expected for pair in pairs if pair.expected.values}
    return len(references) > 1 and len(set(references.values())) == 1


def _outputs_agree(pairs: Sequence[Pair], details: dict[str, Any], near_tie: float) -> Agreement:
    """Compare raw outputs: nearly the same, and clearly nearest to the own reference."""
    if not any(pair.expected.values for pair in pairs):
        return _nothing_proven(pairs, details, near_tie)
    compared, lacking = _split(pairs, near_tie)
    details = {**details, "method": "outputs", "compared": len(compared)}
    if _ignores_input(compared):
        return Agreement(None, details, [IGNORES_INPUT])
    others = [pair.expected for pair in compared if pair.expected.values]
    differing, cosines, largest = [], [], 0.0
    for pair in compared:
        output, expected = pair.output, pair.expected
        comparable = output.is_comparable(expected)
        if comparable and expected.values:
            cosines.append(output.cosine(expected))
            largest = max(largest, output.largest_difference(expected))
        if (
            not comparable
            or pair.label_differs(near_tie)
            or (expected.values and not _is_output_of(output, expected, others))
        ):
            differing.append(pair.reference.id)
    noise = {"least_cosine": min(cosines, default=None), "largest_difference": largest}
    return _with_lacking(_judged(compared, differing, details, **noise), lacking)


def _rounded_outputs_agree(pairs: Sequence[Pair], details: dict[str, Any]) -> Agreement:
    """Compare raw outputs of a model that rounds: near their references, and following them.

    Each must be nearest to its own reference, of those that the rounding leaves apart; over the
    sample the outputs must correlate with their references.
    """
    compared, lacking = _split(pairs, near_tie=0.0)
    details = {**details, "method": "rounded outputs", "compared": len(compared)}
    if _ignores_input(compared):
        return Agreement(None, details, [IGNORES_INPUT])
    usable: list[Pair] = []
    differing, cosines, largest, flipped = [], [], 0.0, 0
    for pair in compared:
        if not pair.expected.values or not pair.output.is_comparable(pair.expected):
            differing.append(pair.reference.id)
            continue
        usable.append(pair)
        difference = pair.output.largest_difference(pair.expected)
        cosines.append(pair.output.cosine(pair.expected))
        largest = max(largest, difference)
        flips = pair.label_differs(near_tie=0.0)
        flipped += flips
        if not _is_near(pair.output, pair.expected) or (flips and not _explains(difference, pair)):
            differing.append(pair.reference.id)
    differing += [place for place in _misplaced(usable) if place not in differing]
    follows = correlation([(pair.output, pair.expected) for pair in usable])
    noise = {
        "labels_flipped": flipped,
        "least_cosine": min(cosines, default=None),
        "largest_difference": largest,
        "correlation": follows,
    }
    result = _judged(compared, differing, details, **noise)
    if not result.problems and follows is not None and follows < MIN_CORRELATION:
        result.problems.append(
            f"the outputs do not follow those of the reference loop (correlation {follows:.2f})"
        )
    return _with_lacking(result, lacking)


def _misplaced(pairs: Sequence[Pair]) -> list[str]:
    """Return the ids of outputs that are nearer to the reference of another element.

    Only references that lie apart by more than `APART` times the rounding, which the median of the
    distances tells, speak for or against.
    """
    if not pairs:
        return []
    apart = APART * median([pair.output.distance(pair.expected) for pair in pairs])
    return [
        pair.reference.id
        for pair in pairs
        if any(
            pair.expected.distance(other.expected) > apart
            and pair.output.distance(other.expected) <= pair.output.distance(pair.expected)
            for other in pairs
        )
    ]


def _explains(difference: float, pair: Pair) -> bool:
    """Tell whether outputs that differ by so much at most can change places at the top."""
    return len(pair.expected.values) < 2 or margin(pair.reference.evidence) <= 2 * difference


def _is_output_of(output: RawOutput, own: RawOutput, references: Iterable[RawOutput]) -> bool:
    """Tell outputs from those of another element: with random weights all are nearly parallel."""
    if not _is_near(output, own):
        return False
    distance, length = output.distance(own), own.length()
    return all(
        CLEARLY * distance <= output.distance(other)
        for other in references
        if own.distance(other) > SAME_DISTANCE * length
    )


def _is_near(output: RawOutput, own: RawOutput) -> bool:
    near = output.distance(own) <= MAX_DISTANCE * own.length()
    return near and output.cosine(own) >= MIN_COSINE
