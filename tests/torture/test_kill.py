"""Runs killed with SIGKILL at random moments: what was reported is kept, and nothing is left over.

A tenth of it runs by default; BEAMBENCH_TEST_TORTURE=full runs all. BEAMBENCH_TEST_SEED changes the
moments.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from beambench.controller.processes.work_dir import LOCK, PREFIX
from beambench.store import RunStore, sqlite_url
from fast_runs import NAME, CommandLine, command_line, lay_out, python_path, wait_until

FULL = os.environ.get("BEAMBENCH_TEST_TORTURE") == "full"
SEED = int(os.environ.get("BEAMBENCH_TEST_SEED", "20260101"))
RUNS = 100 if FULL else 10
RUNS_IN_A_STORE = 5
"""Then comes a new file, so that kills also hit its creation."""

pytestmark = [pytest.mark.real, pytest.mark.torture, pytest.mark.timeout(7200 if FULL else 290)]

SECONDS_TO_VANISH = 5.0
SECONDS_TO_END = 60.0
TASKS = ("prepare", "reference", "pipeline")
PHASES = ("start-up", *TASKS, "storing")
LINES = {"prepare": "] prepare\n", "reference": "] reference sample\n", "pipeline": "] pipeline"}
# Where the worker is at work, and whom the kill hits. Before and after it there is but one process.
HITS = (
    ("start-up", "controller"),
    ("storing", "controller"),
    ("a task", "controller"),
    ("a task", "worker"),
    ("a task", "both"),
    ("storing", "controller"),
    ("a task", "watchdog"),
    ("a task", "controller"),
    ("a task", "both"),
    ("a task", "worker"),
)
REPORTED = re.compile(r"^run (\S+): (\w+)", re.MULTILINE)


class Place:
    """The folders of the test, and the store in use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.definition = lay_out(folder / "definitions")
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.store = folder / "runs.db"
        self.reported: dict[str, Any] = {}
        """Run id of every run reported as stored in the present store, and its printed document."""

    def new_store(self, number: int) -> None:
        self.store = self.folder / f"runs{number}.db"
        self.reported = {}

    def new_gates(self, number: int) -> Path:
        gates = self.folder / f"gates{number}"
        gates.mkdir()
        return gates

    def start(self, *options: str) -> Any:
        return command_line(
            self.folder / "here",
            *("run", str(self.definition), "--profile", "smoke"),
            *("--store", sqlite_url(self.store), *options),
            PYTHONPATH=python_path(self.folder / "definitions" / "hidden"),
            TMPDIR=str(self.temporary),
        )

    def scratch(self) -> list[Path]:
        """The scratch folders of runs, living and dead."""
        return [path for path in self.temporary.iterdir() if path.name.startswith(PREFIX)]


@dataclass
class Hit:
    """A kill: where, whom, and how long after the phase began."""

    phase: str
    victim: str
    delay: float
    killed: list[str] = field(default_factory=list)
    was_over: bool = False


def has_begun(phase: str, cli: CommandLine, place: Place) -> bool:
    """Tell whether a run has come to a phase, or beyond."""
    if phase == "start-up" or cli.has_ended:
        return True
    if phase != "storing":
        return LINES[phase] in cli.errors
    # The scratch folder goes right before the record is put together and stored.
    return LINES["pipeline"] in cli.errors and not live_scratch(place)


def live_scratch(place: Place) -> list[Path]:
    return [folder for folder in place.scratch() if (folder / LOCK).is_file()]


def measure(place: Place) -> dict[str, float]:
    """Run once unharmed; return how long each phase takes."""
    began = {}
    with place.start() as cli:
        for phase in PHASES:
            wait_until(lambda phase=phase: has_begun(phase, cli, place))
            began[phase] = time.monotonic()
        assert cli.end() == 0, cli.errors
        ended = time.monotonic()
    moments = [*began.values(), ended]
    return {
        phase: after - before
        for phase, before, after in zip(PHASES, moments, moments[1:], strict=False)
    }


def draw(number: int, durations: dict[str, float], dice: random.Random) -> Hit:
    phase, victim = HITS[number % len(HITS)]
    if phase == "a task":
        phase = dice.choice(TASKS)
    return Hit(phase, victim, dice.uniform(0, durations[phase]))


def roles(cli: CommandLine) -> dict[str, int]:
    """Return the pids of worker, guardian and keeper that live."""
    pids = {}
    for pid, words in cli.processes().items():
        if "beambench.worker" in words:
            pids["worker"] = pid
        elif words and words[-1].endswith("watchdog.py"):
            pids["guardian" if parent_of(pid) == cli.process.pid else "keeper"] = pid
    return pids


