"""Workers, watchdogs and controllers that really run, and really are killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import psutil
import pytest

from beambench.controller.processes import process_tree, supervisor
from beambench.controller.processes.json_lines import LineSplitter
from beambench.controller.processes.process_tree import ProcessTree
from beambench.controller.processes.supervisor import ProcessOutcome, supervise
from beambench.errors import RunError
from beambench.machine.processes import ProcessTreeSampler

MARK = "TEST_TREE"

# Starts two processes that no group and no parent leads to: sessions of their own, double-forked,
# deaf to SIGTERM; the second one has no environment either. Writes their pids to a file.
DAEMONS = """
import json, os, signal, sys, time

def say(**values):
    os.write(int(os.environ["BEAMBENCH_PROGRESS_FD"]), json.dumps(values).encode() + b"\\n")

def daemon(environment):
    read, write = os.pipe()
    if os.fork():
        os.close(write)
        os.wait()
        return int(os.read(read, 20))  # the daemon's pid, once it has left everything
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = f"import os, time; os.write({write}, str(os.getpid()).encode()); time.sleep(600)"
    os.set_inheritable(write, True)
    os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", code], environment)

pids = [daemon(os.environ), daemon({})]
"""

TICK_FOR_EVER = """
say(daemons=pids, worker=os.getpid())
while True:
    say(tick=time.monotonic())
    time.sleep(0.05)
"""

# A controller in a process of its own: prints what it learns, and the outcome at last.
CONTROLLER = """
import json, os, sys, threading
from pathlib import Path
from beambench.controller.processes.supervisor import supervise

def say(**values):
    print(json.dumps(values), flush=True)

