"""Recognising and killing the processes of one worker when its watchdog can no longer do it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

import psutil

PROCESS_TREE = "BEAMBENCH_PROCESS_TREE"  # marks every process that descends from one supervise()

SAMPLE_EVERY = 0.2  # seconds
SAMPLE_SHARE = 50  # a sample may cost 1/50 of the time: on a machine of many processes, sample less


class ProcessTree:
    """The processes below a watchdog, remembered so that they can be killed when it is lost."""

    def __init__(self, root: int, mark: str) -> None:
        self._root = psutil.Process(root)
        self._mark = mark
        self._known: dict[int, psutil.Process] = {root: self._root}
        self._next_sample = 0.0
        self.keeper: int | None = None
        self.worker: int | None = None

    def sample(self, *, force: bool = False) -> None:
        """Remember the present descendants, if it is time to."""
        began = time.monotonic()
        if not force and began < self._next_sample:
            return
        # Never forget: without a subreaper an orphan leaves the tree and still is ours. An object
        # of psutil carries the start time and refuses to kill a later process of the same pid.
        with contextlib.suppress(psutil.Error):
            self._known.update((p.pid, p) for p in self._root.children(recursive=True))
        now = time.monotonic()
        self._next_sample = now + max(SAMPLE_EVERY, SAMPLE_SHARE * (now - began))

    def sweep(self, seconds: float) -> bool:
        """Kill all that is known or recognised, in rounds; False if some live after `seconds`."""
        end = time.monotonic() + seconds
        while living := self._living():
            for process in living:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            if time.monotonic() >= end:
                return False
            time.sleep(0.02)
        return True

    def _living(self) -> list[psutil.Process]:
        return [process for process in self._candidates() if _lives(process)]

    def _candidates(self) -> Iterator[psutil.Process]:
        yield from self._known.values()
        for pid in psutil.pids():
            with contextlib.suppress(psutil.Error, OSError):
                process = psutil.Process(pid)
                if pid not in self._known and (self._in_group(pid) or self._is_marked(process)):
                    yield process

    def _in_group(self, pid: int) -> bool:
        # The keeper leads the worker's session: two numbers that agree are not a pid used again.
        if self.worker is None:
            return False
        return os.getpgid(pid) == self.worker and os.getsid(pid) == self.keeper

    def _is_marked(self, process: psutil.Process) -> bool:
        return process.environ().get(PROCESS_TREE) == self._mark


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
