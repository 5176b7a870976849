"""The worker's command: its result, its errors in one line, its progress."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from beambench.definition.plan import CalibratePlan
from beambench.errors import RunError, StoreError, UsageError
from beambench.machine.tree_cpu import WORKER_PID
from beambench.record.observation import BatchSizeRates, Observation, WorkerError
from beambench.worker import __main__ as worker
from fast_runs import python_path
from tiny_workloads import definition, make_plan, prepared


@pytest.fixture
def do(tmp_path, monkeypatch) -> Callable[..., Observation]:
    """Return a function that runs the worker's `main` in this process with a task of its own."""
    plan_file, result_file = tmp_path / "plan.json", tmp_path / "result.json"

    def run(task: Callable[[Any], Observation], code: int) -> Observation:
        def carried_out(plan: CalibratePlan) -> Observation:
            return task(plan)

        own = types.ModuleType("own_task")
        own.carried_out = carried_out
        monkeypatch.setitem(sys.modules, own.__name__, own)
        plan = make_plan(tmp_path, "calibrate", function="own_task:carried_out")
        plan_file.write_text(plan.model_dump_json())
        monkeypatch.setenv(WORKER_PID, "")  # main sets it, and it is gone after the test
        assert worker.main(str(plan_file), str(result_file)) == code
        return Observation.model_validate_json(result_file.read_text("utf-8"))

    return run


def raising(error: BaseException) -> Callable[[Any], Observation]:
    def task(_: Any) -> Observation:
        raise error

    return task


def described(error: Exception) -> WorkerError:
    try:
        raise error
    except Exception as raised:
        message = worker._described(raised)
    assert "\n" not in message.message
    assert type(error).__name__ in message.detail
    return message


# --- the result


@pytest.mark.real
def test_the_result_is_the_observation_with_the_peak_of_memory(do):
    rates = BatchSizeRates(rates={4: 10.0, 8: 12.5})
    status = do(lambda plan: Observation(task=plan.task, batch_size_rates=rates), 0)
    assert (status.task, status.batch_size_rates, status.error) == ("calibrate", rates, None)
    assert 20e6 < status.peak_rss < 1e12


@pytest.mark.real
@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (UsageError("no such file: a"), "usage", "no such file: a"),
        (RunError("it broke"), "run", "it broke"),
        (ValueError("odd"), "run", "ValueError: odd"),
    ],
)
def test_an_error_is_a_result_too_and_the_exit_code_is_1(do, error, kind, message):
    status = do(raising(error), 1)
    assert (status.error.kind, status.error.message) == (kind, message)
    assert "in task" in status.error.detail  # where it was raised
    assert status.peak_rss is not None


@pytest.mark.real
@pytest.mark.parametrize("code", [0, None, "no GPU"])
def test_a_handler_that_exits_is_an_error_whatever_its_code(do, code):
    status = do(raising(SystemExit(code)), 1)
    text = (
        f"SystemExit: the workload or its handler called sys.exit({code!r}): raise an error there"
    )
    assert (status.error.kind, status.error.message) == ("run", text)
    assert "in task" in status.error.detail


@pytest.mark.real
def test_an_error_that_cannot_say_what_it_is_has_its_name(do):
    class SpeechlessError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("nothing to say")

    assert do(raising(SpeechlessError()), 1).error.message == "SpeechlessError"


