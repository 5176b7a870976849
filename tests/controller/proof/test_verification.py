"""The judge: are all elements accounted for, and does a repeat pass?"""

from __future__ import annotations

from typing import Any

import pytest

from beambench.controller.proof.verification import run_level, verification
from beambench.record.observation import Observation, Proof, SampledPrediction
from beambench.record.run_record import FailedElement, Verification

MODULUS = 1 << 128


def labelled(count: int, first: int = 0) -> list[SampledPrediction]:
    """A sample whose labels tell all elements apart."""
    labels = [first, *range(1, count)]
    return [SampledPrediction(id=f"{n}.jpg", label=label) for n, label in enumerate(labels)]


def proof(count: int = 10, failed: int = 0, ids: int = 55, failed_ids: int = 0) -> Proof:
    return Proof(
        count=count, failed=failed, ids=f"{ids:x}", failed_ids=f"{failed_ids:x}", labels="ab"
    )


def observed(proven: Proof | None = None, **fields: Any) -> Observation:
    parts: dict[str, Any] = {
        "task": "pipeline",
        "proof": proven or proof(),
        "expected": proof(),
        "sample": labelled(4),
    }
    return Observation(**{**parts, **fields})


REFERENCE = Observation(task="reference", sample=labelled(4))


def judged(observation: Observation, reference: Observation | None = REFERENCE) -> Verification:
    proven = verification(observation, reference)
    assert proven is not None
    assert [proven.passed, bool(proven.problems), proven.unverified is not None].count(True) == 1
    return proven


def test_a_right_repeat_passes():
    proven = judged(observed())
    assert (proven.elements_in, proven.elements_out, proven.elements_failed) == (10, 10, 0)
    assert (proven.duplicates, proven.missing, proven.digest) == (0, 0, "ab")
    assert proven.reference_agreement == 1.0
    assert proven.problems == []


def test_the_power_of_a_pass_is_that_of_its_sample():
    # 4 of 10: C(10-w, 4) / C(10, 4) is 15/210 = 0.0714 for 4 wrong labels and 5/210 for 5.
    proven = judged(observed())
    assert (proven.elements_compared, proven.detectable_share) == (4, 0.4)
    wrong = judged(observed(sample=labelled(4, first=3)))
    assert (wrong.elements_compared, wrong.detectable_share) == (4, None)
    alone = judged(observed(), None)
    assert (alone.elements_compared, alone.detectable_share) == (None, None)
    assert {"elements_compared", "detectable_share"}.isdisjoint(alone.model_dump())


def test_near_ties_are_no_part_of_what_the_sample_stands_for():
    tied = [
        SampledPrediction(id=f"{n}.jpg", label=n, evidence=[0.0, 0.0 if n > 7 else 1.0])
        for n in range(10)
    ]
    proven = judged(observed(sample=tied), Observation(task="reference", sample=tied))
    assert proven.passed
    assert (proven.elements_compared, proven.detectable_share) == (8, 0.0)  # 8 of 8


def test_a_difference_that_agreement_allows_costs_power_and_is_said():
    count = 150
    expected = proof(count, ids=55)
    few = observed(expected, expected=expected, sample=labelled(count, first=7))
    proven = judged(few, Observation(task="reference", sample=labelled(count)))
    assert proven.passed
    assert proven.detectable_share == 0.0 + 1 / count  # all but the one that is known are right
    assert proven.warnings == [
        "1 of 150 sampled elements differ from the reference loop, which 0.99 agreement allows, "
        "first '0.jpg'"
    ]


def test_failures_are_part_of_the_account():
    named = [FailedElement(id="3.jpg", stage="read", error="gone")]
    proven = judged(observed(proof(8, 2, 50, 5), failed=named))
    assert proven.problems == []
    assert (proven.elements_out, proven.elements_failed) == (8, 2)
    assert (proven.failed, proven.failed_listed) == (named, 1)


def test_a_run_of_which_nothing_came_out_has_proven_nothing():
    named = [FailedElement(id="3.jpg", stage="read", error="gone")]
    every = [
        prediction.model_copy(update={"label": None, "error": "gone"}) for prediction in labelled(4)
    ]
    reference = Observation(task="reference", sample=every)
    for task in ("pipeline", "loop", "collect"):
        failed = observed(proof(0, 10, 0, 55), failed=named, sample=every, task=task)
        proven = judged(failed, reference)
        assert proven.problems == ["no element came out: 10 failed, first 3.jpg: read: gone"]
        assert (proven.elements_out, proven.elements_failed) == (0, 10)


def test_nor_has_one_that_had_nothing_to_do():
    nothing = proof(0, 0, 0, 0)
    proven = judged(observed(nothing, expected=nothing))
    assert proven.problems == ["there was no element to work on"]


def test_a_run_of_which_one_came_out_that_was_not_sampled_has_proven_nothing():
    every = [
        prediction.model_copy(update={"label": None, "error": "gone"}) for prediction in labelled(4)
    ]
    proven = judged(
        observed(proof(1, 9, 1, 54), sample=every), Observation(task="reference", sample=every)
    )
    assert proven.problems == ["all 4 sampled elements failed, here and in the reference loop"]


