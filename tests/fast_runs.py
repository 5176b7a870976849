"""Real runs that are fast: a workload on numbers, and command lines in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MARK = "TREE_OF_TEST"
"""An environment variable: all processes that descend from a command line carry its value."""

NAME = "fast-numbers"
WORKLOAD = '''
"""A user's own workload: squares numbers. A test can make it wait."""

import itertools
import os
import time
from pathlib import Path

from beambench.workloads.base import Parameters, Weights, Workload


class FastParameters(Parameters):
    """`gates`: a folder; the n-th worker of a run waits as long as it holds `hold-n`."""

    gates: str | None = None


_visit = None


def pass_gate(folder):
    global _visit
    if _visit is None:
        _visit = next(number for number in itertools.count() if is_first(folder, number))
    hold, held = folder / f"hold-{_visit}", folder / f"held-{_visit}"
    if hold.exists() and not held.exists():
        partial = folder / f"partial-{_visit}"
        partial.write_text(str(os.getpid()))
        partial.rename(held)
    end = time.monotonic() + 100
    while hold.exists() and time.monotonic() < end:
        time.sleep(0.01)


def is_first(folder, number):
    try:
        (folder / f"visit-{number}").mkdir()
    except FileExistsError:
        return False
    return True


class FastNumbers(Workload):
    input_types = ("numbers",)
    parameters_type = FastParameters

    @classmethod
    def fetch_weights(cls, definition, seed, cache):
        gates = definition.parameters.get("gates")
        if gates is not None:
            pass_gate(Path(gates))
        return Weights(None)

    def model_handler(self):
        from beambench.workloads.noop_handler import NoopModelHandler

        return NoopModelHandler(min_batch_size=10, max_batch_size=20)

    def read(self, path):
        if self.parameters.gates is not None:
            pass_gate(Path(self.parameters.gates))
        return path.encode()

    def preprocess(self, raw):
        return raw.decode()

    def postprocess(self, prediction):
        return int(prediction.inference) ** 2
'''
DEFINITION = """
name: fast-numbers
title: Squares of numbers
workload: fast_numbers:FastNumbers
model: {name: square, weights: none}
input: {type: numbers, source: synthetic}
profiles:
  smoke: {limit: 200, repeats: 1, timeout: 120, slot_seconds: 0.05}
"""
# Beam imports these wherever they are installed: most of the seconds that a worker needs to start.
NOT_NEEDED = ("torch", "scipy", "pymongo")


def lay_out(folder: Path) -> Path:
    """Write definition and workload into a folder; return the definition."""
    folder.mkdir()
    (folder / "fast_numbers.py").write_text(WORKLOAD)
    definition = folder / f"{NAME}.yaml"
    definition.write_text(DEFINITION)
    hide_packages(folder / "hidden")
    return definition


def hide_packages(folder: Path) -> Path:
    """Make a folder for PYTHONPATH with which the packages seem not to be installed."""
    folder.mkdir()
    for name in NOT_NEEDED:
        (folder / f"{name}.py").write_text("raise ImportError('hidden by a test')\n")
    return folder


def python_path(folder: Path) -> str:
    """Return PYTHONPATH with a folder before all others."""
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


class CommandLine:
    """`beambench …` in a process of its own, its output in files."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.mark = uuid.uuid4().hex
        self._out, self._err = folder / f"{self.mark}.out", folder / f"{self.mark}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "beambench", *arguments],
                cwd=folder,
                env={**os.environ, **environment, MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it has printed to stdout so far."""
        return self._out.read_text("utf-8")

    @property
    def errors(self) -> str:
        """What it has printed to stderr so far."""
        return self._err.read_text("utf-8")

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def end(self, seconds: float = 120.0) -> int:
        """Wait for the end and return the exit code."""
        return self.process.wait(seconds)

    def processes(self) -> dict[int, list[str]]:
        """Return the command lines of all living processes of this tree by pid."""
        wanted = f"{MARK}={self.mark}".encode()
        processes = {}
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if wanted in (place / "environ").read_bytes().split(b"\0"):
                    words = (place / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                    processes[int(place.name)] = [word.decode(errors="replace") for word in words]
            except OSError:  # ended, or of another user
                continue
        return processes

    def kill_all(self) -> None:
        """Clean up after a test that failed."""
        for pid in self.processes():
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                continue
        self.process.wait(10)


@contextmanager
def command_line(folder: Path, *arguments: str, **environment: str) -> Iterator[CommandLine]:
    """Start `beambench …` and leave no process of it behind."""
    started = CommandLine(folder, *arguments, **environment)
    try:
        yield started
    finally:
        started.kill_all()


def wait_until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Return the first true value of a condition."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
    return value
