"""The direct runner: the flags that it takes, and the proof that it is the one that ran."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import DirectOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner

from beambench.definition.plan import PipelinePlan
from beambench.errors import RunError, UsageError
from beambench.runners.direct.beam import pipeline as direct
from beambench.workloads.base import Weights
from beambench.workloads.pipeline.outputs import FinishedPipeline, Outputs
from tiny_workloads import Tiny, Where, definition, make_plan, prepared

pytestmark = pytest.mark.real


def refused(flags: list[str]) -> str:
    with pytest.raises(UsageError) as raised:
        direct.parse_flags(flags)
    message = str(raised.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("flags", "attribute", "value"),
    [
        (["--direct_num_workers=2"], "direct_num_workers", 2),
        (["--direct_num_workers", "2"], "direct_num_workers", 2),
        (["--direct_running_mode=multi_threading"], "direct_running_mode", "multi_threading"),
        ([], "direct_num_workers", 1),
    ],
)
def test_a_flag_that_beam_knows_is_taken(flags, attribute, value):
    assert getattr(direct.parse_flags(flags).view_as(DirectOptions), attribute) == value


@pytest.mark.parametrize(
    ("flag", "hint"),
    [
        ("--direct_num_worker=2", "--direct_num_worker (did you mean '--direct_num_workers'?)"),
        ("--experimets=x", "--experimets (did you mean '--experiments'?)"),
        ("--no-such-thing-at-all", "--no-such-thing-at-all"),
        ("word", "word"),
    ],
)
def test_a_flag_that_beam_does_not_know_is_refused_with_the_nearest(flag, hint):
    message = refused([flag])
    assert message.startswith("Beam 2.77 has no flag ")
    assert hint in message


def test_an_abbreviated_flag_is_refused_because_it_could_be_another_tomorrow():
    assert "no flag --direct_num" in refused(["--direct_num=2"])


@pytest.mark.parametrize(
    "flags",
    [["--runner=DirectRunner"], ["--runner", "PrismRunner"], ["--runner=FnApiRunner"]],
)
def test_the_runner_is_not_chosen_behind_beambenchs_back(flags):
    assert "choose the runner with beambench's own --runner" in refused(flags)


@pytest.mark.parametrize(
    "flags",
    [["--direct_num_workers=two"], ["--direct_num_workers"], ["--direct_running_mode=fast"]],
)
def test_a_flag_with_a_wrong_value_is_one_line_and_no_exit(flags):
    assert refused(flags).startswith(f"Beam flags {' '.join(flags)!r}: ")


@pytest.mark.parametrize(
    ("flags", "in_process"),
    [
        ([], True),
        (["--direct_running_mode=in_memory"], True),
        (["--direct_running_mode=multi_threading"], False),
        (["--direct_running_mode=multi_processing"], False),
    ],
)
def test_whether_the_pipeline_runs_in_this_process(flags, in_process):
    assert direct.is_in_process(flags) is in_process


def plan_of(folder: Path, **changed: Any) -> PipelinePlan:
    ids = [str(number) for number in range(20)]
    return make_plan(folder, **{"preparation": prepared(folder, ids), **changed})


def run(plan: PipelinePlan) -> FinishedPipeline:
    return direct.run(Tiny(plan.definition, Weights(None)), plan, Outputs.within(plan.work_dir))


def test_the_runner_that_ran_is_stated(tmp_path):
    assert run(plan_of(tmp_path)).implementation == "FnApiRunner, in_memory"


def test_flags_reach_the_pipeline(tmp_path):
    plan = plan_of(tmp_path, beam_flags=["--direct_running_mode=multi_threading"])
    assert run(plan).implementation == "FnApiRunner, multi_threading"


def test_several_processes_share_the_elements_and_have_the_threads_that_were_set(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    plan = plan_of(
        tmp_path,
        definition=definition("tiny_workloads:Where", runner={"processes": 2}, threads=3),
        beam_flags=["--experiments=one"],
    )
    outputs = Outputs.within(plan.work_dir)
    finished = direct.run(Where(plan.definition, Weights(None)), plan, outputs)
    assert finished.implementation == "FnApiRunner, multi_processing"
    assert finished.threads is None
    seen = [json.loads(line) for line in Path(outputs.predictions).read_text().splitlines()]
    assert sorted(int(element_id) for element_id, *_ in seen) == list(range(20))
    where = Counter(label for _, label, _, _ in seen)
    assert len(where) == 2
    assert min(where.values()) >= 8
    assert {label.split()[1] for label in where} == {"3"}
    assert str(os.getpid()) not in {label.split()[0] for label in where}
    assert direct.flags_of(plan)[1:] == [
        "--direct_num_workers=2",
        "--direct_running_mode=multi_processing",
    ]


def test_one_process_is_what_beam_does_anyway(tmp_path):
    plan = plan_of(tmp_path, beam_flags=["--experiments=one"])
    assert direct.flags_of(plan) == ["--experiments=one"]


def test_flags_reach_workers_of_the_runner_too(tmp_path, monkeypatch):
    seen: list[Any] = []

    class Noting(direct.KeepingRunner):
        def __init__(self, **options: Any) -> None:
            seen.append(options["provision_info"].provision_info.pipeline_options)
            super().__init__(**options)

    monkeypatch.setattr(direct, "KeepingRunner", Noting)
    run(plan_of(tmp_path, beam_flags=["--experiments=one", "--pickle_library=cloudpickle"]))
    assert seen[0]["beam:option:experiments:v1"] == ["one"]
    assert seen[0]["beam:option:pickle_library:v1"] == "cloudpickle"


def test_a_result_of_another_runner_is_an_error(tmp_path, monkeypatch):
    class Other:
        def wait_until_finish(self) -> None:
            pass

    monkeypatch.setattr(beam.Pipeline, "run", lambda _: Other())
    with pytest.raises(RunError, match="run by test_direct_runner, not by FnApiRunner"):
        run(plan_of(tmp_path))


def test_work_done_in_another_process_is_an_error(tmp_path, monkeypatch):
    result = fn_runner.RunnerResult("DONE", {})
    monkeypatch.setattr(result, "wait_until_finish", lambda: None)
    monkeypatch.setattr(beam.Pipeline, "run", lambda _: result)
    with pytest.raises(RunError, match="no batch was inferred in this process"):
        run(plan_of(tmp_path))