def test_what_weakens_a_proof_that_passed_is_said():
    same = [
        SampledPrediction(id=f"{n}.jpg", label=0, evidence=[0.0, float(n)]) for n in range(2, 12)
    ]
    proven = judged(observed(sample=same), Observation(task="reference", sample=same))
    assert proven.passed
    assert [warning[:44] for warning in proven.warnings] == [
        "all 10 sampled elements have the label '0', "
    ]
    assert judged(observed()).warnings == []


def test_sums_are_compared_modulo_2_to_the_128():
    assert judged(observed(proof(8, 2, MODULUS - 1, 56))).problems == []


@pytest.mark.parametrize(
    "proven",
    [proof(9), proof(11), proof(10, 1), proof(ids=54), proof(9, 1, 50, 4), proof(9, 1, 55, 1)],
)
def test_an_account_that_does_not_add_up_is_a_problem_even_if_no_name_is_known(proven):
    assert judged(observed(proven)).problems == [
        "the sums over the output do not match the input, though its list does"
    ]


def test_missing_and_doubled_elements_are_counted_and_three_are_named():
    proven = judged(
        observed(
            proof(9, 0, 40),
            missing=["a", "b", "c", "d"],
            missing_count=40,
            duplicates=["x"],
            duplicates_count=2,
        )
    )
    assert proven.problems == [
        "40 elements did not come out: a, b, c",
        "2 elements came out too often: x",
    ]
    assert (proven.missing, proven.duplicates) == (40, 2)


def test_account_and_agreement_are_both_judged():
    proven = judged(observed(proof(9), sample=labelled(4, first=9)))
    assert len(proven.problems) == 2
    assert proven.reference_agreement == 0.75
    assert proven.reference["differing"] == ["0.jpg"]


def constant(count: int) -> list[SampledPrediction]:
    """What a model that ignores its input gives, without raw outputs."""
    return [SampledPrediction(id=f"{n}.jpg", label=0) for n in range(count)]


@pytest.mark.parametrize("task", ["pipeline", "collect"])
@pytest.mark.parametrize("sample", [labelled(4), constant(32)], ids=["labels", "one label"])
def test_without_a_reference_a_repeat_is_unverified(task, sample):
    proven = judged(observed(task=task, sample=sample, labelled=10, correct=10), None)
    assert (proven.passed, proven.problems, proven.reference_agreement) == (False, [], None)
    assert "no reference sample was run" in str(proven.unverified)


def test_one_label_that_a_reference_cannot_speak_for_is_unverified_and_for_many_a_problem():
    few, many = (
        judged(observed(sample=constant(n)), Observation(task="reference", sample=constant(n)))
        for n in (4, 32)
    )
    assert (few.passed, few.problems) == (False, [])
    assert "labels are too few to prove anything" in str(few.unverified)
    assert "the model may ignore its input" in many.problems[0]


def test_near_ties_alone_leave_a_repeat_unverified():
    tied = [SampledPrediction(id=f"{n}.jpg", label=n, evidence=[0.5, 0.5]) for n in range(4)]
    reference = Observation(task="reference", sample=tied, compares_outputs=False)
    proven = judged(observed(sample=tied), reference)
    assert not proven.passed
    assert proven.unverified is not None


def test_a_problem_goes_before_the_lack_of_a_reference():
    proven = judged(observed(missing=["3.jpg"], missing_count=1), None)
    assert proven.problems == ["1 elements did not come out: 3.jpg"]


def test_the_loop_is_the_reference_itself():
    proven = judged(observed(task="loop", sample=[]), REFERENCE)
    assert proven.passed
    assert proven.reference_agreement is None


@pytest.mark.parametrize("missing", ["proof", "expected"])
def test_without_a_proof_there_is_no_verdict(missing):
    assert verification(observed().model_copy(update={missing: None}), REFERENCE) is None


# --- the run


def verdict(passed: bool = True, digest: str = "ab", count: int = 10) -> Verification:
    return Verification(
        elements_in=count,
        elements_out=count,
        elements_failed=0,
        duplicates=0,
        digest=digest,
        passed=passed,
    )


def test_the_run_speaks_through_the_first_repeat_that_failed_else_the_first():
    assert run_level([verdict(count=1), verdict(False, count=2), verdict(False, count=3)]) == (
        verdict(False, count=2)
    )
    assert run_level([verdict(count=1), verdict(count=2)]) == verdict(count=1)


def test_an_unverified_repeat_speaks_before_one_that_passed_and_after_one_that_failed():
    unverified = verdict(False).model_copy(update={"unverified": "nothing compared"})
    failed = verdict(False, count=2)
    assert run_level([verdict(), unverified]) == unverified
    assert run_level([unverified, failed]) == failed


def test_no_repeat_is_no_pass():
    proven = run_level([])
    assert (proven.passed, proven.elements_in, proven.digest) == (False, 0, None)


def test_labels_that_differ_between_repeats_are_noted():
    assert "note" in run_level([verdict(), verdict(digest="cd")]).reference
    assert "note" not in run_level([verdict(), verdict()]).reference
