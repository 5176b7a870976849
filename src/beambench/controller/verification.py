"""Judging the proof of work: is every input accounted for, and are the labels those of the loop?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beambench.analysis.intervals import median
from beambench.record.observation import NEAR_TIE, Observation, SampledPrediction
from beambench.record.run_record import Verification

OF_A_PIPELINE = ("pipeline", "collect")
"""Tasks whose outputs a pipeline made, here or on a cluster."""

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

APART = 3
"""Of references: how many times the rounding lies between two that can be told apart."""

MIN_CORRELATION = 0.9
"""Between rounded outputs and their references, each about its mean: outputs of other inputs have
about 0, and rounding to 8 bits leaves more than 0.95 where inputs make a difference at all."""


@dataclass(frozen=True)
class Agreement:
    """How far the run and the reference agree on the sample; `share` is None if unknown."""

    share: float | None
    details: dict[str, Any]
    problems: list[str]


Pair = tuple[SampledPrediction | None, SampledPrediction]
"""What the run gave for an element, None if nothing, and what the reference gave."""


def agreement(
    ours: Sequence[SampledPrediction],
    loop: Sequence[SampledPrediction],
    *,
    near_tie: float = NEAR_TIE,
    outputs: bool = True,
    rounded: bool = False,
) -> Agreement:
    """Compare the sampled predictions of a repeat with those of the reference loop.

    Labels are compared, not float bits. Near-ties are left out and counted. If the labels are too
    few to prove anything, the raw outputs are compared instead, those of near-ties too.

    Args:
        ours: what the repeat gave.
        loop: what the reference gave.
        near_tie: two best outputs of the reference this close may change places.
        outputs: evidence is raw output that can be compared; else it only tells near ties.
        rounded: the model computes in less than float32, so that its outputs depend on the batch
            by more than a near-tie: raw outputs are compared with that in mind.
    """
    pairs = _paired(ours, loop)
    clear = [reference for reference in loop if _is_clear(reference, near_tie)]
    labels = {reference.label for reference in clear if reference.error is None}
    details: dict[str, Any] = {
        "sample": len(loop),
        "near_ties": len(loop) - len(clear),
        "distinct_labels": len(labels),
    }
    if rounded and outputs and any(reference.evidence for reference in loop):
        return _rounded_outputs_agree(pairs, details)
    if len(labels) < max(DISTINCT_SHARE * len(loop), min(2, len(loop))):
        compare = _outputs_agree if outputs else _nothing_proven
        return compare(pairs, details, near_tie)
    clear_pairs = [pair for pair in pairs if _is_clear(pair[1], near_tie)]
    return _labels_agree(clear_pairs, details, near_tie)


def _paired(
    ours: Sequence[SampledPrediction], references: Sequence[SampledPrediction]
) -> list[Pair]:
    by_id: dict[str, list[SampledPrediction]] = {}
    for prediction in ours:  # an element that the input names twice comes out twice
        by_id.setdefault(prediction.id, []).append(prediction)
    return [(one, reference) for reference in references for one in by_id.get(reference.id, [None])]


def _is_clear(reference: SampledPrediction, near_tie: float) -> bool:
    """Tell whether the two greatest outputs are far apart, or there are none to compare."""
    if reference.evidence is None or len(reference.evidence) < 2:
        return True
    first, second = sorted(reference.evidence, reverse=True)[:2]
    return not first - second < near_tie


def _labels_agree(pairs: Sequence[Pair], details: dict[str, Any], near_tie: float) -> Agreement:
    if not pairs:
        return Agreement(None, {**details, "method": "labels"}, [])
    differing = [
        reference.id for one, reference in pairs if _label_differs(one, reference, near_tie)
    ]
    share = 1 - len(differing) / len(pairs)
    found = {**details, "method": "labels", "compared": len(pairs), "differing": differing}
    return Agreement(share, found, _problems(share, differing, len(pairs)))


def _label_differs(
    one: SampledPrediction | None, reference: SampledPrediction, near_tie: float
) -> bool:
    """A failed element has no label, so one that failed on one side only differs too."""
    return one is None or (one.label != reference.label and _is_clear(reference, near_tie))


def _problems(share: float, differing: Sequence[str], compared: int) -> list[str]:
    if share >= MIN_AGREEMENT:
        return []
    return [
        f"{len(differing)} of {compared} sampled elements differ from the reference loop, "
        f"first {differing[0]!r}"
    ]


def _outputs_of_reference(pairs: Sequence[Pair]) -> dict[str, tuple[float, ...]]:
    return {reference.id: tuple(reference.evidence) for _, reference in pairs if reference.evidence}


def _ignores_input(references: Mapping[str, tuple[float, ...]]) -> bool:
    return len(references) > 1 and len(set(references.values())) == 1


def _outputs_agree(pairs: Sequence[Pair], details: dict[str, Any], near_tie: float) -> Agreement:
    """Compare raw outputs: nearly the same, and clearly nearest to the own reference."""
    references = _outputs_of_reference(pairs)
    if not references:
        return _nothing_proven(pairs, details, near_tie)
    details = {**details, "method": "outputs", "compared": len(pairs)}
    if _ignores_input(references):
        return Agreement(None, details, [IGNORES_INPUT])
    others = [own for own in references.values() if _is_finite(own)]
    differing, cosines, largest = [], [], 0.0
    for one, reference in pairs:
        own = references.get(reference.id, ())
        evidence = tuple(one.evidence or ()) if one is not None else ()
        known = len(own) == len(evidence) and _is_finite(own) and _is_finite(evidence)
        if known and own:
            cosines.append(_cosine(evidence, own))
            largest = max(largest, _largest_difference(evidence, own))
        if (
            not known
            or _label_differs(one, reference, near_tie)
            or (own and not _is_output_of(evidence, own, others))
        ):
            differing.append(reference.id)
    share = 1 - len(differing) / len(pairs)
    found = {
        **details,
        "differing": differing,
        "least_cosine": min(cosines, default=None),
        "largest_difference": largest,
    }
    return Agreement(share, found, _problems(share, differing, len(pairs)))


def _rounded_outputs_agree(pairs: Sequence[Pair], details: dict[str, Any]) -> Agreement:
    """Compare raw outputs of a model that rounds: near their references, and following them.

    Each must be nearest to its own reference, of those that the rounding leaves apart; over the
    sample the outputs must correlate with their references.
    """
    if _ignores_input(_outputs_of_reference(pairs)):
        return Agreement(None, {**details, "method": "rounded outputs"}, [IGNORES_INPUT])
    differing, cosines, largest, flipped = [], [], 0.0, 0
    both: list[tuple[str, Sequence[float], Sequence[float]]] = []
    for one, reference in pairs:
        own, evidence = reference.evidence or (), (one.evidence if one is not None else None) or ()
        if len(own) != len(evidence) or not _is_finite(own) or not _is_finite(evidence):
            differing.append(reference.id)
            continue
        if not own:  # as a rule one that failed on both sides
            if one is None or one.label != reference.label:
                differing.append(reference.id)
            continue
        both.append((reference.id, evidence, own))
        difference = _largest_difference(evidence, own)
        cosines.append(_cosine(evidence, own))
        largest = max(largest, difference)
        flips = one is None or one.label != reference.label
        flipped += flips
        if not _is_near(evidence, own) or (flips and not _explains(difference, own)):
            differing.append(reference.id)
    differing += [place for place in _misplaced(both) if place not in differing]
    share = 1 - len(differing) / len(pairs) if pairs else None
    correlation = _correlation([(ours, own) for _, ours, own in both])
    found = {
        **details,
        "method": "rounded outputs",
        "compared": len(pairs),
        "differing": differing,
        "labels_flipped": flipped,
        "least_cosine": min(cosines, default=None),
        "largest_difference": largest,
        "correlation": correlation,
    }
    problems = _problems(share, differing, len(pairs)) if share is not None else []
    if not problems and correlation is not None and correlation < MIN_CORRELATION:
        problems = [
            f"the outputs do not follow those of the reference loop (correlation {correlation:.2f})"
        ]
    return Agreement(share, found, problems)


def _misplaced(found: Sequence[tuple[str, Sequence[float], Sequence[float]]]) -> list[str]:
    """Return the ids of outputs that are nearer to the reference of another element.

    Only references that lie apart by more than `APART` times the rounding, which the median of the
    distances tells, speak for or against.
    """
    if not found:
        return []
    apart = APART * median([math.dist(ours, own) for _, ours, own in found])
    return [
        place
        for place, ours, own in found
        if any(
            len(other) == len(own)
            and math.dist(own, other) > apart
            and math.dist(ours, other) <= math.dist(ours, own)
            for _, _, other in found
        )
    ]


def _explains(difference: float, own: Sequence[float]) -> bool:
    """Tell whether outputs that differ by so much at most can change places at the top."""
    if len(own) < 2:
        return True
    first, second = sorted(own, reverse=True)[:2]
    return first - second <= 2 * difference


def _largest_difference(one: Sequence[float], other: Sequence[float]) -> float:
    return max((abs(a - b) for a, b in zip(one, other, strict=True)), default=0.0)


def _correlation(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> float | None:
    """Return Pearson's correlation over all outputs, each about its mean over the sample.

    None for fewer than two, of different lengths, or where all references are the same.
    """
    if len(pairs) < 2 or len({len(own) for _, own in pairs}) != 1:
        return None
    centred = []
    for values in zip(*pairs, strict=True):
        means = [sum(column) / len(values) for column in zip(*values, strict=True)]
        centred.append([x - mean for row in values for x, mean in zip(row, means, strict=True)])
    ours, references = centred
    if not any(references):
        return None
    return _cosine(ours, references)


def stock_agreement(
    ours: Sequence[SampledPrediction], stock: Sequence[SampledPrediction]
) -> dict[str, Any]:
    """Say how far a variant's sampled outputs are from those of `stock` on the same weights."""
    pairs = [
        (one, reference)
        for one, reference in _paired(ours, stock)
        if one is not None and reference.error is None
    ]
    outputs = [
        (one.evidence, reference.evidence)
        for one, reference in pairs
        if one.evidence
        and reference.evidence
        and len(one.evidence) == len(reference.evidence)
        and _is_finite([*one.evidence, *reference.evidence])
    ]
    return {
        "compared": len(pairs),
        "labels_equal": sum(one.label == reference.label for one, reference in pairs),
        "least_cosine": min((_cosine(*both) for both in outputs), default=None),
        "largest_difference": max((_largest_difference(*both) for both in outputs), default=None),
    }