def parent_of(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return int(stat.rpartition(b")")[2].split()[1])


def strike(hit: Hit, cli: CommandLine, gates: Path, dice: random.Random) -> None:
    """Kill the victims; a worker or watchdog that is not there yet is waited for.

    If nobody is left to use its result, the worker is made to wait: it must not end by itself.
    """
    names = {
        "controller": ["controller"],
        "worker": ["worker"],
        "watchdog": [dice.choice(["guardian", "keeper"])],
        "both": dice.choice([["controller", "worker"], ["worker", "controller"]]),
    }[hit.victim]
    others = set(names) - {"controller"}
    wait_until(lambda: cli.has_ended or others <= set(roles(cli)), SECONDS_TO_END)
    hit.was_over = cli.has_ended
    if hit.was_over:
        return
    if "controller" in names:
        for worker in range(3):
            (gates / f"hold-{worker}").touch()
    pids = {"controller": cli.process.pid, **(roles(cli) if others else {})}
    for name in names:
        if name not in pids:
            continue  # it ended this instant
        try:
            os.kill(pids[name], signal.SIGKILL)
            hit.killed.append(name)
        except ProcessLookupError:
            pass


def documents(printed: str) -> dict[str, Any]:
    """Return the runs that a controller reported as stored, and their documents where printed."""
    try:
        document = json.loads(printed)
    except ValueError:
        # A line without its end may have been cut off.
        complete = printed[: printed.rfind("\n") + 1]
        return {run_id: None for run_id, _ in REPORTED.findall(complete)}
    return {document["run_id"]: document}


def check_store(place: Place) -> None:
    """The store opens, is sound, and holds all that was reported, whole."""
    with RunStore.open(sqlite_url(place.store)) as store:
        records = {record.run_id: record for record in store.history(NAME)}
    connection = sqlite3.connect(place.store)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    (rows,) = connection.execute("SELECT count(*) FROM runs").fetchone()
    connection.close()
    assert rows == len(records)  # all of them parse
    assert set(place.reported) <= set(records)
    for run_id, document in place.reported.items():
        if document is not None:
            assert records[run_id].model_dump(mode="json") == document
    for record in records.values():
        assert record.status in ("succeeded", "failed")
        if record.status == "succeeded":
            assert record.verification.passed
            assert record.input.count == 200


def assert_vanished(cli: CommandLine) -> None:
    end = time.monotonic() + SECONDS_TO_VANISH
    while left := cli.processes():
        assert time.monotonic() < end, f"left over: {left}"
        time.sleep(0.02)


def torture(place: Place, hit: Hit, gates: Path, dice: random.Random) -> int:
    """Run, kill, and check that nothing but what must be is left; return the exit code."""
    options = ["--set", f"parameters.gates={gates}", *dice.choice([[], ["--json"]])]
    with place.start(*options) as cli:
        wait_until(lambda: has_begun(hit.phase, cli, place))
        try:
            cli.process.wait(hit.delay)
        except subprocess.TimeoutExpired:
            pass
        strike(hit, cli, gates, dice)
        code = cli.end(SECONDS_TO_END)
        assert_vanished(cli)
        assert "Traceback" not in cli.errors, cli.errors
        reported = documents(cli.output)
    place.reported.update(reported)
    if "controller" not in hit.killed:
        assert len(reported) == 1
        expected = {0} if hit.was_over else {0, 3}  # 0: what was killed had done its work
        assert code in expected, cli.errors
    return code


def trials(durations: dict[str, float]) -> Iterator[tuple[int, Hit, random.Random]]:
    for number in range(RUNS):
        dice = random.Random(SEED * 1000 + number)
        yield number, draw(number, durations, dice), dice


def test_runs_that_are_killed(tmp_path):
    place = Place(tmp_path)
    durations = measure(place)
    phases = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in durations.items())
    say(f"seed {SEED}; {phases}")
    summary: Counter[str] = Counter()
    stored = most_left = 0
    began = time.monotonic()
    for number, hit, dice in trials(durations):
        if number % RUNS_IN_A_STORE == 0:
            stored += len(place.reported)
            place.new_store(number)
        say(f"{number}: {hit.phase} + {hit.delay:.3f} s: {hit.victim}")
        code = torture(place, hit, place.new_gates(number), dice)
        check_store(place)
        # A killed controller leaves its folder; the next run that gets so far sweeps it.
        most_left = max(most_left, len(list(place.temporary.iterdir())))
        assert most_left <= 3
        victim = "nobody, it had ended" if hit.was_over else " and ".join(hit.killed)
        summary[f"{hit.phase}: {victim}: exit {code}"] += 1
        say(f"   killed {victim}, exit {code}")
    stored += len(place.reported)
    seconds = time.monotonic() - began
    assert sum(summary.values()) == RUNS
    assert sum(count for line, count in summary.items() if "nobody" not in line) >= RUNS * 0.5
    finish(place)
    say(f"{RUNS} runs in {seconds:.0f} s, {stored} reported as stored, all there")
    say(f"scratch folders at most: {most_left}")
    for line, count in sorted(summary.items()):
        say(f"{count:4} {line}")


def say(line: str) -> None:
    print(line)  # noqa: T201 - shown by -s, and where the test fails


def finish(place: Place) -> None:
    """A normal run works after all that, and clears up."""
    with place.start("--json") as cli:
        assert cli.end() == 0, cli.errors
        assert_vanished(cli)
        place.reported.update(documents(cli.output))
    check_store(place)
    assert live_scratch(place) == []
    assert not list((place.folder / "here").glob("*.json"))  # no record had to be saved elsewhere
    # Those that were killed before they were locked go when they are a minute old.
    assert all(folder in place.scratch() for folder in place.temporary.iterdir())
