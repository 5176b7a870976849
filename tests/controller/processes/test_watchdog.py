"""The watchdog on its own: the script, its order, its pipes and its parts."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from beambench.controller.processes import watchdog

SCRIPT = Path(watchdog.__file__)
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def wait_until(condition: Callable[[], Any], seconds: float = 5.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return value


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


class Started:
    """A watchdog with our ends of its pipes."""

    def __init__(self, argv: list[str], grace: float = 0.2) -> None:
        control, self.control = os.pipe()
        status, status_write = os.pipe()
        progress, progress_write = os.pipe()
        order = {
            "control_fd": control,
            "status_fd": status_write,
            "progress_fd": progress_write,
            "argv": argv,
            "env": dict(os.environ),
            "cwd": None,
            "grace": grace,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SCRIPT)],
            stdin=subprocess.PIPE,
            pass_fds=[control, status_write, progress_write],
            start_new_session=True,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode())
        self.process.stdin.close()
        for end in (control, status_write, progress_write, progress):
            os.close(end)
        self.status = os.fdopen(status, "rb")
        self._open = True

    def records(self) -> Iterator[dict[str, Any]]:
        for line in self.status:
            yield json.loads(line)

    def hang_up(self) -> None:
        if self._open:
            os.close(self.control)
            self._open = False

    def close(self) -> None:
        self.hang_up()
        self.process.wait(10)
        self.status.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Started]]:
    started: list[Started] = []

    def begin(argv: list[str], **options: Any) -> Started:
        started.append(Started(argv, **options))
        return started[-1]

    yield begin
    for each in started:
        each.close()


def test_it_imports_the_standard_library_only():
    tree = ast.parse(SCRIPT.read_text())
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module or "." for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_reports_start_end_and_a_clean_sweep(start):
    records = list(start([sys.executable, "-c", "raise SystemExit(7)"]).records())
    assert [next(iter(record)) for record in records] == ["started", "ended", "swept"]
    ended = records[1]["ended"]
    assert os.waitstatus_to_exitcode(ended["status"]) == 7
    assert ended["cause"] == "exit"
    assert ended["duration"] > 0
    assert records[2]["swept"] is True


def test_reports_a_worker_that_cannot_start(start):
    records = list(start(["/no/such/program"]).records())
    assert records == [
        {"error": "No such file or directory: '/no/such/program'"},
        {"swept": True},
    ]


def test_a_closed_control_pipe_ends_the_worker(start):
    begun = start(SLEEP)
    records = begun.records()
    worker = psutil.Process(next(records)["started"]["worker"])
    begun.hang_up()
    ended = next(records)["ended"]
    assert ended["cause"] == "control"
    assert os.waitstatus_to_exitcode(ended["status"]) == -signal.SIGTERM
    assert not lives(worker)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_guardian_ends_the_worker(start, number):
    begun = start(SLEEP)
    records = begun.records()
    started = next(records)["started"]
    worker = psutil.Process(started["worker"])
    # The guardian is ready for signals soon after the keeper has reported, not before: until then
    # the signal kills it, and the keeper cleans up. Either way the worker is gone.
    os.kill(begun.process.pid, number)
    assert next(records)["ended"]["cause"] in {"leash", "orphaned"}
    assert not lives(worker)


def test_the_worker_leads_a_group_in_the_session_of_the_keeper(start):
    started = next(start(SLEEP).records())["started"]
    assert os.getpgid(started["worker"]) == started["worker"]
    assert os.getsid(started["worker"]) == started["keeper"]


def test_an_orphaned_guardian_ends_the_worker_though_another_holds_the_control_pipe(tmp_path):
    # What a controller's fork without exec does: the copy keeps the pipe open for ever.
    control, held = os.pipe()
    code = (
        "import os, subprocess, sys\n"
        "order, script, *fds = sys.argv[1:]\n"
        "fds = [int(fd) for fd in fds]\n"
        "subprocess.Popen([sys.executable, '-I', '-S', script], stdin=open(order), pass_fds=fds,\n"
        "                 start_new_session=True)\n"
        "os.kill(os.getpid(), 9) if sys.stdin.readline() else None\n"
    )
    status, status_write = os.pipe()
    order = tmp_path / "order.json"
    fds = [control, status_write, os.open(os.devnull, os.O_WRONLY)]
    names = ("control_fd", "status_fd", "progress_fd")
    settings = {"argv": SLEEP, "env": dict(os.environ), "cwd": None, "grace": 0.2}
    order.write_text(json.dumps({**dict(zip(names, fds, strict=True)), **settings}))
    controller = subprocess.Popen(
        [sys.executable, "-c", code, str(order), str(SCRIPT), *map(str, fds)],
        stdin=subprocess.PIPE,
        pass_fds=fds,
    )
    for end in fds:
        os.close(end)
    assert controller.stdin is not None
    with os.fdopen(status, "rb") as records:
        worker = psutil.Process(json.loads(records.readline())["started"]["worker"])
        controller.communicate(b"die\n")
        wait_until(lambda: not lives(worker))
        assert "ended" in json.loads(records.readline())
    os.close(held)


def test_descendants_finds_all_generations():
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
        "print(child.pid, flush=True)\n"
        "input()\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        processes = watchdog.descendants(os.getpid())
        child.communicate(b"\n")
    assert {child.pid, grandchild} <= set(processes)
    assert os.getpid() not in processes
    assert watchdog.descendants(grandchild) == []
