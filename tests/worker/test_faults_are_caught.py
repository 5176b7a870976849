"""Handlers that do the work wrongly, through the tasks of real workers: each must be caught."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beambench.controller.proof.verification import verification
from beambench.controller.repeats import make_repeat
from beambench.definition.plan import Preparation
from beambench.errors import RunError
from beambench.record.observation import Observation
from beambench.record.run_record import Repeat
from beambench.worker import tasks
from beambench.worker.__main__ import _write
from beambench.worker.sample import sample_of
from fake_workers import finished
from tiny_workloads import definition, for_task, make_plan, prepared

pytestmark = pytest.mark.real

CLASSES = {"labels": "class", "evidence": "plain"}
"""Labels tell elements apart."""
TWO = {"labels": "two", "evidence": "parallel"}
"""Labels prove nothing, and raw outputs are nearly parallel as those of random weights."""
CONSTANT = {"labels": "constant", "evidence": "parallel"}
BLIND = {"labels": "two", "evidence": "none"}
"""Labels prove little, and there is nothing else."""


@pytest.fixture(autouse=True)
def _no_fingerprint(monkeypatch) -> None:
    """Describing the machine takes longer than all else here."""
    monkeypatch.setattr(tasks, "fingerprint", lambda _: {})


STAGES = ["read", "preprocess", "inference", "postprocess"]


def judged(folder: Path, limit: int = 200, max_failed: float = 0.01, **parameters: Any) -> Repeat:
    """Prepare, sample the reference, run the pipeline, and make a repeat of it all."""
    plan = make_plan(folder, "prepare", definition=definition(parameters=parameters), limit=limit)
    ready = tasks.prepare(plan).prepared
    assert ready is not None
    preparation = Preparation.model_validate(ready.preparation)

    def seen(task: Callable[[Any], Observation], name: str) -> Observation:
        told = for_task(plan, name, preparation=preparation)
        _write(folder / "result.json", task(told))
        return Observation.model_validate_json((folder / "result.json").read_text())

    reference = seen(tasks.run_reference, "reference")
    ran = seen(tasks.run_pipeline, "pipeline")
    return make_repeat("pipeline", 0, finished(ran), verification(ran, reference), max_failed, {})


def problem(repeat: Repeat) -> str:
    assert repeat.status == "failed"
    assert repeat.verification is not None
    assert not repeat.verification.passed
    assert repeat.error is not None
    message = str(repeat.error["message"])
    assert message == f"verification: {repeat.verification.problems[0]}"
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("kind", "method"), [(CLASSES, "labels"), (TWO, "outputs"), (CONSTANT, "outputs")]
)
@pytest.mark.parametrize("limit", [200, 12, 2])
def test_a_sound_handler_passes(tmp_path, kind, method, limit):
    repeat = judged(tmp_path, limit, **kind)
    assert repeat.status == "succeeded"
    proven = repeat.verification
    assert (proven.elements_in, proven.elements_out, proven.elements_failed) == (limit, limit, 0)
    assert proven.reference_agreement == 1.0
    if limit > 2:  # two elements of two classes are told apart by their labels
        assert proven.reference["method"] == method
    assert proven.reference["compared"] == min(limit, 32)


def test_a_sound_handler_without_raw_outputs_is_unverified_where_its_labels_are_few(tmp_path):
    repeat = judged(tmp_path, **BLIND)
    assert repeat.status == "succeeded"
    assert not repeat.verification.passed
    assert "labels are too few" in repeat.verification.unverified
    assert repeat.verification.reference_agreement is None
    assert "labels are too few" in repeat.verification.reference["reason"]


@pytest.mark.parametrize(
    "fault",
    ["swap first two", "swap last two", "reverse", "cached first", "first of batch", "previous"],
)
@pytest.mark.parametrize("kind", [CLASSES, TWO, CONSTANT, BLIND], ids=str)
def test_an_output_of_another_element_is_caught(tmp_path, fault, kind):
    message = problem(judged(tmp_path, fault=fault, **kind))
    assert "differ from the reference loop" in message or "ignore" in message


@pytest.mark.parametrize("limit", [2, 3, 9])
@pytest.mark.parametrize("fault", ["swap first two", "reverse", "cached first", "previous"])
def test_it_is_caught_among_few_elements_too(tmp_path, fault, limit):
    kind = {"labels": "number", "evidence": "none"}
    assert "differ from the reference loop" in problem(judged(tmp_path, limit, fault=fault, **kind))


@pytest.mark.parametrize("limit", [2, 5, 200])
@pytest.mark.parametrize("labels", ["class", "two", "constant"])
def test_a_model_that_ignores_its_input_is_caught_by_its_outputs(tmp_path, labels, limit):
    repeat = judged(tmp_path, limit, fault="constant", labels=labels)
    assert "the model ignores its input" in problem(repeat)


@pytest.mark.parametrize("fault", ["constant", "cached first"])
def test_it_is_caught_by_equal_labels_where_there_are_no_outputs(tmp_path, fault):
    repeat = judged(tmp_path, fault=fault, labels="number", evidence="none")
    message = problem(repeat)
    if fault == "constant":
        assert "all sampled elements have the same label" in message
    else:  # the first of the sample is never the first of the pipeline
        assert "32 of 32 sampled elements differ from the reference loop" in message


def test_outputs_that_depend_on_the_batch_are_caught_where_outputs_are_compared(tmp_path):
    message = problem(judged(tmp_path, fault="scaled by batch", labels="two"))
    assert "32 of 32 sampled elements differ" in message


@pytest.mark.parametrize("evidence", ["plain", "none"])
def test_outputs_that_are_no_numbers_are_caught(tmp_path, evidence):
    message = problem(judged(tmp_path, fault="not a number", labels="class", evidence=evidence))
    if evidence == "plain":
        assert "32 of 32 sampled outputs hold no finite number" in message
    else:
        assert "all sampled elements have the same label" in message


def test_an_evidence_that_fails_beside_a_postprocess_that_always_answers_0_is_caught(tmp_path):
    count = 3300  # the sample is less than 1 in 100: fewer failed than `max_failed` allows
    repeat = judged(
        tmp_path, count, labels="constant", fail_at=list(range(count)), stage="evidence"
    )
    message = problem(repeat)
    assert "evidence() failed for 32 of 32 sampled elements" in message
    assert "ValueError: evidence of " in message
    proven = repeat.verification
    assert (proven.elements_out, proven.elements_failed) == (count - 32, 32)
    assert {failure.stage for failure in proven.failed} == {"evidence"}
    assert proven.reference_agreement is None


def test_masked_outputs_are_compared_by_the_rest(tmp_path):
    repeat = judged(tmp_path, fault="masked", labels="two")
    assert repeat.status == "succeeded"
    assert repeat.verification.reference_agreement == 1.0
    assert repeat.verification.reference["not_finite"] == 1 / 8


# --- lost and doubled


@pytest.mark.parametrize("fault", ["drop first", "drop last", "drop one once"])
@pytest.mark.parametrize("kind", [CLASSES, CONSTANT, BLIND], ids=str)
def test_a_dropped_element_is_caught_and_counted(tmp_path, fault, kind):
    repeat = judged(tmp_path, fault=fault, **kind)
    lost = 1 if fault == "drop one once" else 25
    assert problem(repeat).startswith(f"verification: {lost} elements did not come out: ")
    proven = repeat.verification
    assert (proven.elements_in, proven.elements_out, proven.missing) == (200, 200 - lost, lost)
    assert proven.elements_failed == 0


@pytest.mark.parametrize("fault", ["double first", "double last"])
def test_a_doubled_element_is_caught_by_the_reference(tmp_path, fault):
    with pytest.raises(RunError, match="the model handler gave 2 results for a batch of 1"):
        judged(tmp_path, fault=fault)


def test_one_that_is_doubled_in_batches_only_is_caught_by_the_pipeline(tmp_path):
    with pytest.raises(RunError, match="the model handler gave 9 results for a batch of 8"):
        judged(tmp_path, fault="double in batches")


# --- nothing came out


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_of_which_nothing_came_out_has_failed_whatever_is_allowed(tmp_path, stage):
    repeat = judged(tmp_path, 40, max_failed=1.0, fail_at=list(range(40)), stage=stage)
    assert problem(repeat).startswith("verification: no element came out: 40 failed, first ")
    assert f"{stage}: ValueError: {stage} of " in problem(repeat)


def test_a_run_of_which_one_came_out_is_compared_by_that_one(tmp_path):
    repeat = judged(tmp_path, 40, max_failed=1.0, fail_at=list(range(1, 40)))
    assert repeat.status == "succeeded"
    proven = repeat.verification
    assert (proven.elements_out, proven.elements_failed) == (1, 39)
    assert (proven.reference["compared"], proven.reference["failed_alike"]) == (1, 31)


# --- what is no fault


@pytest.mark.parametrize("stage", ["read", "preprocess", "inference", "postprocess"])
def test_a_failed_element_is_named_with_its_stage_and_is_no_problem_below_the_limit(
    tmp_path, stage
):
    repeat = judged(tmp_path, fail_at=[0, 77], stage=stage)  # the first is always sampled
    assert repeat.status == "succeeded"
    proven = repeat.verification
    assert (proven.elements_in, proven.elements_out, proven.elements_failed) == (200, 198, 2)
    assert {(failure.id, failure.stage, failure.error) for failure in proven.failed} == {
        (number, stage, f"ValueError: {stage} of {number}") for number in ("0", "77")
    }
    assert proven.reference_agreement == 1.0


def test_too_many_failed_elements_fail_the_repeat_and_the_first_is_named(tmp_path):
    repeat = judged(tmp_path, fail_at=list(range(50)), stage="preprocess")
    assert repeat.status == "failed"
    assert repeat.error["message"] == (
        "50 of 200 elements failed, more than max_failed 0.01: "
        "0: preprocess: ValueError: preprocess of 0"
    )
    assert repeat.verification.passed
    assert len(repeat.verification.failed) == 20
    assert repeat.verification.elements_failed == 50


# --- in processes of their own, with a module of the user's own

SWAPPING = """
from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from beambench.workloads.base import Workload


