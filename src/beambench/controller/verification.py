"""Judging the proof of work: is every input accounted for, and are the labels those of the loop?"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beambench.record.observation import NEAR_TIE, Observation, SampledPrediction
from beambench.record.run_record import Verification

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
    near_tie: float = NEAR_TIE,
) -> Agreement:
    """Compare the sampled predictions of a repeat with those of the reference loop.

    Labels are compared, not float bits. Near-ties are left out and counted. If the labels are too
    few to prove anything, the raw outputs are compared instead, those of near-ties too.
    """
    by_id: dict[str, list[SampledPrediction]] = {}
    for prediction in ours:  # an element that the input names twice comes out twice
        by_id.setdefault(prediction.id, []).append(prediction)
    pairs: list[Pair] = [
        (one, reference) for reference in loop for one in by_id.get(reference.id, [None])
    ]
    clear = [reference for reference in loop if _is_clear(reference, near_tie)]
    labels = {reference.label for reference in clear if reference.error is None}
    details: dict[str, Any] = {
        "sample": len(loop),
        "near_ties": len(loop) - len(clear),
        "distinct_labels": len(labels),
    }
    if len(labels) < max(DISTINCT_SHARE * len(loop), min(2, len(loop))):
        return _outputs_agree(pairs, details, near_tie)
    clear_pairs = [pair for pair in pairs if _is_clear(pair[1], near_tie)]
    return _labels_agree(clear_pairs, details, near_tie)


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


def _outputs_agree(pairs: Sequence[Pair], details: dict[str, Any], near_tie: float) -> Agreement:
    """Compare raw outputs: nearly the same, and clearly nearest to the own reference."""
    references = {
        reference.id: tuple(reference.evidence) for _, reference in pairs if reference.evidence
    }
    if not references:
        return _nothing_proven(pairs, details, near_tie)
    details = {**details, "method": "outputs", "compared": len(pairs)}
    if len(references) > 1 and len(set(references.values())) == 1:
        return Agreement(
            None, details, ["the outputs are the same for every input: the model ignores its input"]
        )
    others = [own for own in references.values() if _is_finite(own)]
    differing, cosines, largest = [], [], 0.0
    for one, reference in pairs:
        own = references.get(reference.id, ())
        evidence = tuple(one.evidence or ()) if one is not None else ()
        known = len(own) == len(evidence) and _is_finite(own) and _is_finite(evidence)
        if known and own:
            cosines.append(_cosine(evidence, own))
            largest = max(largest, *map(abs, map(operator.sub, evidence, own)))
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
    distance, length = math.dist(evidence, own), math.hypot(*own)
    if _cosine(evidence, own) < MIN_COSINE or distance > MAX_DISTANCE * length:
        return False
    return all(
        CLEARLY * distance <= math.dist(evidence, other)
        for other in references
        if len(other) == len(own) and math.dist(own, other) > SAME_DISTANCE * length
    )


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    norm = math.hypot(*one) * math.hypot(*other)
    if not norm:
        return 1.0 if list(one) == list(other) else 0.0
    return sum(a * b for a, b in zip(one, other, strict=True)) / norm


def verification(observation: Observation, reference: Observation | None) -> Verification | None:
    """Judge one repeat; None if it reported no proof."""
    proof, expected = observation.proof, observation.expected
    if proof is None or expected is None:
        return None
    problems = _accounting_problems(observation)
    found = Agreement(None, {}, [])
    if reference is not None and observation.task == "pipeline":
        found = agreement(observation.sample, reference.sample, reference.near_tie)
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
