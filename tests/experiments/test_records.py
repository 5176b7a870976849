"""The one maker of records: which error and which status a run has, and what it was told."""

from __future__ import annotations

import uuid

import pytest
from fake_workers import crashed, measured

from beambench.controller.assemble import Execution
from beambench.definition.library import Library
from beambench.experiments.records import Subject, Trouble, make_record
from beambench.experiments.request import make_request
from beambench.record.run_record import InputRecord, ModelRecord, RunRecord

STARTED = "2026-01-31T10:00:00.000Z"


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


def record_of(
    *results, trouble=None, expected=1, error=None, benchmark="overhead-noop", **subject
) -> RunRecord:
    request = make_request(
        Library(), benchmark, profile="smoke", labels={"a": "1"}, command=["x", "\udcff"]
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
        expected=expected,
        added_config={"more": 1},
        error=error,
    )


def test_a_run_that_succeeded():
    record = record_of(measured(warnings=["b", "a"]), warnings=["a"])
    assert (record.status, record.error, record.started_at) == ("succeeded", None, STARTED)
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


def test_what_went_wrong_can_be_given():
    record = record_of(crashed(), trouble=Trouble("failed", "no room"), error="no room")
    assert (record.status, record.error) == ("failed", "no room")


def test_repeats_that_are_missing_fail_a_run():
    assert record_of(measured(), expected=2).status == "failed"


def test_a_repeat_that_was_stopped_ends_a_run():
    execution = Execution(0.0)
    stopped = execution.add("pipeline", crashed("timed_out", "timed out"))
    assert Trouble.of_repeat(stopped) == Trouble("timed_out", "timed out")
    assert Trouble.of_repeat(execution.add("pipeline", crashed())) is None


def test_it_is_the_version_that_started_the_run():
    assert record_of(measured(), beambench_version="0.0.9").beambench_version == "0.0.9"


def test_a_workload_says_what_its_model_computes_in(own):
    record = record_of(measured(), benchmark=own('return "bfloat16"'))
    assert record.config["precision"] == "bfloat16"
    assert "precision" not in record_of(measured()).config


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('return definition["modle"]', "precision_of failed: KeyError: 'modle'"),
        ("raise SystemExit(7)", "precision_of failed: SystemExit: 7"),
        ("return 16", "precision_of returned int, not the name of a precision"),
    ],
)
def test_a_workload_that_cannot_say_it_is_a_warning(own, body, problem):
    record = record_of(measured(), benchmark=own(body))
    assert record.status == "succeeded"
    assert "precision" not in record.config
    (warning,) = record.warnings
    assert warning.startswith("workload 'own_")
    assert warning.endswith(problem)