class Handler(ModelHandler):
    def load_model(self):
        return Handler()

    def run_inference(self, batch, model, inference_args=None):
        outputs = [int(element) ** 2 for element in batch]
        if len(outputs) > 1:
            outputs[0], outputs[-1] = outputs[-1], outputs[0]
        return [PredictionResult(one, output) for one, output in zip(batch, outputs)]


class Swapping(Workload):
    input_types = ("numbers",)

    def model_handler(self):
        return Handler(min_batch_size=4)

    def postprocess(self, prediction):
        return prediction.inference
"""


def test_a_module_of_the_users_own_that_swaps_two_outputs_is_caught_in_real_workers(tmp_path):
    (tmp_path / "swapping_workload.py").write_text(SWAPPING)
    ids = [str(number) for number in range(50)]
    preparation = prepared(tmp_path, ids, sample_of(ids, seed=0))
    whole = definition("swapping_workload:Swapping", batching={})
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    workers = []
    for task in ("reference", "pipeline"):
        folder = tmp_path / task
        folder.mkdir()
        plan = make_plan(folder, task, definition=whole, preparation=preparation)
        (folder / "plan.json").write_text(plan.model_dump_json())
        files = [str(folder / "plan.json"), str(folder / "result.json")]
        command = [sys.executable, "-m", "beambench.worker", *files]
        workers.append(subprocess.Popen(command, env=environment, cwd="/"))
    assert [worker.wait(120) for worker in workers] == [0, 0]
    reference, pipeline = (
        Observation.model_validate_json((tmp_path / task / "result.json").read_text())
        for task in ("reference", "pipeline")
    )
    proven = verification(pipeline, reference)
    message = problem(make_repeat("pipeline", 0, finished(pipeline), proven, 0.01, {}))
    assert "differ from the reference loop" in message
    assert pipeline.peak_rss is not None
    assert pipeline.peak_rss > 50e6
