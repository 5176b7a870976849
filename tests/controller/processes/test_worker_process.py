"""One task in a worker: what it is told, and what is made of how it ended; nothing is started."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beambench.cancellation import Cancellation
from beambench.clock import utc_now
from beambench.controller.processes import worker_process
from beambench.controller.processes.supervisor import ProcessOutcome
from beambench.controller.processes.worker_process import run_task
from beambench.controller.results import TaskResult
from beambench.definition.library import Library
from beambench.definition.plan import PipelinePlan, Preparation
from beambench.errors import RunError
from beambench.record.observation import Measured, Observation, WorkerError

EXITED = ProcessOutcome("exited", 0, None, 1.5, "")
WROTE = Observation(task="pipeline", peak_rss=500).model_dump_json()


class FakeSampler:
    """Says that the process tree had 400 bytes and used 2 s of CPU time."""

    made: list[FakeSampler]

    def __init__(
        self, root_pid: int, *, supervisors: int, on_sample: Callable[[float | None], None]
    ) -> None:
        self.root_pid, self.supervisors, self.on_sample = root_pid, supervisors, on_sample
        self.calls: list[str] = []
        self.peak_rss, self.cpu_seconds, self.samples = 400, 2.0, 9
        self.made.append(self)

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")


class FakeNoise:
    def __init__(self, cores: frozenset[int] | None) -> None:
        self.cores = cores

    def start(self) -> None:
        self.started = True

    def read(self, own_cpu_seconds: float | None) -> None:
        pass

    def stop(
        self, own_cpu_seconds: float | None, window: tuple[float, float] | None
    ) -> dict[str, Any]:
        noise = {"started": self.started, "own_cpu_seconds": own_cpu_seconds}
        if self.cores is not None:
            noise["cores"] = self.cores
        return noise if window is None else {**noise, "window": window}


@pytest.fixture(autouse=True)
def samplers(monkeypatch) -> list[FakeSampler]:
    monkeypatch.setattr(FakeSampler, "made", [], raising=False)
    monkeypatch.setattr(worker_process, "ProcessTreeSampler", FakeSampler)
    monkeypatch.setattr(worker_process, "NoiseMonitor", FakeNoise)
    return FakeSampler.made


@pytest.fixture
def plan(tmp_path) -> PipelinePlan:
    return PipelinePlan(
        definition=Library().resolve("overhead-noop", profile="smoke").definition,
        pipeline_function="module:run",
        preparation=Preparation(root="", ids_file="ids.txt", count=4, sample=[]),
        seed=0,
        source="synthetic",
        limit=4,
        work_dir=str(tmp_path),
        cache_dir=str(tmp_path / "cache"),
        project_dir=str(tmp_path),
        epoch_ns=1,
        slot_us=1000,
    )


@pytest.fixture
def run(monkeypatch, plan) -> Callable[..., TaskResult]:
    """Run the plan in a worker that writes `wrote` and ends with `outcome`."""

    def call(
        outcome: ProcessOutcome = EXITED,
        wrote: str | bytes | None = WROTE,
        seen: dict[str, Any] | None = None,
        starts: bool = True,
        **options: Any,
    ) -> TaskResult:
        def fake(
            argv: list[str], *, on_start: Callable[[int], None], **given: Any
        ) -> ProcessOutcome:
            if seen is not None:
                seen.update(given, argv=argv, plan=json.loads(Path(argv[-2]).read_text()))
            if starts:
                on_start(4711)
            if wrote is not None:
                content = wrote if isinstance(wrote, bytes) else wrote.encode()
                Path(argv[-1]).write_bytes(content)
            return outcome

        monkeypatch.setattr(worker_process, "supervise", fake)
        settings: dict[str, Any] = {"deadline": 5.0, "cancelled": Cancellation(), **options}
        return run_task(plan, **settings)

    return call


# What the worker is told


def test_the_worker_is_started_with_plan_and_result(run, plan, tmp_path):
    seen: dict[str, Any] = {}
    cancelled, progress = Cancellation(), lambda message: None
    run(seen=seen, deadline=77.0, cancelled=cancelled, on_progress=progress)
    files = [str(tmp_path / "plan.json"), str(tmp_path / "result.json")]
    assert seen["argv"] == [sys.executable, "-m", "beambench.worker", *files]
    assert PipelinePlan.model_validate(seen["plan"]) == plan
    assert (seen["deadline"], seen["cancelled"], seen["on_progress"]) == (77.0, cancelled, progress)
    assert seen["log_path"] == tmp_path / "worker.log"


def environment_of(run: Callable[..., TaskResult], *search_path: str) -> dict[str, str]:
    seen: dict[str, Any] = {}
    run(seen=seen, search_path=search_path)
    return dict(seen["env"])


def test_the_worker_gets_our_environment_without_our_settings(run, monkeypatch):
    monkeypatch.setenv("BEAMBENCH_STORE", "sqlite:///secret.db")
    monkeypatch.setenv("BEAMBENCH_TEST_TORTURE", "full")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    environment = environment_of(run)
    assert not [name for name in environment if name.startswith("BEAMBENCH_")]
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["PYTHONSAFEPATH"] == "1"
    assert os.environ["BEAMBENCH_STORE"] == "sqlite:///secret.db"


@pytest.mark.parametrize(
    ("before", "search_path", "after"),
    [
        (None, [], ""),
        ("/mine:/yours", [], "/mine:/yours"),
        (None, ["/definitions", "/here"], "/definitions:/here"),
        ("/mine", ["/definitions", "/here"], "/definitions:/here:/mine"),
    ],
)
def test_folders_of_a_workload_go_before_pythonpath(run, monkeypatch, before, search_path, after):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if before is not None:
        monkeypatch.setenv("PYTHONPATH", before)
    assert environment_of(run, *search_path)["PYTHONPATH"] == after


def test_the_worker_has_a_temporary_folder_of_its_own(run, tmp_path):
    temporary = tmp_path / "temporary"
    assert environment_of(run)["TMPDIR"] == str(temporary)
    (temporary / "of-a-killed-worker").mkdir()
    environment_of(run)
    assert list(temporary.iterdir()) == []


# How it ended


def test_a_worker_that_did_its_task(run):
    result = run()
    assert (result.status, result.error) == ("succeeded", None)
    assert result.observation == Observation(task="pipeline", peak_rss=500)
    assert result.duration == EXITED.duration


@pytest.mark.parametrize("kind", ["usage", "run"])
def test_a_worker_that_gave_up_says_why(run, kind):
    error = WorkerError(kind=kind, message="no such flag", detail="Traceback")
    wrote = Observation(task="pipeline", error=error).model_dump_json()
    result = run(ProcessOutcome("exited", 1, None, 1.5, "on stderr"), wrote)
    assert result.status == "failed"
    assert result.error == {"kind": kind, "message": "no such flag", "detail": "Traceback"}
    assert result.observation is not None


ENDINGS = [
    (ProcessOutcome("timed_out", None, 15, 9.0, "tail"), "timed_out", "timed out"),
    (ProcessOutcome("cancelled", None, 15, 9.0, "tail"), "cancelled", "cancelled"),
    (
        ProcessOutcome("signalled", None, 9, 9.0, "tail"),
        "failed",
        "the worker was killed by SIGKILL: out of memory?",
    ),
    (
        ProcessOutcome("signalled", None, 11, 9.0, "tail"),
        "failed",
        "the worker was killed by SIGSEGV",
    ),
    (
        ProcessOutcome("signalled", None, 40, 9.0, "tail"),
        "failed",
        "the worker was killed by signal 40",
    ),
    (ProcessOutcome("lost", None, None, 9.0, "tail"), "failed", "the worker's watchdog was killed"),
    (ProcessOutcome("lost", None, 15, 9.0, "tail"), "failed", "the worker's watchdog was killed"),
]


@pytest.mark.parametrize(("outcome", "status", "message"), ENDINGS)
@pytest.mark.parametrize("wrote", [WROTE[:-3], None])
def test_a_worker_that_was_stopped_before_its_result_was_whole(
    run, outcome, status, message, wrote
):
    result = run(outcome, wrote)
    assert (result.status, result.observation) == (status, None)
    assert result.error == {"kind": "run", "message": message, "detail": "tail"}


@pytest.mark.parametrize(
    ("outcome", "warnings"),
    [
        (ProcessOutcome("exited", 0, None, 9.0, ""), []),
        (ProcessOutcome("cancelled", None, 15, 9.0, ""), []),
        (ProcessOutcome("exited", 3, None, 9.0, ""), ["the worker ended with exit code 3"]),
        (ProcessOutcome("signalled", None, 11, 9.0, ""), ["the worker was killed by SIGSEGV"]),
        (ProcessOutcome("signalled", None, 9, 9.0, ""), ["the worker was killed by SIGKILL"]),
        (ProcessOutcome("signalled", None, 14, 9.0, ""), ["the worker hung at its exit"]),
        (
            ProcessOutcome("timed_out", None, 15, 9.0, ""),
            ["the time limit was reached at the exit of the worker"],
        ),
        (ProcessOutcome("lost", None, None, 9.0, ""), ["the worker's watchdog was killed"]),
    ],
)
def test_what_is_done_counts_however_the_worker_ended_after_it(run, outcome, warnings):
    result = run(outcome, WROTE)
    assert (result.status, result.error) == ("succeeded", None)
    expected = [f"{warning}, after its work was done" for warning in warnings]
    assert result.observation.warnings == expected


def test_seconds_that_a_worker_waited_in_vain_at_its_exit_do_not_count(run):
    wrote = Observation(task="pipeline", exit_wait=5.0).model_dump_json()
    assert run(ProcessOutcome("exited", 0, None, 9.0, ""), wrote).duration == 4.0


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        ("", ""),
        ("\n \n", ""),
        ("first\nMemoryError: 3 GiB \n\n", ": MemoryError: 3 GiB"),
        ("x" * 999, ": " + "x" * 200),
    ],
)
def test_a_worker_without_a_result_is_quoted(run, tail, said):
    result = run(ProcessOutcome("exited", 7, None, 1.0, tail), None)
    assert result.status == "failed"
    message = f"the worker ended with exit code 7 and no result{said}"
    assert result.error == {"kind": "run", "message": message, "detail": tail}


@pytest.mark.parametrize(
    ("wrote", "problem"),
    [
        ("", "the whole: Invalid JSON: EOF while parsing a value at line 1 column 0"),
        (WROTE[:-3], "the whole: Invalid JSON: EOF while parsing"),
        (
            '{"task": "pipeline", "sample": [{"id": "a", "label": 1, "evidence": [null]}]}',
            "sample.0.evidence.0: Input should be a valid number",
        ),
        (b'{"task": "\xff"}', "'utf-8' codec can't decode byte 0xff in position 10"),
    ],
)
def test_a_result_that_cannot_be_read_is_said_to_be_so(run, wrote, problem):
    result = run(EXITED, wrote)
    assert (result.status, result.observation) == ("failed", None)
    assert result.error["message"].startswith(f"the worker's result cannot be read: {problem}")
    assert "\n" not in result.error["message"]


def test_the_result_of_an_earlier_task_is_not_taken_for_this_one(run, tmp_path):
    (tmp_path / "result.json").write_text(WROTE)
    result = run(EXITED, None)
    assert result.observation is None
    assert result.error["message"] == "the worker ended with exit code 0 and no result"


# What was seen from outside


@pytest.mark.parametrize(
    ("noted", "sampled", "peak"),
    [(500, 400, 500), (300, 400, 400), (None, 400, 400), (500, None, 500), (None, None, None)],
)
def test_the_peak_is_never_below_the_kernels(run, monkeypatch, noted, sampled, peak):
    started = FakeSampler.start
    monkeypatch.setattr(
        FakeSampler, "start", lambda self: (started(self), setattr(self, "peak_rss", sampled))
    )
    result = run(EXITED, Observation(task="pipeline", peak_rss=noted).model_dump_json())
    assert (result.peak_rss, result.rss_samples) == (peak, 9)


def test_the_tree_below_the_watchdog_is_sampled_until_the_end(run, samplers):
    result = run()
    assert [(sampler.root_pid, sampler.supervisors, sampler.calls) for sampler in samplers] == [
        (4711, 2, ["start", "stop"])
    ]
    assert result.noise == {"started": True, "own_cpu_seconds": 2.0}


def test_nothing_is_known_of_a_worker_that_never_started(run):
    result = run(ProcessOutcome("timed_out", None, None, 0.0, ""), None, starts=False)
    assert (result.peak_rss, result.rss_samples) == (None, 0)
    assert result.noise == {"started": True, "own_cpu_seconds": None}
    assert result.error["message"] == "timed out"


def test_sampling_ends_when_the_worker_cannot_be_supervised(plan, monkeypatch, samplers):
    def fake(argv: list[str], *, on_start: Callable[[int], None], **_: Any) -> ProcessOutcome:
        on_start(4711)
        raise RunError("cannot start the worker")

    monkeypatch.setattr(worker_process, "supervise", fake)
    with pytest.raises(RunError, match="cannot start the worker"):
        run_task(plan, deadline=5.0, cancelled=Cancellation())
    assert samplers[0].calls == ["start", "stop"]


def test_times_are_utc_in_iso_8601_to_the_millisecond(run):
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    before, result, after = utc_now(), run(), utc_now()
    times = [before, result.started_at, result.finished_at, after]
    assert all(re.fullmatch(pattern, time) for time in times)
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("fields", "window"),
    [
        # The plan began at 1 ns; offsets are in microseconds.
        ({"first_read": 2_000_000, "last_output": 9_000_000}, (2.0, 9.0)),
        ({"inference_window": (3_000_000, 4_000_000)}, (3.0, 4.0)),
        ({"first_read": 2_000_000, "inference_window": (3_000_000, 4_000_000)}, (3.0, 4.0)),
        ({"first_read": 2_000_000}, None),
        ({}, None),
    ],
)
def test_noise_is_judged_over_the_time_that_the_numbers_are_from(run, fields, window):
    measured = Measured(
        elements=1, batches=1, batch_sizes={}, batch_size=None, batch_latency=None, latencies={}
    )
    measured = measured.model_copy(update=fields)
    wrote = Observation(task="pipeline", measured=measured).model_dump_json()
    judged = run(wrote=wrote).noise.get("window")
    assert judged == (None if window is None else pytest.approx(window))


def test_the_sampler_notes_the_noise_of_the_machine(run, samplers):
    run()
    assert samplers[0].on_sample.__func__ is FakeNoise.read


@pytest.mark.parametrize(
    ("usable", "watched"), [({0, 1, 2, 3}, None), ({2, 3}, frozenset({2, 3})), (None, None)]
)
def test_noise_is_that_of_the_cores_that_a_worker_is_kept_to(run, monkeypatch, usable, watched):
    cores = None if usable is None else frozenset(usable)
    monkeypatch.setattr(worker_process, "usable_cores", lambda: cores)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert run().noise.get("cores") == watched
