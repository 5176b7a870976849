"""The processes between the controller and a worker, which see to it that nothing outlives either.

The supervisor runs this file as a script (``python -I -S watchdog.py``) and writes its order as
JSON to stdin. It uses the standard library only and imports nothing of beambench: it starts in
milliseconds and cannot break with the rest.

The watchdog is a pair, because one process that gets SIGKILL could not clean up after itself::

    controller -> guardian -> keeper -> worker -> whatever the worker starts

Guardian and keeper are child subreapers (Linux): a descendant that loses its parent, left the
process group or opened a session of its own becomes their child, so they can find and kill it.

=====================  =================================================================
who gets SIGKILL       who cleans up
=====================  =================================================================
controller             the keeper: the control pipe closed
worker                 the keeper: its child ended
guardian               the keeper: the leash (a pipe that only the guardian holds) closed
keeper                 the kernel kills the worker (PR_SET_PDEATHSIG), the guardian the rest
any two of the four    one of those still left; for guardian and keeper the controller (see
                       ``supervisor.py`` for what it can find)
=====================  =================================================================

When controller, guardian and keeper get SIGKILL at once, the worker dies, but not what it started.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
IDLE = 0.5  # seconds between two looks when nothing wakes us: a safety net, not the way we notice
SWEEP = 1.0  # seconds in which every descendant must be dead and reaped
SLACK = 1.5  # seconds that the guardian gives the keeper on top of the grace: its sweep and a bit


def _load_prctl() -> Callable[[int, int], bool]:
    """Return ``prctl(option, value) -> succeeded``; it always fails where there is no prctl."""
    if sys.platform == "linux":
        try:
            import ctypes

            libc = ctypes.CDLL(None)
        except (ImportError, OSError):
            pass
        else:
            return lambda option, value: libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) == 0
    return lambda option, value: False


def descendants(root: int) -> list[int]:
    """Pids of all processes below `root`, from /proc; empty where there is no /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name stands in parentheses and may hold any character, so read from its end.
            parent = int(stat.read_bytes().rpartition(b")")[2].split()[1])
        except (OSError, IndexError):
            continue  # ended while we looked
        children.setdefault(parent, []).append(int(stat.parent.name))
    below: list[int] = []
    level = children.get(root, [])
    while level:
        below += level
        level = [child for pid in level for child in children.get(pid, [])]
    return below


