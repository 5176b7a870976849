from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from beambench.machine.processes import ProcessTreeSampler, read_text, run_bounded

MIB = 2**20
LIMIT = 20.0

PYTHON = [sys.executable, "-I", "-S", "-c"]
"""Starts in half the time: the children need the standard library only."""

Start = Callable[..., "Program"]

# Ends when its standard input closes, so none outlives the test run.
WAIT = "sys.stdin.readline()"
SAY = "print({}, flush=True)"
BURN = "\nbegan = time.process_time()\nwhile time.process_time() - began < {}: pass\n"


class Program:
    """A Python child that prints lines and goes on when it is sent one."""

    def __init__(self, code: str) -> None:
        self.process = subprocess.Popen(
            [*PYTHON, f"import os, subprocess, sys, time\n{code}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self.process.pid

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=LIMIT)
        self.process.stdout.close()


@pytest.fixture
def start() -> Iterator[Start]:
    programs: list[Program] = []

    def start_program(*parts: str) -> Program:
        programs.append(Program("\n".join(parts)))
        return programs[-1]

    yield start_program
    for program in programs:
        try:
            program.end()
        except BrokenPipeError:
            pass


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; fail if it does not come true."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)


def child_of(code: str) -> str:
    """Return code that starts a child on the same standard input and output."""
    return f"child = subprocess.Popen([*{PYTHON}, 'import os, sys, time\\n' + {code!r}])"


def test_memory_of_the_root(start: Start) -> None:
    program = start(f"memory = b'x' * {100 * MIB}", SAY.format(0), WAIT)
    program.line()
    sampler = ProcessTreeSampler(program.pid)
    sampler.sample()
    assert sampler.samples == 1
    assert sampler.peak_rss is not None
    assert 100 * MIB < sampler.peak_rss < 200 * MIB


def test_memory_is_the_sum_over_the_tree(start: Start) -> None:
    grandchild = "\n".join([f"memory = b'x' * {80 * MIB}", SAY.format(0), WAIT])
    program = start(f"memory = b'x' * {80 * MIB}", child_of(grandchild), "child.wait()")
    program.line()
    sampler = ProcessTreeSampler(program.pid)
    sampler.sample()
    assert sampler.peak_rss is not None
    assert sampler.peak_rss > 160 * MIB


def test_the_peak_between_samples_is_not_missed(start: Start) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("no high-water mark without /proc")
    program = start(f"memory = b'x' * {150 * MIB}", "del memory", SAY.format(0), WAIT)
    program.line()
    sampler = ProcessTreeSampler(program.pid)
    sampler.sample()
    assert psutil.Process(program.pid).memory_info().rss < 100 * MIB
    assert sampler.peak_rss is not None
    assert sampler.peak_rss > 150 * MIB


def test_the_high_water_mark_is_in_kib(tmp_path: Path) -> None:
    (tmp_path / str(os.getpid())).mkdir()
    (tmp_path / str(os.getpid()) / "status").write_text(
        "Name:\tpython\nVmPeak:\t99999999999 kB\nVmHWM:\t 7000000000 kB\nVmRSS:\t 1 kB\n"
    )
    sampler = ProcessTreeSampler(os.getpid(), proc=tmp_path)
    sampler.sample()
    assert sampler.peak_rss == 7_000_000_000 * 1024


def test_the_peak_stays_when_memory_is_given_back(start: Start, tmp_path: Path) -> None:
    program = start(
        f"memory = b'x' * {150 * MIB}", SAY.format(0), WAIT, "del memory", SAY.format(0), WAIT
    )
    program.line()
    # An empty /proc: without high-water marks.
    sampler = ProcessTreeSampler(program.pid, proc=tmp_path)
    sampler.sample()
    first = sampler.peak_rss
    program.go_on()
    program.line()
    sampler.sample()
    assert first is not None
    assert first > 150 * MIB
    assert sampler.peak_rss == first
    assert sampler.samples == 2


def test_an_excluded_root_does_not_count(start: Start) -> None:
    program = start(
        f"memory = b'x' * {150 * MIB}",
        BURN.format(0.3),
        child_of("\n".join([SAY.format(0), WAIT])),
        "child.wait()",
    )
    program.line()
    sampler = ProcessTreeSampler(program.pid, supervisors=1)
    sampler.sample()
    assert sampler.samples == 1
    assert sampler.peak_rss is not None
    assert 0 < sampler.peak_rss < 100 * MIB
    assert sampler.cpu_seconds is not None
    assert sampler.cpu_seconds < 0.3


def test_an_excluded_root_alone_is_nothing_seen(start: Start) -> None:
    program = start(SAY.format(0), WAIT)
    program.line()
    sampler = ProcessTreeSampler(program.pid, supervisors=1)
    sampler.sample()
    assert (sampler.samples, sampler.peak_rss, sampler.cpu_seconds) == (0, None, None)


def test_two_levels_of_supervisors_do_not_count(start: Start) -> None:
    grandchild = "\n".join([BURN.format(0.2), SAY.format(0), WAIT])
    memory = f"memory = b'x' * {150 * MIB}"
    child = "\n".join(["import subprocess", memory, child_of(grandchild), "child.wait()"])
    program = start(memory, BURN.format(0.6), child_of(child), "child.wait()")
    program.line()
    sampler = ProcessTreeSampler(program.pid, supervisors=2)
    sampler.sample()
    assert sampler.peak_rss is not None
    assert 0 < sampler.peak_rss < 100 * MIB
    assert sampler.cpu_seconds is not None
    assert 0.18 < sampler.cpu_seconds < 0.6


def test_cpu_time_of_the_tree(start: Start) -> None:
    child = "\n".join([BURN.format(0.3), SAY.format(0), WAIT])
    program = start(BURN.format(0.3), child_of(child), "child.wait()")
    program.line()
    sampler = ProcessTreeSampler(program.pid)
    sampler.sample()
    assert sampler.cpu_seconds is not None
    assert 0.58 < sampler.cpu_seconds < 3


def test_cpu_time_of_a_child_that_came_and_went_between_samples(start: Start) -> None:
    program = start(WAIT, child_of(BURN.format(0.4)), "child.wait()", SAY.format(0), WAIT)
    sampler = ProcessTreeSampler(program.pid)
    sampler.sample()
    program.go_on()
    program.line()
    sampler.sample()
    assert sampler.cpu_seconds is not None
    assert 0.38 < sampler.cpu_seconds < 3


def test_cpu_time_of_a_waited_for_child_counts_once(start: Start) -> None:
    child = "\n".join([BURN.format(0.5), SAY.format(0), WAIT])
    program = start(child_of(child), "child.wait()", SAY.format(1), WAIT)
    program.line()
    sampler = ProcessTreeSampler(program.pid)
    sampler.sample()
    before = sampler.cpu_seconds
    program.go_on()
    program.line()
    sampler.sample()
    assert before is not None
    assert sampler.cpu_seconds is not None
    assert before > 0.48
    assert sampler.cpu_seconds - before < 0.4


def test_cpu_time_of_an_ended_child_that_nobody_waited_for_stays(start: Start) -> None:
    # With SIGCHLD ignored the kernel adds a child's times to nobody's.
    program = start(
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        child_of("\n".join([BURN.format(0.5), "print(os.getpid(), flush=True)", WAIT])),
        "while os.path.exists(f'/proc/{child.pid}'): time.sleep(0.01)"
        if Path("/proc").exists()
        else "time.sleep(1)",
        BURN.format(0.4),
        SAY.format(1),
        WAIT,
    )
    child_pid = int(program.line())
    sampler = ProcessTreeSampler(program.pid)
    sampler.sample()
    program.go_on()
    program.line()
    assert not psutil.pid_exists(child_pid)
    sampler.sample()
    assert sampler.samples == 2
    assert sampler.cpu_seconds is not None
    assert sampler.cpu_seconds > 0.88


def test_a_child_is_kept_after_its_parent_has_ended(start: Start, tmp_path: Path) -> None:
    grandchild = "\n".join(
        [
            "print(os.getpid(), flush=True)",
            "while os.getppid() == int(sys.argv[1]): time.sleep(0.01)",
            f"memory = b'x' * {120 * MIB}",
            SAY.format(1),
            WAIT,
        ]
    )
    program = start(
        f"code = 'import os, sys, time\\n' + {grandchild!r}",
        f"subprocess.Popen([*{PYTHON}, code, str(os.getpid())])",
        "time.sleep(60)",
    )
    orphan = int(program.line())
    sampler = ProcessTreeSampler(program.pid, proc=tmp_path)
    sampler.sample()
    small = sampler.peak_rss
    program.process.kill()
    program.process.wait(timeout=LIMIT)
    assert program.line() == "1"
    sampler.sample()
    assert psutil.pid_exists(orphan)
    assert small is not None
    assert sampler.peak_rss is not None
    assert small < 120 * MIB < sampler.peak_rss
    assert sampler.samples == 2


def test_after_the_tree_has_ended_the_values_stay(start: Start) -> None:
    program = start(BURN.format(0.2), SAY.format(0), WAIT)
    program.line()
    sampler = ProcessTreeSampler(program.pid)
    sampler.sample()
    values = (sampler.samples, sampler.peak_rss, sampler.cpu_seconds)
    program.end()
    sampler.sample()
    assert (sampler.samples, sampler.peak_rss, sampler.cpu_seconds) == values
    assert values[0] == 1


def test_ended_processes_cost_nothing_more(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    program = start(SAY.format(0), WAIT)
    program.line()
    sampler = ProcessTreeSampler(program.pid)
    listed: list[int] = []
    list_children = psutil.Process.children

    def children(process: psutil.Process, recursive: bool = False) -> list[psutil.Process]:
        listed.append(process.pid)
        return list_children(process, recursive)

    monkeypatch.setattr(psutil.Process, "children", children)
    sampler.sample()
    assert listed == [program.pid]
    program.end()
    sampler.sample()
    assert listed == [program.pid]


def test_a_process_that_was_never_there() -> None:
    # The parent has reaped it, so nothing has this pid.
    gone = subprocess.Popen([sys.executable, "-S", "-c", ""])
    gone.wait(timeout=LIMIT)
    sampler = ProcessTreeSampler(gone.pid)
    sampler.start()
    sampler.stop()
    assert (sampler.samples, sampler.peak_rss, sampler.cpu_seconds) == (0, None, None)


def test_a_member_that_disappears_while_it_is_read(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = start(child_of("\n".join([SAY.format(0), WAIT])), "child.wait()")
    program.line()
    read = psutil.Process.memory_info

    def gone(process: psutil.Process) -> object:
        if process.pid != program.pid:
            raise psutil.NoSuchProcess(process.pid)
        return read(process)

    monkeypatch.setattr(psutil.Process, "memory_info", gone)
    sampler = ProcessTreeSampler(program.pid)
    sampler.sample()
    assert sampler.samples == 1
    assert sampler.peak_rss is not None


def test_the_thread_samples_until_it_is_stopped(start: Start) -> None:
    program = start(SAY.format(0), WAIT)
    program.line()
    sampler = ProcessTreeSampler(program.pid, interval=0.01)
    sampler.start()
    until(lambda: sampler.samples >= 3)
    sampler.stop()
    assert "process-tree-sampler" not in {thread.name for thread in threading.enumerate()}
    after = sampler.samples
    sampler.stop()
    assert sampler.samples == after


def test_stop_takes_a_last_sample_without_waiting_for_the_interval(start: Start) -> None:
    program = start(SAY.format(0), WAIT)
    program.line()
    sampler = ProcessTreeSampler(program.pid, interval=3600)
    began = time.monotonic()
    sampler.start()
    sampler.stop()
    assert sampler.samples == 2
    assert time.monotonic() - began < 30


def test_a_second_start_is_refused(start: Start) -> None:
    program = start(SAY.format(0), WAIT)
    program.line()
    sampler = ProcessTreeSampler(program.pid, interval=3600)
    sampler.start()
    try:
        with pytest.raises(RuntimeError, match="only once"):
            sampler.start()
    finally:
        sampler.stop()


def test_a_thread_that_hangs_does_not_hold_stop(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beambench.machine.processes.JOIN_TIMEOUT_SECONDS", 0.05)
    program = start(SAY.format(0), WAIT)
    program.line()
    sampler = ProcessTreeSampler(program.pid, interval=0.001)
    sampler.start()
    hanging, release = threading.Event(), threading.Event()

    def hang() -> None:
        hanging.set()
        release.wait(LIMIT)

    monkeypatch.setattr(sampler, "sample", hang)
    assert hanging.wait(LIMIT)
    began = time.monotonic()
    sampler.stop()
    assert time.monotonic() - began < LIMIT / 2
    release.set()


def test_costly_samples_are_taken_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = ProcessTreeSampler(os.getpid(), interval=0.2)
    waits: list[float] = []
    times = iter([0.0, 0.001, 10.0, 10.1])

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) == 3

    monkeypatch.setattr(sampler._stopping, "wait", wait)
    monkeypatch.setattr(sampler, "sample", lambda: None)
    monkeypatch.setattr("beambench.machine.processes.time.thread_time", lambda: next(times))
    sampler._loop()
    assert waits == [0.2, 0.2, pytest.approx(5.0)]


def test_a_bounded_command_returns_output_and_code() -> None:
    finished = run_bounded([sys.executable, "-S", "-c", "print('ja'); raise SystemExit(7)"], 20)
    assert finished == (7, "ja\n")


def test_a_bounded_command_is_killed_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"sleep 60 & echo $! > {pid_file}.new; mv {pid_file}.new {pid_file}; wait"
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"sh did not end within 1 s"):
        run_bounded(["sh", "-c", script], timeout=1)
    assert time.monotonic() - began < LIMIT
    until(lambda: not _runs(int(pid_file.read_text())))


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_bounded([str(tmp_path / "nothing")], timeout=1)


def test_text_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    assert read_text(tmp_path / "nothing") is None
    assert read_text(tmp_path) is None
    assert read_text(tmp_path / "latin") == "caf\N{REPLACEMENT CHARACTER}"


def test_who_is_told_of_samples_gets_the_time_used_so_far() -> None:
    seen: list[float | None] = []
    told = threading.Event()

    def tell(cpu_seconds: float | None) -> None:
        seen.append(cpu_seconds)
        told.set()

    sampler = ProcessTreeSampler(os.getpid(), 0.001, on_sample=tell)
    sampler.start()
    assert told.wait(30)
    sampler.stop()
    assert seen[0] is not None
    assert sampler.cpu_seconds is not None
    assert 0 <= seen[0] <= sampler.cpu_seconds
