"""Judging the proof of work: is every input accounted for, and are the labels those of the loop?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from beambench.controller.proof.agreement import Agreement, agreement
from beambench.controller.proof.label_differences import label_problem
from beambench.controller.proof.stock_agreement import stock_agreement
from beambench.record.observation import Observation
from beambench.record.run_record import Verification

OF_A_PIPELINE = ("pipeline", "collect")
"""Tasks whose outputs a pipeline made, here or on a cluster."""

NO_REFERENCE = (
    "no reference sample was run, so nothing tells the labels from those of a model that ignores "
    "its input"
)
NOTHING_COMPARED = "no sampled element could be compared with the reference loop"


def verification(
    observation: Observation,
    reference: Observation | None,
    stock: Observation | None = None,
    *,
    rounded: bool = False,
    first: Observation | None = None,
) -> Verification | None:
    """Judge one repeat; None if it reported no proof.

    Args:
        observation: of the repeat.
        reference: the sample through the loop.
        stock: the sample through the loop as `stock` runs it, for another variant.
        rounded: the model computes in less than float32.
        first: the first execution of the run, if this is a later one.
    """
    proof, expected = observation.proof, observation.expected
    if proof is None or expected is None:
        return None
    problems = _accounting_problems(observation)
    agreed = Agreement(None, {}, [])
    if reference is not None and observation.task in OF_A_PIPELINE and proof.count:
        agreed = agreement(
            observation.sample,
            reference.sample,
            near_tie=reference.near_tie,
            outputs=reference.compares_outputs,
            rounded=rounded,
            further=(observation.further, reference.further),
        )
    problems += agreed.problems
    if first is not None:
        wrong = label_problem(observation, first, reference, rounded=rounded)
        problems += [wrong] if wrong is not None else []
    unverified = _why_unverified(observation, reference, agreed) if not problems else None
    return Verification(
        elements_in=expected.count,
        elements_out=proof.count,
        elements_failed=proof.failed,
        duplicates=observation.duplicates_count,
        missing=observation.missing_count,
        digest=proof.labels,
        reference_agreement=agreed.share,
        reference=agreed.details,
        stock=stock_agreement(observation.sample, stock.sample)
        if stock is not None and observation.task in OF_A_PIPELINE
        else {},
        failed=observation.failed,
        failed_listed=len(observation.failed),
        passed=not problems and unverified is None,
        problems=problems,
        warnings=agreed.warnings,
        unverified=unverified,
        elements_compared=len(agreed.compared) or None,
        detectable_share=agreed.detectable_share(proof.count) if not problems else None,
        label_comparison=observation.label_comparison,
    )


def _why_unverified(
    observation: Observation, reference: Observation | None, agreed: Agreement
) -> str | None:
    """Return why nothing speaks for the labels of a pipeline; None where a comparison does.

    Accuracy is no such thing: no limit is set to it, so that no run could fail by it. The loop is
    what pipelines are compared with.
    """
    if observation.task not in OF_A_PIPELINE or agreed.share is not None:
        return None
    if reference is None:
        return NO_REFERENCE
    reason: str = agreed.details.get("reason", NOTHING_COMPARED)
    return reason


def is_accounted_for(observation: Observation) -> bool:
    """Tell whether every input came out or failed, exactly once."""
    return observation.proof is not None and not _accounting_problems(observation)


def _accounting_problems(observation: Observation) -> list[str]:
    proof, expected = observation.proof, observation.expected
    assert proof is not None
    assert expected is not None
    problems = []
    if proof.failed and not proof.count:
        first = observation.failed[0] if observation.failed else None
        named = f", first {first.id}: {first.stage}: {first.error}" if first is not None else ""
        problems.append(f"no element came out: {proof.failed} failed{named}")
    elif not expected.count:
        problems.append("there was no element to work on")
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


def run_level(
    repeats: Sequence[Verification], loops: Sequence[tuple[str, Verification]] = ()
) -> Verification:
    """Return the verification that speaks for the run.

    That is the first with a problem, else the first unverified one, else the first. Wrong labels of
    a loop, which has those that the pipeline should have, are a problem of the run. Where a loop
    gave every element the label that each repeat gave it, all labels were compared.

    Args:
        repeats: of the pipeline.
        loops: those of the loop, by the name of the repeat.
    """
    if not repeats:
        return Verification(elements_in=0, elements_out=0, elements_failed=0, duplicates=0)
    unproven = [repeat for repeat in repeats if not repeat.passed]
    failed = [repeat for repeat in unproven if repeat.unverified is None]
    chosen = [*failed, *unproven, *repeats][0]
    wrong = [
        f"{name}: {problem}"
        for name, loop in loops
        if loop.label_comparison is not None and loop.label_comparison.differing
        for problem in loop.problems
    ]
    if wrong and not chosen.problems:
        return chosen.model_copy(
            update={"problems": wrong, "passed": False, "unverified": None}
            | {"detectable_share": None}
        )
    digests = {repeat.digest for repeat in repeats}
    if chosen.passed and digests == {chosen.digest} & {loop.digest for _, loop in loops}:
        return chosen.model_copy(
            update={"elements_compared": chosen.elements_out, "detectable_share": 0.0}
        )
    if not chosen.problems and len(digests) > 1:
        note: Mapping[str, Any] = {"note": "labels differ between repeats"}
        return chosen.model_copy(update={"reference": {**chosen.reference, **note}})
    return chosen
