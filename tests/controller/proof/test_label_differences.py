"""Labels that differ between two executions: arithmetic that depends on batches, or a fault."""

from __future__ import annotations

from typing import Any

import pytest

from beambench.controller.proof.label_differences import label_problem, near_ties_at_most
from beambench.controller.proof.verification import run_level, verification
from beambench.record.observation import Measured, Observation, Proof, SampledPrediction
from beambench.record.run_record import LabelComparison, Verification

COUNT = 200


def sample(near_ties: int = 0, size: int = 32) -> list[SampledPrediction]:
    return [
        SampledPrediction(id=str(n), label=n, evidence=[0.0, 0.0 if n < near_ties else 1.0])
        for n in range(size)
    ]


def reference(near_ties: int = 0, **changes: Any) -> Observation:
    return Observation(task="reference", **{"sample": sample(near_ties), **changes})


def execution(
    labels: str = "ab",
    sizes: dict[int, int] | None = None,
    differing: int | None = None,
    **changes: Any,
) -> Observation:
    """Return an execution of 200 elements: in batches of 64 and one of 8, unless said otherwise."""
    sizes = {64: 3, 8: 1} if sizes is None else sizes
    listed = [str(n) for n in range(differing or 0)]
    measured: dict[str, Any] = {
        "elements": COUNT,
        "batches": sum(sizes.values()),
        "batch_sizes": sizes,
        "batch_size": None,
        "batch_latency": None,
        "latencies": {},
        "retried_batches": changes.pop("retried", 0),
    }
    fields: dict[str, Any] = {
        "task": "pipeline",
        "proof": Proof(count=COUNT, failed=0, ids="7", failed_ids="0", labels=labels),
        "expected": Proof(count=COUNT, failed=0, ids="7", failed_ids="0", labels=""),
        "measured": Measured(**measured),
        "labels_follow_batches": True,
        "sample": sample(),
    }
    if differing is not None:
        fields["label_comparison"] = LabelComparison(
            compared=COUNT, differing=differing, listed=listed
        )
    return Observation(**{**fields, **changes})


FIRST = execution()
OTHER = {"labels": "cd", "differing": 1, "sizes": {16: 12, 8: 1}}


def problem(
    ours: Observation,
    first: Observation = FIRST,
    against: Observation | None = None,
    **changes: Any,
) -> str | None:
    return label_problem(ours, first, against or reference(), rounded=changes.get("rounded", False))


def test_the_same_labels_are_no_problem():
    assert problem(execution(differing=0)) is None
    assert problem(execution()) is None  # by the digest alone


def test_one_that_differs_in_the_same_batches_is_wrong():
    assert problem(execution("cd", differing=1)) == (
        "the labels of 1 of 200 elements differ from those of the run's first execution, first "
        "'0', though the batches were the same"
    )
    assert problem(execution("cd")) == (
        "the labels differ from those of the run's first execution, though the batches were the "
        "same"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"sizes": {16: 12, 8: 1}},
        {"sizes": {64: 2, 32: 2, 8: 1}},  # in which order is not known
        {"labels_follow_batches": False},
        {"task": "loop"},  # replays the smallest batch first
        {"retried": 1},
    ],
)
def test_one_that_differs_where_arithmetic_may_is_none(changes):
    assert problem(execution("cd", differing=1, **changes)) is None


def test_nor_is_it_where_the_first_had_other_arithmetic():
    assert problem(execution("cd", differing=1), execution(labels_follow_batches=False)) is None


def test_the_loop_has_the_same_batches_if_all_have_one_size():
    sizes = {50: 4}
    ours = execution("cd", sizes, 1, task="loop")
    assert "the batches were the same" in str(problem(ours, execution(sizes=sizes)))


@pytest.mark.parametrize("known_by", ["ours", "reference"])
def test_one_that_differs_is_wrong_in_any_batches_if_labels_are_exact(known_by):
    ours = execution(**OTHER, near_tie=0.0 if known_by == "ours" else 1e-4)
    problems = problem(ours, against=reference(near_tie=0.0 if known_by == "reference" else 1e-4))
    assert problems is not None
    assert problems.endswith("first '0', though labels of this work are exact")


@pytest.mark.parametrize(("near_ties", "explained"), [(0, 18), (4, 52), (32, 200)])
def test_more_than_near_ties_explain_is_wrong(near_ties, explained):
    # Of 32 of 200, none a near tie: at most 16 are, and agreement of 0.99 allows 2 more. With 4
    # in the sample it is 50: 4 or fewer are in it with 0.054, and of 51 with 0.047.
    against = reference(near_ties)
    if not near_ties:
        assert near_ties_at_most(against, COUNT) == 16 / COUNT
    for differing in (1, explained):
        assert problem(execution(**{**OTHER, "differing": differing}), against=against) is None
    if explained < COUNT:
        problems = problem(execution(**{**OTHER, "differing": explained + 1}), against=against)
        assert problems is not None
        assert f": near ties explain {explained / COUNT:.2%} at most" in problems


def test_what_near_ties_explain_is_unknown_without_a_sample_or_with_rounding():
    many = execution(**{**OTHER, "differing": 150})
    assert label_problem(many, FIRST, None, rounded=False) is None
    assert problem(many, against=reference(sample=[])) is None
    assert problem(many, rounded=True) is None


def test_an_element_that_failed_in_one_of_them_is_no_difference():
    lost = Proof(count=COUNT - 1, failed=1, ids="6", failed_ids="1", labels="cd")
    assert problem(execution("cd", differing=0, proof=lost)) is None
    assert problem(execution("cd", proof=lost)) is None


def test_a_repeat_whose_labels_are_wrong_fails_and_keeps_the_comparison():
    proven = verification(execution("cd", differing=2), reference(), first=FIRST)
    assert proven is not None
    assert not proven.passed
    assert proven.detectable_share is None
    assert proven.label_comparison == LabelComparison(compared=200, differing=2, listed=["0", "1"])


# The run


def verdict(digest: str = "ab", **changes: Any) -> Verification:
    fields: dict[str, Any] = {
        "elements_in": COUNT,
        "elements_out": COUNT,
        "elements_failed": 0,
        "duplicates": 0,
        "digest": digest,
        "passed": True,
        "elements_compared": 32,
        "detectable_share": 0.08,
    }
    return Verification(**{**fields, **changes})


def test_a_loop_with_the_same_digest_has_compared_all():
    loops = [("loop repeat 1", verdict(detectable_share=None))]
    proven = run_level([verdict(), verdict()], loops)
    assert (proven.elements_compared, proven.detectable_share) == (COUNT, 0.0)
    assert run_level([verdict(), verdict()]).detectable_share == 0.08
    assert run_level([verdict(), verdict("cd")], loops).detectable_share == 0.08
    assert run_level([verdict()], [("loop repeat 1", verdict("cd"))]).detectable_share == 0.08
    unverified = verdict(passed=False, unverified="no reference", detectable_share=None)
    assert run_level([unverified], loops) == unverified


def test_wrong_labels_of_the_loop_are_a_problem_of_the_run():
    wrong = verdict(
        passed=False,
        problems=["the labels of 1 of 200 elements differ"],
        label_comparison=LabelComparison(compared=COUNT, differing=1, listed=["0"]),
    )
    proven = run_level([verdict()], [("loop repeat 2", wrong)])
    assert proven.problems == ["loop repeat 2: the labels of 1 of 200 elements differ"]
    assert (proven.passed, proven.detectable_share) == (False, None)