def _is_finite(values: Iterable[float]) -> bool:
    return all(map(math.isfinite, values))


def _nothing_proven(pairs: Sequence[Pair], details: dict[str, Any], near_tie: float) -> Agreement:
    """Without raw outputs few labels that are equal prove nothing; those that differ are wrong."""
    found = _labels_agree(pairs, details, near_tie)
    if found.problems:
        return found
    reason = "labels are too few to prove anything and the workload gives no raw outputs"
    problems = []
    if details["distinct_labels"] == 1 and DISTINCT_SHARE * len(pairs) > 1:
        problems = [
            "all sampled elements have the same label, so the model may ignore its input: let the "
            "workload's evidence() return raw outputs to compare"
        ]
    return Agreement(None, {**found.details, "reason": reason}, problems)


def _is_output_of(
    evidence: Sequence[float], own: Sequence[float], references: Iterable[Sequence[float]]
) -> bool:
    """Tell outputs from those of another element: with random weights all are nearly parallel."""
    if not _is_near(evidence, own):
        return False
    distance, length = math.dist(evidence, own), math.hypot(*own)
    return all(
        CLEARLY * distance <= math.dist(evidence, other)
        for other in references
        if len(other) == len(own) and math.dist(own, other) > SAME_DISTANCE * length
    )