outcome = supervise(
    [sys.executable, "-c", sys.argv[1]], log_path=Path(sys.argv[2]), env=dict(os.environ),
    deadline=None, cancelled=threading.Event(), grace=float(sys.argv[3]),
    on_start=lambda pid: say(guardian=pid), on_progress=lambda value: say(**value),
)
say(kind=outcome.kind, signal=outcome.signal)
"""


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


def process_of(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def marked(mark: str) -> list[psutil.Process]:
    """Processes, other than this one, that carry the mark of this test."""
    processes = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                processes.append(process)
        except psutil.Error:
            continue
    return [process for process in processes if lives(process)]


@pytest.fixture(autouse=True)
def mark(monkeypatch) -> Iterator[str]:
    """Every process of a test carries its mark, and none is left 5 s after it."""
    value = uuid.uuid4().hex
    monkeypatch.setenv(MARK, value)
    yield value
    end = time.monotonic() + 5
    while left := marked(value):
        if time.monotonic() > end:
            for process in left:
                process.kill()
            pytest.fail(f"left over: {left}")
        time.sleep(0.02)


@pytest.fixture
def run(tmp_path) -> Callable[..., ProcessOutcome]:
    def call(code: str, seconds: float | None = 20.0, **options: Any) -> ProcessOutcome:
        settings: dict[str, Any] = {
            "log_path": tmp_path / "worker.log",
            "env": dict(os.environ),
            "deadline": None if seconds is None else time.monotonic() + seconds,
            "cancelled": threading.Event(),
            **options,
        }
        return supervise([sys.executable, "-c", code], **settings)

    return call


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


# How a worker ends


def test_exit_code_log_and_duration(run, tmp_path):
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    outcome = run(code)
    assert (outcome.kind, outcome.exit_code, outcome.signal) == ("exited", 3, None)
    assert sorted(outcome.stderr_tail.split()) == ["err", "out"]
    assert sorted((tmp_path / "worker.log").read_text().split()) == ["err", "out"]
    assert 0 < outcome.duration < 20


def test_success(run):
    outcome = run("pass")
    assert (outcome.kind, outcome.exit_code, outcome.stderr_tail) == ("exited", 0, "")


def test_signalled_worker(run):
    outcome = run("import os; os.kill(os.getpid(), 11)")
    assert (outcome.kind, outcome.exit_code, outcome.signal) == ("signalled", None, 11)


def test_the_tail_is_bounded_and_decodes_anything(run):
    outcome = run("import os; os.write(1, b'a' * 10_000 + b'\\xff end')")
    assert len(outcome.stderr_tail) == supervisor.TAIL
    assert outcome.stderr_tail.endswith("a\ufffd end")


def test_a_log_replaces_an_older_one(run, tmp_path):
    (tmp_path / "worker.log").write_text("old")
    assert run("print('new')").stderr_tail == "new\n"


def test_deadline_and_a_worker_deaf_to_sigterm(run):
    code = (
        "import os, signal, time; signal.signal(15, signal.SIG_IGN)\n"
        "os.write(int(os.environ['BEAMBENCH_PROGRESS_FD']), b'{}\\n'); time.sleep(600)"
    )
    ready: list[Any] = []
    outcome = run(code, seconds=1.0, grace=0.2, on_progress=ready.append)
    assert ready == [{}]
    assert (outcome.kind, outcome.signal) == ("timed_out", signal.SIGKILL)
    assert 1.0 < outcome.duration + 0.2 < 30.0  # the watchdog starts a little after the call


def test_cancel_gives_the_worker_its_grace(run):
    code = (
        "import os, signal, sys, time\n"
        "signal.signal(15, lambda *_: (print('tidied'), sys.exit(0)))\n"
        "os.write(int(os.environ['BEAMBENCH_PROGRESS_FD']), b'{}\\n'); time.sleep(600)"
    )
    cancelled = threading.Event()
    outcome = run(code, cancelled=cancelled, on_progress=lambda _: cancelled.set(), grace=60.0)
    assert (outcome.kind, outcome.exit_code) == ("cancelled", 0)
    assert outcome.stderr_tail == "tidied\n"
    assert outcome.duration < 30  # the grace ends when the group has


def test_neither_process_of_the_watchdog_counts_as_memory_of_the_worker(run):
    if not Path("/proc/self/status").exists():
        pytest.skip("no memory of one process without /proc")
    code = (
        "import os, time\n"
        "rss = int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE')\n"
        "peak = open('/proc/self/status').read().partition('VmHWM:')[2].split()[0]\n"
        'line = f\'{{"rss": {rss}, "peak": {int(peak) * 1024}}}\\n\'\n'
        "os.write(int(os.environ['BEAMBENCH_PROGRESS_FD']), line.encode()); time.sleep(600)"
    )
    cancelled, trees, seen = threading.Event(), list[ProcessTreeSampler](), dict[str, int]()

    def sample(value: dict[str, int]) -> None:
        seen.update(value)
        trees[0].sample()
        cancelled.set()

    run(
        code,
        cancelled=cancelled,
        on_start=lambda pid: trees.append(ProcessTreeSampler(pid, supervisors=2)),
        on_progress=sample,
    )
    assert trees[0].peak_rss == pytest.approx(seen["peak"], abs=2 * 2**20)


def test_too_late_before_it_begins(run, tmp_path):
    cancelled = threading.Event()
    assert run("pass", seconds=-1.0).kind == "timed_out"
    cancelled.set()
    assert run("pass", cancelled=cancelled).kind == "cancelled"
    assert not (tmp_path / "worker.log").exists()


def test_a_worker_that_falls_in_the_moment_of_a_cancellation_is_cancelled(run):
    # What a service manager does: it signals all processes at once.
    cancelled = threading.Event()

    def on_start(pid: int) -> None:
        worker = wait_until(lambda: psutil.Process(pid).children(recursive=True)[1:])[0]
        cancelled.set()
        worker.send_signal(signal.SIGTERM)

    outcome = run("import time; time.sleep(600)", cancelled=cancelled, on_start=on_start)
    assert outcome.kind == "cancelled"


# What a worker gets


def test_stdin_is_empty_and_no_descriptor_but_progress_comes_along(run):
    code = (
        "import os, sys\n"
        "assert os.readlink('/proc/self/fd/0') == '/dev/null' and sys.stdin.read() == ''\n"
        "here = {int(fd) for fd in os.listdir('/proc/self/fd')}\n"
        "here = {fd for fd in here if os.path.exists(f'/proc/self/fd/{fd}')}\n"
        "pipes = {fd for fd in here if os.readlink(f'/proc/self/fd/{fd}').startswith('pipe:')}\n"
        "print(here - {0, 1, 2} == pipes == {int(os.environ['BEAMBENCH_PROGRESS_FD'])})\n"
    )
    assert run(code).stderr_tail == "True\n"


def test_environment_and_folder(run, tmp_path):
    code = "import os; print(os.getcwd(), os.environ['ODD'] == 'a\\n\\udcff', 'HOME' in os.environ)"
    env = {"ODD": "a\n\udcff", MARK: os.environ[MARK], "PATH": os.environ["PATH"]}
    assert run(code, env=env, cwd=tmp_path).stderr_tail == f"{tmp_path} True False\n"


def test_an_environment_larger_than_a_pipe(run):
    env = {**os.environ, **{f"LARGE_{i}": "x" * 100_000 for i in range(10)}}
    assert run("import os; print(len(os.environ['LARGE_9']))", env=env).stderr_tail == "100000\n"


def test_a_blocked_or_ignored_signal_of_the_controller_is_not_inherited(run):
    code = "import signal; print(signal.pthread_sigmask(0, []), signal.getsignal(15))"
    previous = {n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGTERM, signal.SIGCHLD)}
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD, signal.SIGTERM])
    try:
        outcome = run(code + "; raise SystemExit(4)")
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD, signal.SIGTERM])
        for number, handler in previous.items():
            signal.signal(number, handler)
    assert outcome.stderr_tail == f"set() {signal.getsignal(signal.SIGUSR1)}\n"
    assert outcome.exit_code == 4


def test_works_with_closed_standard_streams(tmp_path):
    code = CONTROLLER.replace("print(json.dumps(values), flush=True)", "pass")
    code += f"\nPath({str(tmp_path / 'kind')!r}).write_text(outcome.kind)"
    arguments = [sys.executable, "-c", code, "print(1)", str(tmp_path / "log"), "1"]
    shell = ["/bin/sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", *arguments]
    subprocess.run(shell, check=True, timeout=20)
    assert (tmp_path / "kind").read_text() == "exited"
    assert (tmp_path / "log").read_text() == "1\n"


# What cannot start


@pytest.mark.parametrize(
    ("argv", "cwd", "words"),
    [
        (["/no/such/python", "-c", "pass"], None, "No such file or directory: '/no/such/python'"),
        (["no-such-python"], None, "No such file or directory: 'no-such-python'"),
        ([sys.executable], "/no/such/folder", "No such file or directory: '/no/such/folder'"),
        (["/etc"], None, "Permission denied: '/etc'"),
        (["a\0b"], None, "embedded null byte"),
    ],
)
def test_a_worker_that_cannot_start_is_one_line(tmp_path, argv, cwd, words):
    with pytest.raises(RunError) as caught:
        supervise(
            argv,
            log_path=tmp_path / "log",
            env={"PATH": "/usr/bin"},
            cwd=None if cwd is None else Path(cwd),
            deadline=None,
            cancelled=threading.Event(),
        )
    assert str(caught.value) == f"cannot start the worker {argv[0]!r}: {words}"


def test_a_log_that_cannot_be_written(run, tmp_path):
    before = open_descriptors()
    with pytest.raises(RunError, match=r"cannot write the log '.*nowhere/log': No such file"):
        run("pass", log_path=tmp_path / "nowhere" / "log")
    assert open_descriptors() == before


def test_a_missing_interpreter_of_ours(run, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(RunError, match="cannot start the watchdog '/no/such/python'"):
        run("pass")


# Progress


def test_progress_between_garbage(run):
    code = (
        "import os, time; fd = int(os.environ['BEAMBENCH_PROGRESS_FD'])\n"
        'os.write(fd, b\'no json\\n[1]\\n7\\n\\xff\\xfe\\n\\n{"n": 1}\\n{"n"\')\n'
        "os.write(fd, b': 2}\\n' + b'[' * 50_000 + b'\\n')\n"
        "os.write(fd, b'x' * 300_000 + b'\\n{\"n\": 3}\\n{\"n\": 4}')\n"
    )
    seen: list[dict[str, Any]] = []
    assert run(code, on_progress=seen.append).exit_code == 0
    assert seen == [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}]


@pytest.mark.parametrize("listening", [True, False])
def test_a_flood_of_progress_blocks_no_one(run, listening):
    code = (
        "import os; fd = int(os.environ['BEAMBENCH_PROGRESS_FD'])\n"
        'for i in range(2000): os.write(fd, b\'{"n": %d, "pad": "%s"}\\n\' % (i, b\'x\' * 4000))\n'
    )
    seen: list[int] = []
    listen = (lambda value: seen.append(value["n"])) if listening else None
    assert run(code, on_progress=listen).exit_code == 0
    assert seen == (list(range(2000)) if listening else [])


def test_a_deadline_holds_in_a_flood_of_progress(run):
    code = (
        "import os; fd = int(os.environ['BEAMBENCH_PROGRESS_FD'])\n"
        "while True: os.write(fd, b'{}\\n' * 10_000)"
    )
    outcome = run(code, seconds=0.5, on_progress=lambda _: None)
    assert outcome.kind == "timed_out"
    assert outcome.duration < 3


def test_lines_in_any_pieces():
    stream = b"one\n\ntwo\n" + b"x" * 11 + b"\nthree\n" + b"y" * 10 + b"\nrest"
    expected = [b"one", b"", b"two", b"three", b"y" * 10]
    for size in range(1, len(stream) + 1):
        splitter = LineSplitter(limit=10)
        pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
        assert [line for piece in pieces for line in splitter.feed(piece)] == expected


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("callback", ["on_start", "on_progress"])
def test_a_callback_that_raises_ends_everything(run, mark, error, callback):
    code = (
        "import os, time; fd = int(os.environ['BEAMBENCH_PROGRESS_FD'])\n"
        "while True: os.write(fd, b'{}\\n'); time.sleep(0.01)"
    )

    def fail(_: object) -> None:
        raise error("mine")

    before = open_descriptors()
    with pytest.raises(error, match="mine"):
        run(code, **{callback: fail})
    assert marked(mark) == []
    assert open_descriptors() == before


def test_no_descriptor_zombie_or_thread_is_left(run):
    run("pass")
    before = open_descriptors(), psutil.Process().children(), threading.active_count()
    run("import os; os.kill(os.getpid(), 9)")
    assert (open_descriptors(), psutil.Process().children(), threading.active_count()) == before


# Two at once


@pytest.mark.real
def test_two_at_once_do_not_hold_each_others_pipes(run, tmp_path):
    code = DAEMONS + TICK_FOR_EVER
    ends = [threading.Event(), threading.Event()]
    ticking = [threading.Event(), threading.Event()]
    outcomes: dict[int, ProcessOutcome] = {}

    def call(i: int) -> None:
        log = tmp_path / f"{i}.log"
        heard = ticking[i].set
        outcomes[i] = run(code, cancelled=ends[i], log_path=log, on_progress=lambda _: heard())

    threads = [threading.Thread(target=call, args=(i,)) for i in (0, 1)]
    for thread in threads:
        thread.start()
    try:
        assert all(event.wait(10) for event in ticking)
        guardians = [p for p in psutil.Process().children() if "watchdog.py" in str(p.cmdline())]
        trees = [[g, *g.children(recursive=True)] for g in guardians]
        assert len(trees) == 2
        pipes = [set().union(*(pipes_of(p.pid) for p in tree)) for tree in trees]
        assert pipes[0]
        assert not pipes[0] & pipes[1]
        ends[0].set()
        threads[0].join(10)
        assert outcomes[0].kind == "cancelled"
        assert threads[1].is_alive()
    finally:
        for i in (0, 1):
            ends[i].set()
            threads[i].join(10)
    assert outcomes[1].kind == "cancelled"


def pipes_of(pid: int) -> set[int]:
    """Inodes of the pipes that a process holds open."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        if entry.exists() and stat.S_ISFIFO(entry.stat().st_mode):
            inodes.add(entry.stat().st_ino)
    return inodes


