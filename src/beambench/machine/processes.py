"""Memory and CPU time of a process tree, and children that cannot keep their caller waiting."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import psutil

# Listing the processes of a machine costs time for each of them, ours or not. Where there are so
# many that it would disturb what is measured, the interval grows until sampling costs this share
# of one core.
MAX_SAMPLING_SHARE = 0.02

# A sample takes milliseconds. A thread that takes longer to end hangs in the kernel: leave it.
JOIN_TIMEOUT_SECONDS = 5.0

# How long a killed child may take to go. One that hangs in a driver cannot be waited for.
REAP_TIMEOUT_SECONDS = 1.0

_Key = tuple[int, float]


class ChildResult(NamedTuple):
    """How a child ended; a negative ``returncode`` is the signal that killed it."""

    returncode: int
    stdout: str


def read_text(path: Path) -> str | None:
    """Return the text of a file, null if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def run_bounded(
    command: Sequence[str], timeout: float, env: Mapping[str, str] | None = None
) -> ChildResult:
    """Run a short command and return within ``timeout`` + 1 seconds whatever it does.

    ``subprocess.run`` waits without a limit for a child that it has killed, which never returns if
    the child hangs in a driver or a grandchild keeps the pipe open.

    Raises TimeoutError if it did not end in time (its process group is killed then), and any
    other OSError if it could not be started.
    """
    child = subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        stdout, _ = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{command[0]} did not end within {timeout:g} s") from None
    finally:
        _end(child)
    return ChildResult(child.returncode, stdout.decode("utf-8", errors="replace"))


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill the child's group if the child still runs, and reap it if it goes in time."""
    if child.returncode is None:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            child.wait(timeout=REAP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            pass
    if child.stdout is not None:
        child.stdout.close()


class ProcessTreeSampler:
    """Samples a process and all its descendants until it is stopped.

    A descendant stays a member when its parent ends, so a process that detaches itself is counted
    if it was seen once before. ``supervisors`` is how many levels of the tree only supervise and
    are left out: 1 is the root, 2 the root and its children. ``on_sample`` is given ``cpu_seconds``
    after each sample in the background, in its thread.

    ``peak_rss``
        Bytes: the greatest sum of the resident set sizes at one sample, and never less than the
        greatest high-water mark (VmHWM) of any one member, which the kernel keeps between
        samples too. Pages that processes share count once for each of them, so of processes
        that forked it is an upper bound.
    ``cpu_seconds``
        User plus system time since each process began. The greater of two lower bounds, neither
        of which counts anything twice: (a) the sum over all members ever seen of what each had
        used when last seen, which misses what a process used after its last sample; (b) the
        greatest sum at one sample over the members of what each has used itself plus what its
        ended and waited-for children had used, which misses processes that nobody in the tree
        waited for.
    ``samples``
        How many samples saw at least one member.

    ``peak_rss`` and ``cpu_seconds`` are null (unknown) as long as no member was seen.
    """

    def __init__(
        self,
        root_pid: int,
        interval: float = 0.2,
        *,
        supervisors: Literal[0, 1, 2] = 0,
        on_sample: Callable[[float | None], None] | None = None,
        proc: Path = Path("/proc"),
    ) -> None:
        self.peak_rss: int | None = None
        self.cpu_seconds: float | None = None
        self.samples = 0
        self._root_pid = root_pid
        self._interval = interval
        self._supervisors = supervisors
        self._on_sample = on_sample
        self._proc = proc
        self._known: dict[_Key, psutil.Process] = {}
        self._last_seen_cpu: dict[_Key, float] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        try:
            root = psutil.Process(root_pid)
            self._known[_key(root)] = root
        except psutil.Error:
            pass

    def start(self) -> None:
        """Take a first sample and go on in the background.

        Raises RuntimeError if it was started before.
        """
        if self._thread is not None:
            raise RuntimeError("a ProcessTreeSampler can be started only once")
        self.sample()
        self._thread = threading.Thread(target=self._loop, name="process-tree-sampler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take a last sample and end the thread, within ``JOIN_TIMEOUT_SECONDS``."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=JOIN_TIMEOUT_SECONDS)
            if self._thread.is_alive():
                return
        self.sample()

    def sample(self) -> None:
        """Take one sample now. Only for a sampler whose thread does not run."""
        members = self._members()
        rss_sum = 0
        cpu_sum = 0.0
        seen = False
        # Parents stand before their children: a child that ends between the two readings is
        # missed once, where the other order would count it twice.
        for key, process in members.items():
            try:
                times = process.cpu_times()
                cpu_sum += times.children_user + times.children_system
                if self._supervises(process):
                    continue
                cpu_sum += times.user + times.system
                self._last_seen_cpu[key] = times.user + times.system
                rss_sum += process.memory_info().rss
                self._raise_peak(self._high_water_mark(process.pid))
                seen = True
            except (psutil.Error, OSError):
                continue
        self._known = members
        self._raise_cpu(cpu_sum, seen)
        if seen:
            self._raise_peak(rss_sum)
            self.samples += 1

    def _loop(self) -> None:
        wait = self._interval
        while not self._stopping.wait(wait):
            began = time.thread_time()
            self.sample()
            if self._on_sample is not None:
                self._on_sample(self.cpu_seconds)
            cost = time.thread_time() - began
            wait = max(self._interval, cost / MAX_SAMPLING_SHARE)

    def _members(self) -> dict[_Key, psutil.Process]:
        """Return the known members that still live and all their descendants, parents first."""
        members: dict[_Key, psutil.Process] = {}
        for key, process in self._known.items():
            if key in members or not process.is_running():
                continue
            try:
                tree = [process, *process.children(recursive=True)]
            except (psutil.Error, OSError):
                continue
            for member in tree:
                # One that has ended since it was listed.
                try:
                    members.setdefault(_key(member), member)
                except (psutil.Error, OSError):
                    continue
        return members

    def _supervises(self, process: psutil.Process) -> bool:
        """Tell whether a process is of the levels that are left out."""
        if self._supervisors == 0:
            return False
        if process.pid == self._root_pid:
            return True
        return self._supervisors == 2 and process.ppid() == self._root_pid

    def _raise_cpu(self, cpu_sum: float, seen: bool) -> None:
        best = max(cpu_sum, sum(self._last_seen_cpu.values()), self.cpu_seconds or 0.0)
        if seen or self._last_seen_cpu or best > 0:
            self.cpu_seconds = best

    def _raise_peak(self, rss: int | None) -> None:
        if rss is not None and (self.peak_rss is None or rss > self.peak_rss):
            self.peak_rss = rss

    def _high_water_mark(self, pid: int) -> int | None:
        """Return the greatest RSS that the process ever had, in bytes (Linux only)."""
        status = read_text(self._proc / str(pid) / "status") or ""
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return None


def _key(process: psutil.Process) -> _Key:
    """Return what identifies a process: a pid alone is used again after its process has ended."""
    return process.pid, process.create_time()
