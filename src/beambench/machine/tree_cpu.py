"""CPU time of the process tree of a worker, read by any process of it while it runs."""

from __future__ import annotations

import os
import threading
import time

import psutil

WORKER_PID = "_BEAMBENCH_WORKER_PID"
"""The process that a task runs in; what it starts inherits this, and other machines do not."""

MAX_READING_SHARE = 0.005
"""Of the time of one core, that readings may cost; likewise the search for new processes."""


class TreeCpu:
    """User and system time that a process and all of its descendants have used so far.

    It holds what ended children had used if their parent waited for them, and misses those that
    nobody in the tree waited for. The difference between two readings counts each process once,
    even if two processes took them. Processes other than the reading one are counted in ticks of
    the kernel (10 ms).
    """

    def __init__(self, root_pid: int | None = None) -> None:
        """Count below a process; None: below the worker that this process is of."""
        self._root_pid = root_pid
        self._lock = threading.Lock()
        self._members: list[psutil.Process] = []
        self._next_search_ns = 0
        self._next_reading_ns = 0

    @property
    def is_due(self) -> bool:
        """Whether so much time went by since the last reading that another costs little."""
        return time.perf_counter_ns() >= self._next_reading_ns

    def read_us(self) -> int | None:
        """Return it in microseconds; None where this process is in no tree that is known."""
        with self._lock:
            if time.perf_counter_ns() >= self._next_search_ns:
                begin = time.thread_time_ns()
                self._members = self._search()
                self._next_search_ns = _next_ns(time.thread_time_ns() - begin)
            begin = time.thread_time_ns()
            used_us = _sum_us(self._members) if self._members else None
            self._next_reading_ns = _next_ns(time.thread_time_ns() - begin)
            return used_us

    def _search(self) -> list[psutil.Process]:
        """Return the processes of the tree, parents first; none if this process is not of them."""
        root_pid = self._root_pid or int(os.environ.get(WORKER_PID, 0))
        if not root_pid:
            return []
        try:
            root = psutil.Process(root_pid)
            members = [root, *root.children(recursive=True)]
        except (psutil.Error, OSError):
            return []
        return members if any(member.pid == os.getpid() for member in members) else []


def _next_ns(cost_ns: int) -> int:
    """Return when to do again what took so much CPU time, which a busy machine does not stretch."""
    return time.perf_counter_ns() + int(cost_ns / MAX_READING_SHARE)


def _sum_us(members: list[psutil.Process]) -> int:
    # Parents first: a child that ends between two readings is missed once, not counted twice.
    seconds, own_ns = 0.0, 0
    for member in members:
        try:
            times = member.cpu_times()
        except (psutil.Error, OSError):  # it has ended, and is in the time of its parent
            continue
        seconds += times.children_user + times.children_system
        if member.pid == os.getpid():
            own_ns = time.process_time_ns()
        else:
            seconds += times.user + times.system
    return own_ns // 1000 + round(seconds * 1e6)
