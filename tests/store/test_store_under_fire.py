"""The store with many writers, and with writers that are killed."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from beambench.store import RunStore, sqlite_url

pytestmark = pytest.mark.real

PROCESSES = 20
ADDS = 50
KILLS = 30

# Forks a process for each job of a line, so that the imports are paid once. A writer prints the id
# of a run once it is stored; a line of its own says when the last writer has ended, and how.
WRITERS = """
import json, os, sys
from beambench.record.run_record import *
from beambench.store import RunStore

def record(run_id, size):
    return RunRecord(
        run_id=run_id, benchmark="image", variant="stock", profile="local", definition_hash="d",
        beambench_version="0.1.0", runner=RunnerRecord(requested="direct", executed="direct"),
        status="succeeded", started_at="2026-01-01T00:00:00Z", finished_at="2026-01-01T00:01:00Z",
        input=InputRecord(kind="synthetic", count=4, digest=None),
        model=ModelRecord(name="tiny", weights="random"), config={"filler": run_id * size},
        repeats=[], metrics={}, noise={}, environment={}, command=[],
        verification=Verification(elements_in=4, elements_out=4, elements_failed=0, duplicates=0))

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # whole lines, also with many writers

def write(url, name, count, size):
    with RunStore.open(url) as store:
        for number in range(count):
            store.add(record(f"{name}-{number:05}", size))
            say("stored", f"{name}-{number:05}")

for line in sys.stdin:
    pids = []
    for job in json.loads(line):
        pids.append(os.fork())
        if not pids[-1]:
            say("started", os.getpid())
            write(*job)
            os._exit(0)
    say("ended", *[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids])
"""


class Writers:
    """Processes that add runs to a store."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITERS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def start(self, *jobs: tuple[str, str, int, int]) -> None:
        """Start a writer for each (url, name, count, size)."""
        self.process.stdin.write(json.dumps(jobs) + "\n")
        self.process.stdin.flush()

    def read(self) -> tuple[str, list[str]]:
        """Return what is reported next: "started" pid, "stored" run id, "ended" exit codes."""
        what, *values = self.process.stdout.readline().split()
        return what, values

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def writers() -> Iterator[Writers]:
    writers = Writers()
    yield writers
    writers.stop()


def _integrity(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        return connection.execute("PRAGMA integrity_check").fetchone()[0]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_open_and_fill_a_new_store_at_once(tmp_path, writers, kind, request):
    path = tmp_path / "new" / "runs.db"
    url = sqlite_url(path) if kind == "sqlite" else request.getfixturevalue("postgresql")
    writers.start(*((url, f"writer{n}", ADDS, 100) for n in range(PROCESSES)))
    while (report := writers.read())[0] != "ended":
        pass
    assert report == ("ended", ["0"] * PROCESSES)
    expected = sorted(f"writer{n}-{i:05}" for n in range(PROCESSES) for i in range(ADDS))
    with RunStore.open(url) as store:
        records = store.history("image")
    assert sorted(record.run_id for record in records) == expected
    assert all(record.config["filler"] == record.run_id * 100 for record in records)
    if kind == "sqlite":
        assert _integrity(path) == "ok"


def test_a_killed_writer_loses_nothing_that_it_reported(tmp_path, writers):
    dice = random.Random(20260101)
    path, stored = tmp_path / "runs.db", []
    for kill in range(KILLS):
        if kill % 3 == 0:  # into a new file, so that kills also hit its creation
            path, stored = tmp_path / f"runs{kill}.db", []
        stored += _fill_and_kill(writers, sqlite_url(path), f"kill{kill:02}", dice)
        _check(path, stored)


def _fill_and_kill(writers: Writers, url: str, name: str, dice: random.Random) -> list[str]:
    """Kill a writer some time after it stored some runs; return the ids of all that it reported."""
    size = dice.choice([1, 1000, 200_000])  # the last is more than SQLite keeps in memory
    writers.start((url, name, 10**5, size))
    what, (pid,) = writers.read()
    assert what == "started"
    reported = []
    for _ in range(dice.choice([0, 0, 1, 3, 10])):
        what, (run_id,) = writers.read()
        assert what == "stored"
        reported.append(run_id)
    time.sleep(dice.uniform(0, 0.04))  # waits for nothing: it says where the kill hits
    os.kill(int(pid), signal.SIGKILL)
    while (report := writers.read())[0] == "stored":
        reported += report[1]
    assert report == ("ended", [str(-signal.SIGKILL)])
    return reported


def _check(path: Path, reported: list[str]) -> None:
    """Check that what was reported is there whole, and at most one run a kill beside it."""
    with RunStore.open(sqlite_url(path)) as store:
        stored = {record.run_id: record for record in store.history("image")}
    for run_id, record in stored.items():
        filler = record.config["filler"]
        assert filler == run_id * (len(filler) // len(run_id))
    assert set(reported) <= set(stored)
    unreported = set(stored) - set(reported)
    assert len({run_id.split("-")[0] for run_id in unreported}) == len(unreported)
    assert _integrity(path) == "ok"
