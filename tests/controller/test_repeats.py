"""A repeat, made from what its worker reported."""

from __future__ import annotations

import pytest

from beambench.controller.execution import Execution
from beambench.record.observation import Observation, SampledPrediction
from task_results import CRASH, execute, judged, observe, result_of


def test_a_repeat_holds_what_was_seen_from_inside_and_outside():
    repeat = judged("pipeline", 4, result_of(observe()), 0.01)
    assert (repeat.index, repeat.arm, repeat.status, repeat.error) == (
        4,
        "pipeline",
        "succeeded",
        None,
    )
    assert repeat.started_at == "2026-01-01T00:00:00.000Z"
    assert repeat.finished_at == "2026-01-01T00:00:13.000Z"
    assert repeat.metrics["throughput_elements"].value == pytest.approx(10.0)
    assert repeat.metrics["run_time"].value == 12.5
    assert (repeat.metrics["peak_memory"].value, repeat.metrics["peak_memory"].n) == (1000.0, 9)
    assert repeat.noise == {"reasons": [], "disturbed": False}
    assert repeat.runner["implementation"] == "FnApiRunner (in_memory)"
    assert repeat.verification.passed
    assert (repeat.beam_metrics, repeat.cross_check) == ({}, {})


def test_beams_own_metrics_are_kept_and_checked():
    theirs = {
        "inference_request_batch_size": {"count": 3, "sum": 100, "min": 10, "max": 60},
        "num_inferences": {"value": 99},
    }
    repeat = judged("pipeline", 0, result_of(observe(beam_metrics=theirs)), 0.01)
    assert repeat.beam_metrics == theirs
    assert repeat.cross_check["differences"] == ["inferences: Beam 99, ours 100"]


def test_a_crash_leaves_a_repeat_with_its_error():
    repeat = judged("loop", 0, result_of(), 0.01)
    assert (repeat.status, repeat.error) == ("failed", CRASH)
    assert (repeat.metrics, repeat.verification, repeat.batch_sizes) == ({}, None, [])
    assert repeat.noise == {"reasons": [], "disturbed": False}


@pytest.mark.parametrize("status", ["timed_out", "cancelled"])
def test_a_stopped_repeat_keeps_its_status(status):
    error = {"kind": "run", "message": status, "detail": ""}
    repeat = judged("pipeline", 0, result_of(None, status=status, error=error), 0.01)
    assert (repeat.status, repeat.error) == (status, error)


@pytest.mark.parametrize("missing", ["proof", "expected"])
def test_a_repeat_without_a_proof_has_failed_unless_its_pipeline_can_have_none(missing):
    repeat = judged("pipeline", 0, result_of(observe(**{missing: None})), 0.01)
    assert repeat.status == "failed"
    assert repeat.error["message"] == "the worker gave no proof of its work"
    unproven = observe(task="existing", **{missing: None})
    assert judged("pipeline", 0, result_of(unproven), 0.01).status == "succeeded"


def test_batch_sizes_are_in_the_order_in_which_beam_grows_them():
    assert judged("pipeline", 0, result_of(observe()), 0.01).batch_sizes == [10, 30, 60]


@pytest.mark.parametrize(
    ("failed", "max_failed", "message"),
    [
        (0, 0.0, None),
        (1, 0.01, None),
        (
            2,
            0.01,
            "2 of 100 elements failed, more than max_failed 0.01: "
            "7.jpg: preprocess: ValueError: bad",
        ),
        (
            1,
            0.0,
            "1 of 100 elements failed, more than max_failed 0: 7.jpg: preprocess: ValueError: bad",
        ),
        (99, 1.0, None),
        (
            100,
            1.0,
            "verification: no element came out: 100 failed, first 7.jpg: preprocess: "
            "ValueError: bad",
        ),
    ],
)
def test_too_many_failed_elements_fail_the_repeat(failed, max_failed, message):
    repeat = judged("pipeline", 0, result_of(observe(failed=failed)), max_failed)
    assert repeat.status == ("succeeded" if message is None else "failed")
    assert (repeat.error or {}).get("message") == message
    assert (repeat.error or {}).get("kind") == (None if message is None else "run")
    assert repeat.metrics["elements_failed"].value == failed


@pytest.mark.parametrize("arm", ["pipeline", "loop", "ceiling"])
def test_no_output_is_no_result_whatever_max_failed_allows(arm):
    nothing = observe(failed=100, sample=[], task="pipeline" if arm == "pipeline" else "loop")
    execution = execute((arm, result_of(nothing)), max_failed=1.0)
    [repeat] = [*execution.repeats, *execution.references]
    assert repeat.status == "failed"
    assert repeat.error["message"].startswith("verification: no element came out: 100 failed")
    assert (repeat.verification.passed, repeat.verification.unverified) == (False, None)


def test_a_repeat_that_nothing_speaks_for_or_against_is_unverified_and_no_failure():
    execution = Execution(0.01)
    repeat = execution.add("pipeline", result_of(observe()))
    assert (repeat.status, repeat.error) == ("succeeded", None)
    assert not repeat.verification.passed
    assert "no reference sample was run" in repeat.verification.unverified
    assert execution.verification() == repeat.verification


def test_a_failure_that_nobody_named_is_counted_all_the_same():
    unnamed = observe(failed=50).model_copy(update={"failed": []})
    repeat = judged("pipeline", 0, result_of(unnamed), 0.01)
    assert repeat.error["message"] == "50 of 100 elements failed, more than max_failed 0.01"


def test_a_failed_verification_fails_the_repeat():
    lost = observe(missing=["3.jpg"], missing_count=1)
    repeat = judged("pipeline", 0, result_of(lost), 0.01)
    assert repeat.status == "failed"
    assert repeat.error["message"] == "verification: 1 elements did not come out: 3.jpg"


def test_the_reference_judges_the_pipeline():
    sample = [SampledPrediction(id=str(i), label=i) for i in range(8)]
    swapped = [
        prediction.model_copy(update={"label": prediction.label ^ 1}) for prediction in sample
    ]
    execution = Execution(0.01, reference=Observation(task="reference", sample=sample))
    assert execution.add("pipeline", result_of(observe(sample=sample))).status == "succeeded"
    repeat = execution.add("pipeline", result_of(observe(sample=swapped)))
    assert repeat.status == "failed"
    assert repeat.error["message"].startswith("verification: 8 of 8 sampled elements differ")