# Nothing is left


@pytest.mark.real
@pytest.mark.parametrize(
    ("ending", "kind"),
    [("", "exited"), ("os.kill(os.getpid(), 9)", "signalled"), ("time.sleep(600)", "cancelled")],
)
def test_daemons_of_a_worker_are_gone_afterwards(run, mark, ending, kind):
    cancelled = threading.Event()
    seen: list[psutil.Process] = []

    def on_progress(value: Mapping[str, Any]) -> None:
        if ending.startswith("time"):
            cancelled.set()
        seen.extend(filter(None, map(process_of, value["daemons"])))

    code = f"{DAEMONS}\nsay(daemons=pids)\n{ending}"
    outcome = run(code, cancelled=cancelled, on_progress=on_progress, grace=0.3)
    assert outcome.kind == kind
    assert marked(mark) == []
    assert not any(map(lives, seen))


VICTIMS = ["controller", "guardian", "keeper", "worker"]


@pytest.mark.real
@pytest.mark.parametrize(
    "victims", [(v,) for v in VICTIMS] + list(combinations(VICTIMS, 2)), ids="+".join
)
def test_nothing_is_left_after_sigkill_of(victims, mark, tmp_path):
    arguments = [DAEMONS + TICK_FOR_EVER, str(tmp_path / "log"), "0.5"]
    controller = subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, *arguments], stdout=subprocess.PIPE, text=True
    )
    processes = follow_until_sampled(controller)
    for victim in victims:
        with contextlib.suppress(ProcessLookupError):  # died of the first victim's death already
            os.kill(processes[victim].pid, signal.SIGKILL)
    wait_until(lambda: not any(lives(p) for p in processes.values() if p.pid != controller.pid))
    out, _ = controller.communicate(timeout=10)
    assert marked(mark) == []
    if "controller" not in victims:
        end = json.loads(out.splitlines()[-1])
        # Of two killed at once, whichever is noticed first decides.
        kinds = {"signalled"} if victims == ("worker",) else {"lost"}
        assert end["kind"] in (kinds | {"signalled"} if "worker" in victims else kinds)


