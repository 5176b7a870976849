"""Judging labels that differ between two executions of one run: is it arithmetic, or a fault?"""

from __future__ import annotations

from collections.abc import Sequence

from beambench.controller.proof.agreement import MIN_AGREEMENT
from beambench.controller.proof.power import detectable_share
from beambench.controller.proof.sample_pairs import is_clear
from beambench.record.observation import Measured, Observation
from beambench.record.run_record import Repeat


def label_problem(
    ours: Observation, first: Observation, reference: Observation | None, *, rounded: bool
) -> str | None:
    """Return why labels that differ from those of the first execution are wrong; None if not.

    Where arithmetic is exact, or the same because the batches are, one label that differs is
    wrong. Else near ties may change places with the batches: as many as the sample of the
    reference allows for, and no more, unless the model computes in less than float32.
    """
    if not _differs(ours, first):
        return None
    exact = 0 in (ours.near_tie, reference.near_tie if reference is not None else None)
    if exact:
        return f"{_named(ours)}, though labels of this work are exact"
    if ours.labels_follow_batches and first.labels_follow_batches and _same_batches(ours, first):
        return f"{_named(ours)}, though the batches were the same"
    compared = ours.label_comparison
    if compared is None or rounded or reference is None or not reference.sample:
        return None
    most = near_ties_at_most(reference, compared.compared) + 1 - MIN_AGREEMENT
    if compared.differing <= most * compared.compared:
        return None
    return f"{_named(ours)}: near ties explain {most:.2%} at most"


def labels_that_differ(repeats: Sequence[Repeat]) -> list[str]:
    """Say of how many elements the labels depend on the execution, where that is no fault."""
    proofs = [
        repeat.verification
        for repeat in repeats
        if repeat.verification is not None and repeat.status == "succeeded"
    ]
    if len({proof.digest for proof in proofs}) < 2:
        return []
    compared = [proof.label_comparison for proof in proofs if proof.label_comparison is not None]
    if not compared:
        return ["labels differ between repeats: see verification.digest of each"]
    most = max(compared, key=lambda each: each.differing)
    if not most.differing:
        return []
    return [
        f"the labels of up to {most.differing} of {most.compared} elements "
        f"({most.differing / most.compared:.2%}) differ from those of the run's first execution, "
        f"first {most.listed[0]!r}: near ties may change places with the batches"
    ]


def near_ties_at_most(reference: Observation, population: int) -> float:
    """Return the share of near ties that there is at most, with 95 %, as the sample tells."""
    sample = reference.sample
    tied = sum(not is_clear(prediction, reference.near_tie) for prediction in sample)
    return detectable_share(len(sample), max(len(sample), population), tied)


def _differs(ours: Observation, first: Observation) -> bool:
    """Tell whether an element that came out of both has two labels, as far as can be told."""
    if ours.label_comparison is not None:
        return ours.label_comparison.differing > 0
    proofs = ours.proof, first.proof
    if None in proofs or any(proof is not None and proof.failed for proof in proofs):
        return False
    return len({proof.labels for proof in proofs if proof is not None}) > 1


def _named(ours: Observation) -> str:
    compared = ours.label_comparison
    if compared is None:
        return "the labels differ from those of the run's first execution"
    return (
        f"the labels of {compared.differing} of {compared.compared} elements differ from those of "
        f"the run's first execution, first {compared.listed[0]!r}"
    )


def _same_batches(ours: Observation, first: Observation) -> bool:
    """Tell whether the elements were in the same batches: these have one size.

    Of two pipelines the last batch may be smaller; the loop replays such a one first.
    """
    sides = ours.measured, first.measured
    if ours.measured is None or first.measured is None or any(map(_retried, sides)):
        return False
    sizes = ours.measured.batch_sizes
    if sizes != first.measured.batch_sizes or len(sizes) > 2:
        return False
    return len(sizes) == 1 or (ours.task == first.task and sizes[min(sizes)] == 1)


def _retried(measured: Measured | None) -> bool:
    return measured is None or bool(measured.retried_batches or measured.replaced_sizes)