def _is_near(evidence: Sequence[float], own: Sequence[float]) -> bool:
    return _cosine(evidence, own) >= MIN_COSINE and math.dist(
        evidence, own
    ) <= MAX_DISTANCE * math.hypot(*own)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    norm = math.hypot(*one) * math.hypot(*other)
    if not norm:
        return 1.0 if list(one) == list(other) else 0.0
    return sum(a * b for a, b in zip(one, other, strict=True)) / norm


def verification(
    observation: Observation,
    reference: Observation | None,
    stock: Observation | None = None,
    *,
    rounded: bool = False,
) -> Verification | None:
    """Judge one repeat; None if it reported no proof.

    Args:
        observation: of the repeat.
        reference: the sample through the loop.
        stock: the sample through the loop as `stock` runs it, for another variant.
        rounded: the model computes in less than float32.
    """
    proof, expected = observation.proof, observation.expected
    if proof is None or expected is None:
        return None
    problems = _accounting_problems(observation)
    found = Agreement(None, {}, [])
    if reference is not None and observation.task in OF_A_PIPELINE:
        found = agreement(
            observation.sample,
            reference.sample,
            near_tie=reference.near_tie,
            outputs=reference.compares_outputs,
            rounded=rounded,
        )
    problems += found.problems
    return Verification(
        elements_in=expected.count,
        elements_out=proof.count,
        elements_failed=proof.failed,
        duplicates=observation.duplicates_count,
        missing=observation.missing_count,
        digest=proof.labels,
        reference_agreement=found.share,
        reference=found.details,
        stock=stock_agreement(observation.sample, stock.sample)
        if stock is not None and observation.task in OF_A_PIPELINE
        else {},
        failed=observation.failed,
        failed_listed=len(observation.failed),
        passed=not problems,
        problems=problems,
    )


def _accounting_problems(observation: Observation) -> list[str]:
    proof, expected = observation.proof, observation.expected
    assert proof is not None
    assert expected is not None
    problems = []
    if observation.missing_count:
        named = ", ".join(observation.missing[:3])
        problems.append(f"{observation.missing_count} elements did not come out: {named}")
    if observation.duplicates_count:
        named = ", ".join(observation.duplicates[:3])
        problems.append(f"{observation.duplicates_count} elements came out too often: {named}")
    total = (int(proof.ids, 16) + int(proof.failed_ids, 16)) % (1 << 128)
    unaccounted = proof.count + proof.failed != expected.count or total != int(expected.ids, 16)
    if unaccounted and not problems:
        problems.append("the sums over the output do not match the input, though its list does")
    return problems


def run_level(repeats: Sequence[Verification]) -> Verification:
    """Return the verification that speaks for the run: the first that failed, else the first."""
    if not repeats:
        return Verification(elements_in=0, elements_out=0, elements_failed=0, duplicates=0)
    chosen = next((one for one in repeats if not one.passed), repeats[0])
    if chosen.passed and len({one.digest for one in repeats}) > 1:
        note: Mapping[str, Any] = {"note": "labels differ between repeats"}
        return chosen.model_copy(update={"reference": {**chosen.reference, **note}})
    return chosen