class Watch:
    """Waits for one child and for pipes that close, and kills what is left below this process."""

    def __init__(self, child: int, pipes: dict[int, str]) -> None:
        self.child = child
        self.status: int | None = None  # wait status of the child, once it was reaped
        self.ended_at: float | None = None  # time.monotonic()
        self.cause: str | None = None
        self._alone = False
        self._parent = os.getppid()
        self._selector = selectors.DefaultSelector()
        for pipe, cause in pipes.items():
            self._selector.register(pipe, selectors.EVENT_READ, cause)
        self._wake_on_signals()

    def _wake_on_signals(self) -> None:
        wakeup, write = os.pipe()
        os.set_blocking(wakeup, False)
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self._selector.register(wakeup, selectors.EVENT_READ, None)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_stop_signal)

    def _on_stop_signal(self, *_: object) -> None:
        self.cause = self.cause or "terminated"

    def _wait(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            try:
                closed = not os.read(key.fd, 4096)
            except BlockingIOError:
                continue
            if closed:
                # A closed pipe stays readable: left in, it would turn every later wait into a spin.
                self._selector.unregister(key.fd)
                self.cause = self.cause or key.data

    def _reap(self) -> None:
        """Reap every dead child: ours, and as a subreaper the orphans of others as well."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._alone = True
                return
            if pid == 0:
                return
            if pid == self.child:
                self.status, self.ended_at = status, time.monotonic()

    def until_something_happens(self) -> str:
        """Return why to stop: exit (the child ended), orphaned, terminated or what a pipe says."""
        while True:
            self._reap()
            if self.status is not None:
                return "exit"
            if os.getppid() != self._parent:
                # A process that the controller forked without exec may still hold its pipe open.
                return "orphaned"
            if self.cause is not None:
                return self.cause
            self._wait(IDLE)

    def await_child(self, seconds: float) -> None:
        """Give the child `seconds` to end by itself."""
        self._wait_while(lambda: self.status is None, seconds)

    def terminate_group(self, grace: float) -> None:
        """SIGTERM to the child's process group, and `grace` seconds for all of it to end."""
        self._signal_group(signal.SIGTERM)
        self._wait_while(lambda: self._signal_group(0), grace)

    def _wait_while(self, condition: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        self._reap()
        while condition() and (left := end - time.monotonic()) > 0:
            self._wait(min(left, 0.05))
            self._reap()

    def _signal_group(self, number: int) -> bool:
        """Return whether the group exists.

        Its id cannot be another's: a pid is not given out again while a group of that id exists,
        and we signal at most a few hundredths of a second after the last member was reaped.
        """
        try:
            os.killpg(self.child, number)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True

    def kill_group(self) -> None:
        self._signal_group(signal.SIGKILL)

    def sweep(self, seconds: float) -> bool:
        """Kill and reap all descendants; False when some are left after `seconds`.

        In rounds: a process may fork between our look and our kill, and children of the dead
        become ours.
        """
        end = time.monotonic() + seconds
        while True:
            self._reap()
            if self._alone:
                return True
            if time.monotonic() >= end:
                return False
            known = [self.child] if self.status is None else []
            for pid in descendants(os.getpid()) or known:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            self._wait(0.02)


def _reset_signals() -> None:
    """Undo what the controller blocks or ignores, which fork and exec hand down, also to workers.

    With SIGCHLD ignored, the kernel would throw the worker's exit status away.
    """
    for number in (signal.SIGCHLD, *STOP_SIGNALS):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _report(status_fd: int, record: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # the controller may be dead
        os.write(status_fd, json.dumps(record).encode() + b"\n")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename!r}" if error.filename else error.strerror
    return str(error)


def _start_worker(spec: dict[str, Any], prctl: Callable[[int, int], bool]) -> int:
    """Start the worker in a process group of its own and return its pid; it dies when we die."""
    keeper = os.getpid()

    def in_child() -> None:
        os.setpgid(0, 0)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(127)  # we died before the line above: no signal will come

    process = subprocess.Popen(
        spec["argv"],
        stdin=subprocess.DEVNULL,
        env=spec["env"],
        cwd=spec["cwd"],
        pass_fds=[spec["progress_fd"]],
        preexec_fn=in_child,  # safe: this process has one thread
    )
    process.returncode = 0  # Watch reaps it; keeps Popen from trying as well
    return process.pid


def _keep(spec: dict[str, Any], leash: int, prctl: Callable[[int, int], bool]) -> None:
    """The keeper: start the worker, wait, end everything below, report the worker's end."""
    os.setsid()  # a signal to the guardian's group must not hit both of us
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # not inherited through fork
    control, status = spec["control_fd"], spec["status_fd"]
    started = time.monotonic()
    try:
        worker = _start_worker(spec, prctl)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        _report(status, {"error": _reason(error)})
        return
    # Only the worker shall hold it, so that the reader sees its end.
    os.close(spec["progress_fd"])
    _report(status, {"started": {"keeper": os.getpid(), "worker": worker}})
    watch = Watch(worker, {control: "control", leash: "leash"})
    cause = watch.until_something_happens()
    if cause != "exit":
        watch.terminate_group(spec["grace"])
    watch.kill_group()
    watch.sweep(SWEEP)
    duration = (watch.ended_at or time.monotonic()) - started
    _report(status, {"ended": {"cause": cause, "status": watch.status, "duration": duration}})


def _fork_keeper(spec: dict[str, Any], prctl: Callable[[int, int], bool]) -> tuple[int, int]:
    """Return the keeper's pid and our end of its leash."""
    leash, held = os.pipe()
    keeper = os.fork()
    if keeper:
        os.close(leash)
        return keeper, held
    code = 1
    try:
        os.close(held)
        _keep(spec, leash, prctl)
        code = 0
    except BaseException:
        traceback.print_exc()  # into the log
        sys.stderr.flush()
    finally:
        os._exit(code)


def _guard(spec: dict[str, Any]) -> None:
    """The guardian: wait for the keeper, end everything below, report whether all of it is gone."""
    _reset_signals()
    prctl = _load_prctl()
    complete = prctl(PR_SET_CHILD_SUBREAPER, 1)
    keeper, leash = _fork_keeper(spec, prctl)
    os.close(spec["progress_fd"])
    watch = Watch(keeper, {spec["control_fd"]: "control"})
    watch.until_something_happens()
    os.close(leash)
    watch.await_child(spec["grace"] + SLACK)
    swept = watch.sweep(SWEEP)
    _report(spec["status_fd"], {"swept": swept and complete})


if __name__ == "__main__":
    _guard(json.load(sys.stdin))