@pytest.mark.real
def test_an_exit_is_no_result(do, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        do(raising(KeyboardInterrupt()), 1)
    assert not (tmp_path / "result.json").exists()


def test_the_result_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    result = tmp_path / "result.json"
    result.write_text("earlier")
    write = Path.write_text

    def full_disk(self: Path, text: str, *args: Any) -> int:
        write(self, text[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OSError, match="No space"):
        worker._write(result, Observation(task="loop"))
    monkeypatch.undo()
    assert result.read_text() == "earlier"
    worker._write(result, Observation(task="loop"))
    assert Observation.model_validate_json(result.read_text()).task == "loop"
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_outputs_that_are_no_numbers_survive_the_way_to_the_controller(tmp_path):
    odd = [float("nan"), float("inf"), -0.0, 1e-300]
    seen = {"task": "loop", "sample": [{"id": "é", "label": "日", "evidence": odd}]}
    worker._write(tmp_path / "result.json", Observation.model_validate(seen))
    observation = Observation.model_validate_json((tmp_path / "result.json").read_text())
    assert repr(observation.sample[0].evidence) == repr(odd)
    assert (observation.sample[0].id, observation.sample[0].label) == ("é", "日")


# --- one line for every error


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (RunError("two\nlines"), "run", "two lines"),
        (StoreError("locked"), "run", "locked"),
        (RunError("5 MiB [while running 'A/B']"), "run", "5 MiB"),
        (UsageError("needs pip [while running 'A/B']"), "usage", "needs pip"),
        (ValueError("one\n  two\n"), "run", "ValueError: one two"),
        (ValueError(), "run", "ValueError"),
        (
            ValueError("odd [while running 'A/B']"),
            "run",
            "ValueError: odd [while running 'A/B']",
        ),
        (KeyError("x"), "run", "KeyError: 'x'"),
        (ValueError("y" * 1000), "run", f"ValueError: {'y' * 300}"),
        # Beam gives errors that it cannot make again the text of their last line.
        (
            RuntimeError("FileNotFoundError: [Errno 2] No such file: 'a' [while running 'A']"),
            "run",
            "FileNotFoundError: [Errno 2] No such file: 'a' [while running 'A']",
        ),
        (
            RuntimeError("AssertionError [while running 'A']"),
            "run",
            "AssertionError: [while running 'A']",
        ),
        (
            RuntimeError('Error(s) in loading state_dict for X:\n\tMissing key(s): "a". '),
            "run",
            'RuntimeError: Error(s) in loading state_dict for X: Missing key(s): "a".',
        ),
        (
            RuntimeError("CUDA error: out of memory"),
            "run",
            "RuntimeError: CUDA error: out of memory",
        ),
        (OSError(28, "No space left"), "run", "OSError: [Errno 28] No space left"),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_an_error_is_one_line(error, kind, message):
    told = described(error)
    assert (told.kind, told.message) == (kind, message)


def traceback_of(last: str) -> str:
    """Return the text in which a runner reports an error of a worker of its own."""
    return (
        "bundle inst001 failed:Traceback (most recent call last):\n"
        '  File "sdk_worker.py", line 1, in run\n'
        "    first()\n"
        "KeyError: 'first'\n"
        "\n"
        "During handling of the above exception, another exception occurred:\n"
        "\n"
        "Traceback (most recent call last):\n"
        '  File "sdk_worker.py", line 2, in run\n'
        "    raise SomeError: not this one\n"
        "    ^^^^^^^\n"
        f"{last}\n\n"
    )


@pytest.mark.parametrize(
    ("last", "kind", "message"),
    [
        ("beambench.errors.RunError: it broke [while running 'A/B']", "run", "it broke"),
        ("beambench.errors.UsageError: pip install x", "usage", "pip install x"),
        ("ValueError: odd [while running 'A']", "run", "ValueError: odd [while running 'A']"),
        ("torch.cuda.OutOfMemoryError: CUDA out", "run", "OutOfMemoryError: CUDA out"),
        ("ValueError: one\ntwo", "run", "ValueError: one two"),
        ("AssertionError", "run", "AssertionError"),
    ],
)
def test_an_error_that_a_runner_wrapped_as_a_text_is_the_last_of_it(last, kind, message):
    told = described(RuntimeError(traceback_of(last)))
    assert (told.kind, told.message) == (kind, message)


def test_a_traceback_without_an_error_is_shown_as_it_is():
    message = described(RuntimeError(traceback_of("Fatal exit 3"))).message
    assert message == "RuntimeError: Fatal exit 3"


def test_a_long_traceback_keeps_its_end():
    try:
        raise ValueError("x" * 20_000 + "end")
    except ValueError as error:
        message = worker._described(error)
    assert len(message.detail) == 8000
    assert message.detail.endswith("xend\n")


@pytest.mark.real
def test_errors_within_a_real_pipeline_are_one_line_too(tmp_path, monkeypatch):
    import tiny_handlers
    from beambench.worker.tasks import run_pipeline

    plan = make_plan(tmp_path, preparation=prepared(tmp_path, [str(n) for n in range(10)]))

    def message_of(error: Exception) -> WorkerError:
        def load_model(_: Any) -> None:
            raise error

        monkeypatch.setattr(tiny_handlers.TinyHandler, "load_model", load_model)
        with pytest.raises(Exception, match="while running") as raised:
            run_pipeline(plan)
        return described(raised.value)

    assert message_of(RunError("too large")).message == "too large"
    message = message_of(UsageError("pip install it"))
    assert (message.kind, message.message) == ("usage", "pip install it")
    step = "[while running 'TinyRunInference/BeamML_RunInference']"
    assert message_of(OSError(2, "gone", "a")).message.endswith(f"[Errno 2] gone: 'a' {step}")
    assert message_of(ValueError("a\nb")).message == f"ValueError: a b {step}"


# --- progress


@contextmanager
def progress_pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """Give the worker a pipe, and end its thread before the descriptor can be another's."""
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)  # as it is when it comes from the controller
    monkeypatch.setenv("BEAMBENCH_PROGRESS_FD", str(writer))
    monkeypatch.setattr(worker, "PROGRESS_SECONDS", 0.005)
    before = set(threading.enumerate())
    try:
        yield reader, writer
    finally:
        os.close(reader)  # its next line ends the thread
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
            assert not thread.is_alive()
        os.close(writer)


def lines_until(reader: int, done: int) -> list[dict[str, int]]:
    seen: list[dict[str, int]] = []
    with os.fdopen(os.dup(reader)) as lines:
        for line in lines:
            seen.append(json.loads(line))
            if seen[-1]["done"] == done:
                break
    return seen


@pytest.mark.real
def test_progress_is_the_elements_done_in_json_lines(do, monkeypatch):
    from beambench.instrumentation.recorder import Progress

    monkeypatch.setattr(Progress, "done", 0)
    seen: list[dict[str, int]] = []

    def task(plan: Any) -> Observation:
        assert "BEAMBENCH_PROGRESS_FD" not in os.environ
        for done in (7, 11):
            Progress.done = done
            seen.extend(lines_until(reader, done))
        return Observation(task=plan.task)

    with progress_pipe(monkeypatch) as (reader, writer):
        do(task, 0)
        assert not os.get_inheritable(writer)
    assert {"done": 7} in seen
    assert seen[-1] == {"done": 11}
    assert all(set(line) == {"done"} for line in seen)


def fill(writer: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b'{"done": 0}\n' * 100)


@pytest.mark.real
def test_a_controller_that_does_not_read_holds_nobody_up(do, monkeypatch):
    from beambench.instrumentation.recorder import Progress

    monkeypatch.setattr(Progress, "done", 3)
    seen: list[dict[str, int]] = []

    refused = threading.Event()

    class Os:
        """The module `os`, but that says when the worker met a full pipe."""

        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def write(self, descriptor: int, data: bytes) -> int:
            try:
                return os.write(descriptor, data)
            except BlockingIOError:
                refused.set()
                raise

    def task(plan: Any) -> Observation:
        fill(writer)
        assert refused.wait(10)
        Progress.done = 5  # and the worker goes on
        seen.extend(lines_until(reader, 5))
        return Observation(task=plan.task)

    monkeypatch.setattr(worker, "os", Os())
    with progress_pipe(monkeypatch) as (reader, writer):
        do(task, 0)
    assert seen[-1] == {"done": 5}


def test_without_a_descriptor_there_is_no_progress(monkeypatch):
    monkeypatch.delenv("BEAMBENCH_PROGRESS_FD", raising=False)
    before = threading.active_count()
    worker._report_progress()
    assert threading.active_count() == before


# --- as a process


@pytest.mark.real
def test_a_usage_error_of_a_real_worker_is_a_result(tmp_path):
    plan_file, result_file = tmp_path / "plan.json", tmp_path / "result.json"
    plan = make_plan(
        tmp_path,
        "prepare",
        definition=definition("overhead"),
        beam_flags=["--direct_num_worker=2"],
    )
    plan_file.write_text(plan.model_dump_json())
    (tmp_path / "sitecustomize.py").write_text(
        "import threading\n"
        "threading.Thread(target=threading.Event().wait, name='left behind').start()\n"
    )
    reader, writer = os.pipe()
    done = subprocess.run(
        [sys.executable, "-m", "beambench.worker", str(plan_file), str(result_file)],
        env={
            **os.environ,
            "BEAMBENCH_PROGRESS_FD": str(writer),
            "PYTHONPATH": python_path(tmp_path),
        },
        pass_fds=[writer],
        timeout=120,
        check=False,
    )
    os.close(writer)
    with os.fdopen(reader) as lines:
        assert all(json.loads(line) == {"done": 0} for line in lines)
    assert done.returncode == 1
    observation = Observation.model_validate_json(result_file.read_text())
    (warning,) = observation.warnings
    assert warning.startswith(
        "thread 'left behind' kept the worker for 5 s after its work was done"
    )
    error = observation.error
    assert error is not None
    assert error.kind == "usage"
    assert error.message == (
        "Beam 2.77 has no flag --direct_num_worker (did you mean '--direct_num_workers'?)"
    )


def test_progress_waits_for_a_module_that_is_still_importing(monkeypatch):
    """A module stands in sys.modules long before its last line has run."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    monkeypatch.setattr(worker, "PROGRESS_SECONDS", 0.005)
    looked = threading.Event()

    class Half(ModuleType):
        def __getattr__(self, name: str) -> Any:
            looked.set()
            raise AttributeError(name)

    half = Half("recorder")
    monkeypatch.setitem(sys.modules, "beambench.instrumentation.recorder", half)
    thread = threading.Thread(target=worker._progress_loop, args=(writer,), daemon=True)
    thread.start()
    try:
        assert looked.wait(10)
        half.Progress = SimpleNamespace(done=3)  # type: ignore[attr-defined]
        assert lines_until(reader, 3)[-1] == {"done": 3}
    finally:
        os.close(reader)
        thread.join(10)
        os.close(writer)
    assert not thread.is_alive()
