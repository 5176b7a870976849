"""The record of a pipeline that exists already, whatever its workers gave."""

from typing import Any

import pytest

from beambench.cancellation import Cancellation
from beambench.controller.session import Step
from beambench.errors import RunError, UsageError
from beambench.experiments.existing import execute_existing
from beambench.record.run_record import RunRecord
from beambench.request.existing import make_existing_request
from fake_existing import beam, existing, flowed, step
from fake_workers import KILLED, Workers, crashed, gave_up


@pytest.fixture
def own_workers(monkeypatch: pytest.MonkeyPatch, scratch: object) -> Workers:
    fake = Workers()
    monkeypatch.setattr("beambench.controller.processes.worker_process.run_task", fake)
    return fake


@pytest.fixture
def execute(own_workers: Workers, tmp_path, monkeypatch):
    """Return a function that runs a pipeline whose workers give these results."""
    (tmp_path / "own.py").write_text("")
    monkeypatch.chdir(tmp_path)

    def run(*results: Any, announce: Any = None, **options: Any) -> RunRecord:
        own_workers.script("existing", *results)
        given = {"flags": ["--input", "x", "--api_key=hunter2"], "command": []} | options
        request = make_existing_request("own:run", None, [], **{"repeats": len(results), **given})
        return execute_existing(request, Cancellation(), *([announce] if announce else []))

    return run


def test_a_run_is_recorded_as_unverified(execute, own_workers, tmp_path):
    record = execute(existing(), existing(), labels={"team": "a"}, seed=7, timeout=60.0)
    assert (record.status, record.error) == ("succeeded", None)
    assert (record.benchmark, record.variant, record.profile) == ("own-run", "existing", "existing")
    proven = record.verification
    assert proven.unverified is not None
    assert (proven.passed, proven.elements_in, proven.duplicates) == (False, None, None)
    assert (record.input.kind, record.input.count, record.input.digest) == ("unknown", None, None)
    assert (record.model.name, record.model.weights) == ("SomeHandler", "unknown")
    assert record.labels == {"team": "a"}
    assert record.config["beam_flags"] == ["--input", "x", "--api_key=***"]
    assert record.runner.options == ["--input", "x", "--api_key=***"]
    assert [repeat.verification for repeat in record.repeats] == [None, None]
    assert record.repeats[0].cross_check == {"agrees": True, "differences": []}
    assert record.metrics["throughput_inferred"].value == 25.0  # 50 after the first batch, in 2 s
    assert record.metrics["throughput_inferred"].n == 2
    assert "throughput_elements" not in record.metrics
    assert RunRecord.model_validate_json(record.model_dump_json()) == record
    assert len(own_workers.plans) == 2
    first = own_workers.plans[0]
    assert first.argv == ["--input", "x", "--api_key=hunter2"]
    assert (first.pipeline, first.seed) == ("own:run", 7)
    assert own_workers.options[0]["search_path"] == [str(tmp_path)]


def test_several_steps_are_checked_and_kept_apart(execute):
    steps = {"A": step(), "B": step(count=7, handler="Other")}
    record = execute(existing(steps=steps, warnings=["added up"]), existing(warnings=["added up"]))
    first = record.repeats[0]
    assert first.beam_metrics == {"A": beam(), "B": beam(7)}
    assert first.cross_check["agrees"] is False
    assert first.cross_check["differences"] == ["B: batch size count: Beam 7, ours 6"]
    assert record.model.name == "Other, SomeHandler"
    assert record.warnings == [
        "added up",
        "pipeline repeat 1: Beam's own metrics differ: B: batch size count: Beam 7, ours 6",
    ]


def test_a_failed_repeat_is_recorded_without_secrets(execute):
    wrong = gave_up("existing", "run", "own:run: ValueError: no key hunter2 (own.py:3)")
    record = execute(wrong, existing())
    assert record.status == "failed"
    assert record.error == "pipeline repeat 1: own:run: ValueError: no key *** (own.py:3)"
    assert "hunter2" not in record.model_dump_json()
    assert [repeat.status for repeat in record.repeats] == ["failed", "succeeded"]
    assert record.metrics["run_time"].n == 1