def follow_until_sampled(controller: subprocess.Popen[str]) -> dict[str, psutil.Process]:
    """Read what the controller prints until it has sampled the daemons; return the processes."""
    assert controller.stdout is not None
    processes = {"controller": psutil.Process(controller.pid)}
    first_tick = None
    for line in controller.stdout:
        value = json.loads(line)
        if "guardian" in value:
            processes["guardian"] = psutil.Process(value["guardian"])
        if "daemons" in value:
            processes["worker"] = psutil.Process(value["worker"])
            processes["keeper"] = processes["guardian"].children()[0]
            names = ("marked daemon", "bare daemon")
            processes.update(zip(names, map(psutil.Process, value["daemons"]), strict=True))
        if "tick" in value:
            first_tick = first_tick or value["tick"]
            if value["tick"] - first_tick > 3 * process_tree.SAMPLE_EVERY:
                return processes
    raise AssertionError("the controller ended early")


@pytest.mark.real
def test_a_hung_watchdog_is_killed_with_everything_known(run, mark, monkeypatch):
    monkeypatch.setattr(supervisor, "PATIENCE", 0.3)
    cancelled = threading.Event()
    seen: list[psutil.Process] = []
    guardian: list[int] = []

    def on_progress(value: dict[str, Any]) -> None:
        if "daemons" in value:
            seen.extend(map(psutil.Process, value["daemons"]))
            root = psutil.Process(guardian[0])
            for process in (root, root.children()[0]):
                process.suspend()
            cancelled.set()

    began = time.monotonic()
    code = DAEMONS + TICK_FOR_EVER
    outcome = run(
        code, cancelled=cancelled, on_start=guardian.append, on_progress=on_progress, grace=0.2
    )
    assert outcome.kind == "cancelled"
    assert (outcome.exit_code, outcome.signal) == (None, None)
    assert time.monotonic() - began < 8
    assert len(seen) == 2
    assert not any(map(lives, seen))
    assert marked(mark) == []


