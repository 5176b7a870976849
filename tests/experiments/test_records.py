"""The one maker of records: which error and which status a run has, and what it was told."""

from __future__ import annotations

import dataclasses
import uuid

import pytest

from beambench.cancellation import Cancellation
from beambench.controller.execution import Execution
from beambench.controller.results import Trouble
from beambench.definition.library import Library
from beambench.experiments.benchmark import execute
from beambench.experiments.records import (
    Subject,
    first_error,
    make_record,
    trouble_or_first_error,
)
from beambench.record.run_record import InputRecord, ModelRecord, RunRecord
from beambench.request.benchmark import make_request
from fake_workers import KILLED, crashed, measured

STARTED = "2026-01-31T10:00:00.000Z"
FINISHED = "2026-01-31T10:01:00.000Z"


OWN = """
from beambench import Workload


class Own(Workload):
    input_types = ("numbers",)

    @classmethod
    def precision_of(cls, definition):
        {body}

    def model_handler(self):
        raise NotImplementedError

    def postprocess(self, prediction):
        return 0
"""
OWN_DEFINITION = """
name: own
title: Own
workload: {module}:Own
model: {{name: m, weights: none}}
input: {{type: numbers, source: synthetic}}
profiles:
  smoke: {{limit: 200, repeats: 1, timeout: 120, slot_seconds: 0.05}}
"""


@pytest.fixture
def own(tmp_path):
    """Write a benchmark of one's own whose workload says what it computes in; return its path."""

    def write(body: str) -> str:
        module = f"own_{uuid.uuid4().hex}"
        (tmp_path / f"{module}.py").write_text(OWN.format(body=body))
        (tmp_path / "own.yaml").write_text(OWN_DEFINITION.format(module=module))
        return str(tmp_path / "own.yaml")

    return write


def record_of(*results, trouble=None, expected=1, judge=first_error, **subject) -> RunRecord:
    request = make_request(
        Library(), "overhead-noop", profile="smoke", labels={"a": "1"}, command=["x", "\udcff"]
    )
    execution = Execution(0.0)
    for result in results:
        execution.add("pipeline", result)
    return make_record(
        request,
        Subject(
            input=InputRecord(kind="unknown", count=None, digest=None),
            model=ModelRecord(name="m", weights="unknown"),
            environment={},
            **subject,
        ),
        execution,
        trouble,
        started_at=STARTED,
        finished_at=FINISHED,
        expected=expected,
        added_config={"more": 1},
        judge=judge,
    )


def test_a_run_that_succeeded():
    record = record_of(measured(warnings=["b", "a"]), warnings=["a"])
    assert (record.status, record.error) == ("succeeded", None)
    assert (record.started_at, record.finished_at) == (STARTED, FINISHED)
    assert record.warnings == ["a", "b"]
    assert record.labels == {"a": "1"}
    assert record.command == ["x", r"\udcff"]
    assert record.config["more"] == 1
    assert record.config["definition"]["name"] == record.benchmark == "overhead-noop"


@pytest.mark.parametrize(
    ("results", "trouble", "status", "error"),
    [
        ([crashed()], None, "failed", "pipeline repeat 1: the worker was killed by SIGKILL"),
        ([], None, "failed", None),
        ([measured()], Trouble("failed", "no room"), "failed", "no room"),
        ([crashed()], Trouble("failed", "no room"), "failed", "pipeline repeat 1: the worker"),
        ([crashed()], Trouble("timed_out", "timed out in x"), "timed_out", "timed out in x"),
        ([measured()], Trouble("cancelled", "cancelled in x"), "cancelled", "cancelled in x"),
    ],
)
def test_the_error_is_what_came_first_unless_something_ended_the_run(
    results, trouble, status, error
):
    record = record_of(*results, trouble=trouble)
    assert record.status == status
    assert (record.error or "").startswith(error or "")
    assert (record.error is None) == (error is None)


def test_another_judge_may_put_what_ended_the_run_first():
    no_room = Trouble("failed", "no room")
    record = record_of(crashed(), trouble=no_room, judge=trouble_or_first_error)
    assert (record.status, record.error) == ("failed", "no room")
    assert record_of(crashed(), judge=trouble_or_first_error).error.startswith("pipeline repeat 1")


def test_what_is_said_of_repeats_that_failed_is_not_lost():
    said = dataclasses.replace(crashed(), warnings=["x", "y"])
    assert record_of(said, measured(), warnings=["a", "x"]).warnings == ["a", "x", "y"]


def test_repeats_that_are_missing_fail_a_run():
    assert record_of(measured(), expected=2).status == "failed"


def test_a_repeat_that_was_stopped_ends_a_run():
    stopped = crashed("timed_out", "timed out")
    assert Trouble.of("step 1", stopped) == Trouble("timed_out", "timed out in step 1")
    left = dataclasses.replace(stopped, ending="timed out, but it goes on")
    assert Trouble.of("step 1", left) == Trouble("timed_out", "timed out, but it goes on")
    assert Trouble.of("step 1", crashed()) == Trouble("failed", KILLED)


def test_it_is_the_version_that_started_the_run():
    assert record_of(measured(), beambench_version="0.0.9").beambench_version == "0.0.9"


def executed(benchmark: str) -> RunRecord:
    request = make_request(Library(), benchmark, profile="smoke")
    return execute(request, Cancellation())


@pytest.mark.usefixtures("workers", "scratch")
def test_a_workload_says_what_its_model_computes_in(own):
    record = executed(own('return "bfloat16"'))
    assert record.config["precision"] == "bfloat16"
    assert "precision" not in executed("overhead-noop").config


@pytest.mark.usefixtures("workers", "scratch")
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('return definition["modle"]', "precision_of failed: KeyError: 'modle'"),
        ("raise SystemExit(7)", "precision_of failed: SystemExit: 7"),
        ("return 16", "precision_of returned int, not the name of a precision"),
    ],
)
def test_a_workload_that_cannot_say_it_is_a_warning(own, body, problem):
    record = executed(own(body))
    assert record.status == "succeeded"
    assert "precision" not in record.config
    (warning,) = [text for text in record.warnings if "precision" in text]
    assert warning.startswith("workload 'own_")
    assert warning.endswith(problem)
