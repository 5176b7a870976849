"""Judging the proof of work: is every input accounted for, and are the labels those of the loop?"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beambench.record.observation import Observation, SampledPrediction
from beambench.record.run_record import Verification

NEAR_TIE = 1e-4
"""Two best outputs this close may change places with the batch size: such elements say nothing."""

DISTINCT_SHARE = 0.2
"""Fewer distinct labels than this share of the sample (20 in 100) prove too little."""

MIN_COSINE = 0.999
MIN_AGREEMENT = 0.99


@dataclass(frozen=True)
class Agreement:
    """How far the run and the reference agree on the sample; `share` is None if unknown."""

    share: float | None
    details: dict[str, Any]
    problems: list[str]


def agreement(ours: Sequence[SampledPrediction], loop: Sequence[SampledPrediction]) -> Agreement:
    """Compare the sampled predictions of a repeat with those of the reference loop.

    Labels are compared, not float bits. Near-ties are left out and counted. If the labels are too
    few to prove anything, the raw outputs are compared instead.
    """
    by_id = {prediction.id: prediction for prediction in ours}
    pairs = [(by_id.get(reference.id), reference) for reference in loop]
    clear = [
        (one, reference) for one, reference in pairs if _margin(reference.evidence) >= NEAR_TIE
    ]
    labels = {reference.label for _, reference in clear if reference.error is None}
    details: dict[str, Any] = {
        "sample": len(pairs),
        "near_ties": len(pairs) - len(clear),
        "distinct_labels": len(labels),
    }
    if pairs and not clear:
        clear = pairs  # all are near-ties: only the raw outputs can tell
    if clear and len(labels) < DISTINCT_SHARE * len(clear):
        return _outputs_agree(clear, details)
    return _labels_agree(clear, details)


def _margin(evidence: Sequence[float] | None) -> float:
    """Return the distance of the two greatest outputs; infinite where there are none to compare."""
    if evidence is None or len(evidence) < 2:
        return math.inf
    first, second = sorted(evidence, reverse=True)[:2]
    return first - second


Pairs = Sequence[tuple[SampledPrediction | None, SampledPrediction]]


def _labels_agree(pairs: Pairs, details: dict[str, Any]) -> Agreement:
    if not pairs:
        return Agreement(None, {**details, "method": "labels"}, [])
    differing = [
        reference.id
        for one, reference in pairs
        if one is None
        or (one.error is None) != (reference.error is None)
        or one.label != reference.label
    ]
    share = 1 - len(differing) / len(pairs)
    found = {**details, "method": "labels", "compared": len(pairs), "differing": differing}
    return Agreement(share, found, _problems(share, differing, len(pairs)))


def _problems(share: float, differing: Sequence[str], compared: int) -> list[str]:
    if share >= MIN_AGREEMENT:
        return []
    return [
        f"{len(differing)} of {compared} sampled elements differ from the reference loop, "
        f"first {differing[0]!r}"
    ]


def _outputs_agree(pairs: Pairs, details: dict[str, Any]) -> Agreement:
    """Compare raw outputs: nearly parallel, and nearer to the own reference than to any other."""
    known = [(one, reference) for one, reference in pairs if reference.evidence is not None]
    references = [tuple(reference.evidence or ()) for _, reference in known]
    details = {**details, "method": "outputs", "compared": len(known)}
    if not known:
        reason = "labels are too few to prove anything and the workload gives no raw outputs"
        return Agreement(None, {**details, "reason": reason}, [])
    if len(references) > 1 and len(set(references)) == 1:
        return Agreement(
            None, details, ["the outputs are the same for every input: the model ignores its input"]
        )
    differing, cosines, largest = [], [], 0.0
    for index, (one, reference) in enumerate(known):
        evidence = one.evidence if one is not None else None
        if evidence is None or len(evidence) != len(references[index]):
            differing.append(reference.id)
            continue
        cosines.append(_cosine(evidence, references[index]))
        largest = max(largest, *map(abs, map(operator.sub, evidence, references[index])))
        if cosines[-1] < MIN_COSINE or not _is_nearest(evidence, index, references):
            differing.append(reference.id)
    share = 1 - len(differing) / len(known)
    found = {
        **details,
        "differing": differing,
        "least_cosine": min(cosines, default=None),
        "largest_difference": largest,
    }
    return Agreement(share, found, _problems(share, differing, len(known)))


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    norm = math.hypot(*one) * math.hypot(*other)
    if not norm:
        return 1.0 if list(one) == list(other) else 0.0
    return sum(a * b for a, b in zip(one, other, strict=True)) / norm


def _is_nearest(evidence: Sequence[float], own: int, references: Sequence[Sequence[float]]) -> bool:
    """Tell a swapped output: with random weights all outputs are nearly parallel."""
    distance = math.dist(evidence, references[own])
    return all(
        distance <= math.dist(evidence, other)
        for index, other in enumerate(references)
        if index != own and len(other) == len(evidence)
    )


def verification(observation: Observation, reference: Observation | None) -> Verification | None:
    """Judge one repeat; None if it reported no proof."""
    proof, expected = observation.proof, observation.expected
    if proof is None or expected is None:
        return None
    problems = _accounting_problems(observation)
    found = Agreement(None, {}, [])
    if reference is not None and observation.task == "pipeline":
        found = agreement(observation.sample, reference.sample)
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