@pytest.mark.real
def test_a_guardian_that_hangs_after_the_end_delays_nobody_for_long(run, monkeypatch):
    monkeypatch.setattr(supervisor, "PATIENCE", 0.3)
    guardian: list[psutil.Process] = []
    code = (
        "import os, time; os.write(int(os.environ['BEAMBENCH_PROGRESS_FD']), b'{}\\n')\n"
        "time.sleep(600)"
    )
    stopped = threading.Event()

    def on_progress(_: object) -> None:
        guardian[0].suspend()
        worker = guardian[0].children(recursive=True)[1]
        worker.terminate()
        stopped.set()

    outcome = run(
        code, on_start=lambda pid: guardian.append(psutil.Process(pid)), on_progress=on_progress
    )
    assert stopped.is_set()
    assert (outcome.kind, outcome.signal) == ("signalled", signal.SIGTERM)
    assert not lives(guardian[0])


def test_a_tree_kills_what_it_sampled_though_nothing_else_leads_there():
    environment = {"PATH": os.environ["PATH"]}
    sleep = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(sleep, env=environment, start_new_session=True) as child:
        tree = ProcessTree(child.pid, "no such mark")
        tree.sample()
        assert tree.sweep(5.0)
    assert child.returncode == -signal.SIGKILL


def test_a_tree_finds_the_marked_and_spares_the_others():
    sleep = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]
    value = uuid.uuid4().hex
    environment = {**os.environ, process_tree.PROCESS_TREE: value}
    with subprocess.Popen(["true"]) as root:
        tree = ProcessTree(root.pid, value)
    with subprocess.Popen(sleep, env=environment) as mine, subprocess.Popen(sleep) as other:
        assert tree.sweep(5.0)
        assert mine.wait(5) == -signal.SIGKILL
        assert other.poll() is None
        other.kill()
