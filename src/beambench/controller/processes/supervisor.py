"""Run one worker under a watchdog, with a deadline, and leave no process behind.

``supervise`` starts ``watchdog.py`` (read its first lines for who cleans up after whom), follows
it and returns a `ProcessOutcome`. It never waits without a limit once the worker has to go.

What holds on Linux, for a `grace` of at most 2 s: five seconds after SIGKILL of the controller,
the worker or either process of the watchdog, or of any two of them, no process of ours is left.
If both processes of the watchdog are killed, nobody inherits the orphans, and ``supervise`` kills
what it can recognise: the worker's process group, every descendant that it has sampled (each 0.2 s,
by pid and start time), and every process that carries the mark of this call in its environment.
Only then a descendant can escape: one that left the group, dropped or overwrote its environment
and was not sampled yet. A process that runs as another user cannot be killed by anyone here.
Elsewhere there is no subreaper and no parent-death signal: the group, the sampled and the marked
processes are killed as long as the controller lives, the group alone when it does not.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from beambench.cancellation import Cancellation
from beambench.controller.processes.json_lines import LineSplitter, parse_object
from beambench.controller.processes.process_tree import PROCESS_TREE, ProcessTree
from beambench.errors import RunError

Kind = Literal["exited", "signalled", "timed_out", "cancelled", "lost"]

PROGRESS_FD = "BEAMBENCH_PROGRESS_FD"

WATCHDOG = Path(__file__).with_name("watchdog.py")
POLL = 0.1  # seconds
PATIENCE = 3.0  # seconds beyond the grace after which the watchdog counts as hung
SWEEP = 2.0  # seconds for killing what a lost watchdog left
TAIL = 4096  # bytes
CHUNK = 64 * 1024  # bytes


@dataclass(frozen=True)
class ProcessOutcome:
    """How a worker ended. A worker that succeeded as it was about to be stopped has `exited`."""

    kind: Kind  # lost: the watchdog itself was killed
    exit_code: int | None
    signal: int | None
    duration: float  # seconds, monotonic, from the worker's start to its end
    stderr_tail: str  # the last 4 KiB of what the worker wrote to stdout and stderr


def supervise(
    argv: Sequence[str],
    *,
    log_path: Path,
    env: Mapping[str, str],
    cwd: Path | None = None,
    deadline: float | None,
    cancelled: Cancellation,
    on_progress: Callable[[dict[str, Any]], None] | None = None,
    on_start: Callable[[int], None] | None = None,
    grace: float = 1.0,
) -> ProcessOutcome:
    """Run `argv` to its end and return how it ended; afterwards no descendant of it is alive.

    `env` is the worker's whole environment; two variables are added: `PROCESS_TREE`, and
    `PROGRESS_FD`, the number of an inherited pipe for JSON objects, one a line. The pipe is read
    promptly, but a writer that must never wait (the controller may be stopped) sets O_NONBLOCK and
    drops what does not fit. Stdin is /dev/null; stdout and stderr replace `log_path`.

    `deadline` is a value of ``time.monotonic()``. At the deadline or when `cancelled` is set, the
    worker's process group gets SIGTERM and `grace` seconds later everything gets SIGKILL.
    `on_start` gets the pid of the watchdog, the root of the process tree; both callbacks run in
    this thread, and when one raises, everything is killed and the exception comes out.

    Raises RunError if the worker cannot be started. If it is too late before it begins, nothing
    is started.
    """
    kind = _too_late(deadline, cancelled)
    if kind is not None:
        return ProcessOutcome(kind, None, None, 0.0, "")
    supervision = _Supervision(deadline, cancelled, on_progress, grace)
    try:
        try:
            watchdog = supervision.start(argv, env, cwd, log_path)
            if on_start is not None:
                on_start(watchdog)
            supervision.follow()
        except BaseException:
            supervision.abandon()
            raise
    finally:
        supervision.finish()
    return supervision.outcome(argv, log_path)


def _too_late(
    deadline: float | None, cancelled: Cancellation
) -> Literal["timed_out", "cancelled"] | None:
    if cancelled.is_set():
        return "cancelled"
    if deadline is not None and time.monotonic() >= deadline:
        return "timed_out"
    return None


class _Supervision:
    """One call of `supervise`: its pipes, its watchdog, and what the watchdog has said."""

    def __init__(
        self,
        deadline: float | None,
        cancelled: Cancellation,
        on_progress: Callable[[dict[str, Any]], None] | None,
        grace: float,
    ) -> None:
        self._deadline = deadline
        self._cancelled = cancelled
        self._on_progress = on_progress
        self._grace = grace
        self._mark = uuid.uuid4().hex
        self._began = time.monotonic()
        self._lost_after = 0.0  # seconds; the duration when nobody reported one
        self._selector = selectors.DefaultSelector()
        self._splitters = {"status": LineSplitter(), "progress": LineSplitter()}
        self._read_ends: dict[str, int] = {}
        self._control: int | None = None  # open as long as the worker may run
        self._process: subprocess.Popen[bytes] | None = None
        self._tree: ProcessTree | None = None
        self._stopped_for: Literal["timed_out", "cancelled"] | None = None
        self._give_up_at: float | None = None
        self._error: str | None = None
        self._ended: dict[str, Any] | None = None
        self._swept = False

    def start(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: Path | None, log_path: Path
    ) -> int:
        """Start the watchdog and return its pid."""
        # Python's pipes are close-on-exec from birth, so no child that another thread starts
        # meanwhile can hold one open; the watchdog gets its three ends by name.
        with contextlib.ExitStack() as stack:
            control, self._control = _pipe()
            stack.callback(os.close, control)
            ends = {"control_fd": control}
            for name in ("status", "progress"):
                self._read_ends[name], ends[f"{name}_fd"] = _pipe()
                stack.callback(os.close, ends[f"{name}_fd"])
                os.set_blocking(self._read_ends[name], False)
                self._selector.register(self._read_ends[name], selectors.EVENT_READ, name)
            added = {PROGRESS_FD: str(ends["progress_fd"]), PROCESS_TREE: self._mark}
            order = {
                **ends,
                "argv": list(argv),
                "env": {**env, **added},
                "cwd": None if cwd is None else str(cwd),
                "grace": self._grace,
            }
            log = stack.enter_context(_open_log(log_path))
            self._began = time.monotonic()
            self._process = self._spawn(order, log, list(ends.values()))
        self._tree = ProcessTree(self._process.pid, self._mark)
        return self._process.pid

    def _spawn(
        self, order: dict[str, Any], log: BinaryIO, fds: list[int]
    ) -> subprocess.Popen[bytes]:
        try:
            # A file holds an environment of any size, and no one can hang while reading it.
            with tempfile.TemporaryFile() as stdin:
                stdin.write(json.dumps(order).encode())
                stdin.seek(0)
                return subprocess.Popen(
                    [sys.executable, "-I", "-S", str(WATCHDOG)],
                    stdin=stdin,
                    stdout=log,
                    stderr=log,
                    pass_fds=fds,
                    env={**os.environ, PROCESS_TREE: self._mark},
                    start_new_session=True,  # Ctrl-C on the terminal is for the controller
                )
        except OSError as error:
            raise RunError(f"cannot start the watchdog {sys.executable!r}: {error}") from error

    def follow(self) -> None:
        """Return when both processes of the watchdog are gone, or it is time to give up."""
        assert self._tree is not None
        while "status" in self._read_ends:
            now = time.monotonic()
            self._decide(now)
            if self._give_up_at is not None and now >= self._give_up_at:
                return
            self._tree.sample()
            for key, _ in self._selector.select(self._until_next_look()):
                self._read(key.data)

    def _until_next_look(self) -> float:
        moments = [m for m in (self._deadline, self._give_up_at) if m is not None]
        left = min(moments, default=float("inf")) - time.monotonic()
        return min(POLL, left) if left > 0 else POLL

    def _decide(self, now: float) -> None:
        assert self._process is not None
        if self._control is None or self._ended is not None:
            return
        self._stopped_for = _too_late(self._deadline, self._cancelled)
        # The guardian may be dead and the keeper still at work: then its report is on its way.
        if self._stopped_for is not None or self._process.poll() is not None:
            self._stop(now)

    def _stop(self, now: float) -> None:
        """Tell the watchdog to end everything: that is what a closed control pipe means."""
        if self._control is not None:
            os.close(self._control)
            self._control = None
        self._give_up_within(self._grace + PATIENCE, now)

    def _give_up_within(self, seconds: float, now: float) -> None:
        if self._give_up_at is None or now + seconds < self._give_up_at:
            self._give_up_at = now + seconds

    def _read(self, name: str) -> bool:
        """Read and handle one chunk of a pipe; False if there was none."""
        try:
            data = os.read(self._read_ends[name], CHUNK)
        except BlockingIOError:
            return False
        handle = self._on_record if name == "status" else self._on_progress_line
        if not data:
            self._close(name)
        # An end without a newline ends the last line too.
        for line in self._splitters[name].feed(data or b"\n"):
            handle(line)
        return bool(data)

    def _close(self, name: str) -> None:
        descriptor = self._read_ends.pop(name)
        self._selector.unregister(descriptor)
        os.close(descriptor)

    def _on_progress_line(self, line: bytes) -> None:
        if self._on_progress is not None and (value := parse_object(line)) is not None:
            self._on_progress(value)

    def _on_record(self, line: bytes) -> None:
        assert self._tree is not None
        record = parse_object(line) or {}
        if "started" in record:
            self._tree.keeper = record["started"]["keeper"]
            self._tree.worker = record["started"]["worker"]
            self._tree.sample(force=True)
        if "error" in record:
            self._error = str(record["error"])
        if "ended" in record:
            self._ended = record["ended"]
        if record.keys() & {"ended", "error"}:
            self._give_up_within(PATIENCE, time.monotonic())
        self._swept = self._swept or record.get("swept") is True

    def abandon(self) -> None:
        """After an exception: end everything and call nobody any more."""
        self._on_progress = None
        if self._tree is not None:
            self._stop(time.monotonic())
            self.follow()

    def finish(self) -> None:
        """Leave no process, no zombie and no open pipe; bounded."""
        try:
            if self._process is not None and self._tree is not None:
                self._lost_after = time.monotonic() - self._began
                self._reap(self._process, self._tree)
                self._drain()
        finally:
            for name in list(self._read_ends):
                self._close(name)
            self._selector.close()
            if self._control is not None:
                os.close(self._control)
                self._control = None

    def _reap(self, process: subprocess.Popen[bytes], tree: ProcessTree) -> None:
        if "status" in self._read_ends:  # it hangs
            tree.sample(force=True)
            process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1.0)
        if not self._swept:
            tree.sweep(SWEEP)

    def _drain(self) -> None:
        """Read what a dead worker left in the pipe: bounded, for one that survived may write on."""
        for _ in range(64):
            if "progress" not in self._read_ends or not self._read("progress"):
                return

    def outcome(self, argv: Sequence[str], log_path: Path) -> ProcessOutcome:
        if self._error is not None:
            reason = " ".join(self._error.split())
            raise RunError(f"cannot start the worker {argv[0]!r}: {reason}")
        ended = self._ended or {}
        status = ended.get("status")
        code = None if status is None else os.waitstatus_to_exitcode(status)
        return ProcessOutcome(
            kind=self._kind(ended.get("cause"), code),
            exit_code=code if code is not None and code >= 0 else None,
            signal=-code if code is not None and code < 0 else None,
            duration=ended.get("duration", self._lost_after),
            stderr_tail=_tail(log_path),
        )

    def _kind(self, cause: str | None, code: int | None) -> Kind:
        if cause == "exit" and code == 0:
            return "exited"
        if self._stopped_for is not None:
            return self._stopped_for
        if self._cancelled.is_set():
            # A service manager signals controller, watchdog and worker together.
            return "cancelled"
        if cause == "exit" and code is not None:
            return "exited" if code >= 0 else "signalled"
        return "lost"


def _pipe() -> tuple[int, int]:
    """A pipe whose numbers stay free in a child: not 0, 1 or 2, even if ours are closed."""
    read, write = os.pipe()
    if min(read, write) > 2:
        return read, write
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3) for end in (read, write)]
    os.close(read)
    os.close(write)
    return moved[0], moved[1]


def _open_log(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise RunError(f"cannot write the log {str(path)!r}: {error.strerror}") from error


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL))
            return log.read(TAIL).decode(errors="replace")
    except OSError:
        return ""  # a worker may remove it