@pytest.mark.parametrize(
    ("result", "max_failed", "error"),
    [
        (flowed(13, missing=87), 1.0, "100 in, 13 out, 0 failed: 87 lost, neither out nor failed"),
        (flowed(100, missing=3), 1.0, "100 in, 100 out, 0 failed: 3 lost"),
        (flowed(104, surplus=4), 1.0, "100 in, 104 out, 0 failed: 4 results more than elements"),
        (
            flowed(62, 38, causes=["ValueError('no')"]),
            None,
            "100 in, 62 out, 38 failed: more than max_failed 0.01 (ValueError('no')): see --max-f",
        ),
        (flowed(62, 38), 0.37, "100 in, 62 out, 38 failed: more than max_failed 0.37: see"),
        (flowed(0, 100), 1.0, "100 in, 0 out, 100 failed: none came out"),
    ],
)
def test_work_that_was_not_done_fails_the_run(execute, result, max_failed, error):
    record = execute(result, max_failed=max_failed)
    assert record.status == "failed"
    assert record.error.startswith(f"pipeline repeat 1: RunInference Infer: {error}")
    assert record.repeats[0].element_flows["Infer"].elements_in == 100


def test_failed_elements_that_are_allowed_are_a_warning_without_secrets(execute):
    record = execute(flowed(62, 38, causes=["ValueError('no hunter2')"]), max_failed=0.38)
    assert (record.status, record.config["max_failed"]) == ("succeeded", 0.38)
    assert record.warnings == [
        "pipeline repeat 1: RunInference Infer: 100 in, 62 out, 38 failed (ValueError('no ***'))"
    ]
    assert "hunter2" not in record.model_dump_json()


def test_what_beam_warned_of_is_kept_once_and_without_secrets(execute):
    said = "a handler asked for a GPU and ran on the CPU: hunter2"
    record = execute(existing(warnings=[said]), existing(warnings=[said]))
    assert record.warnings == ["a handler asked for a GPU and ran on the CPU: ***"]


def test_two_failures_in_a_row_end_the_run(execute, own_workers):
    record = execute(existing(), crashed(), crashed(), existing())
    assert (record.status, len(record.repeats)) == ("failed", 3)
    assert record.error == f"pipeline repeat 2: {KILLED}"
    assert len(own_workers.plans) == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("timed_out", "timed out in pipeline repeat 2"),
        ("cancelled", "cancelled in pipeline repeat 2"),
    ],
)
def test_a_run_that_is_stopped_keeps_what_it_has(execute, own_workers, status, error):
    record = execute(existing(), crashed(status, "stopped"), existing())
    assert (record.status, record.error) == (status, error)
    assert [repeat.status for repeat in record.repeats] == ["succeeded", status]


def test_what_the_user_can_mend_is_said_without_secrets_and_leaves_no_record(execute):
    with pytest.raises(UsageError, match=r"own:run: invalid int value: '\*\*\*'"):
        execute(gave_up("existing", "usage", "own:run: invalid int value: 'hunter2'"))


def test_a_worker_that_cannot_start_is_a_failed_run(execute):
    record = execute(existing(), RunError("cannot start the worker"))
    assert (record.status, record.error) == ("failed", "cannot start the worker")


def test_progress_names_the_repeats(execute):
    steps: list[Step] = []

    def announce(step: Step, elements: int | None) -> Any:
        assert elements is None
        steps.append(step)
        return lambda _: None

    execute(existing(), existing(), announce=announce)
    assert [(name.label, name.index, name.total) for name in steps] == [
        ("pipeline repeat 1", 1, 2),
        ("pipeline repeat 2", 2, 2),
    ]
