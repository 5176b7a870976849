"""Runs under bursts of signals at random moments: each ends soon, stored or with nothing begun.

A tenth of it runs by default; BEAMBENCH_TEST_TORTURE=full runs all. BEAMBENCH_TEST_SEED changes the
moments. The worker is a stub, and but for some that start as users start them, controllers are
forked from a process that has imported all they need.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import stub_worker
from beambench.store import RunStore, sqlite_url
from forked_runs import SIGNALS, Forkery

FULL = os.environ.get("BEAMBENCH_TEST_TORTURE") == "full"
SEED = int(os.environ.get("BEAMBENCH_TEST_SEED", "20260101"))
RUNS = 2000 if FULL else 200
LANES = 3
SECONDS_TO_END = 10.0
SECONDS_TO_VANISH = 5.0
"""For a child that was started in the very instant of the signal, and ends by itself."""

MARK = "TREE_OF_TEST"

pytestmark = [pytest.mark.torture, pytest.mark.timeout(7200 if FULL else 290)]

COLD_EVERY = 20
"""One run of so many is started as users do: its start-up takes as long as ten other runs."""

# Where signals hit, and the longest time after the phase began in seconds.
PHASES = {
    "start": 0.4,
    "prepare": 0.15,
    "reference sample": 0.15,
    "pipeline repeat 1": 0.2,
    "pipeline repeat 2": 0.2,
    "store": 0.05,
    "publish": 0.1,
    "print": 0.02,
}
REPORTED = re.compile(r"^run (\S+): (\w+)$", re.MULTILINE)
EXIT_CODES = {"succeeded": {0, 5, 130}, "cancelled": {130}}
"""Documented codes by the status of the stored run: 5 where its rows could not be sent on."""


class Server(ThreadingHTTPServer):
    """Takes what is published, late or never, as each trial says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.was_asked = threading.Event()
        self.delay = 0.0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.server.was_asked.set()
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.server.delay)
        try:
            self.send_response(204)
            self.end_headers()
        except OSError:
            pass  # the controller has ended

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Trial:
    """One run, and the burst that hits it."""

    number: int
    phase: str
    delay: float
    burst: list[signal.Signals]
    pause: float
    to_group: bool
    answers_after: float

    @classmethod
    def draw(cls, number: int) -> Trial:
        dice = random.Random(SEED * 10_000 + number)
        phases = list(PHASES)
        phase = "cold start" if number % COLD_EVERY == 0 else phases[number % len(phases)]
        return cls(
            number=number,
            phase=phase,
            delay=dice.uniform(0, PHASES.get(phase, 1.5)),
            burst=dice.choices(SIGNALS, k=dice.randint(1, 50)),
            pause=dice.choice([0.0, 0.0, 0.0005, 0.01]),
            to_group=dice.random() < 0.3,
            answers_after=dice.choice([0.0, 0.05, 30.0]),
        )


class Lane:
    """Runs trials one after the other: a store, a server, a process to fork from."""

    def __init__(self, folder: Path, definition: Path) -> None:
        self.folder, self.definition = folder, definition
        for name in ("here", "temporary"):
            (folder / name).mkdir(parents=True)
        self.store = folder / "runs.db"
        self.server = Server()
        self.forkery = Forkery()
        self.known: set[str] = set()

    def run(self, trial: Trial) -> str:
        """Run a trial; return what became of it in a few words."""
        place = self.folder / str(trial.number)
        place.mkdir()
        output, errors = place / "out", place / "err"
        output.touch()
        errors.touch()
        self.server.was_asked.clear()
        self.server.delay = trial.answers_after
        mark = f"signals-{SEED}-{trial.number}-{os.getpid()}"
        process = self.start(trial, output, errors, mark)
        try:
            self.await_phase(trial, errors, output)
            time.sleep(trial.delay)
            strike(trial, process.pid)
            struck_at = time.monotonic()
            code = process.end(SECONDS_TO_END)
            seconds = time.monotonic() - struck_at
        except BaseException:
            os.kill(process.pid, signal.SIGKILL)
            raise
        finally:
            left = kill_marked(mark)
        assert seconds < SECONDS_TO_END
        assert not left
        return self.judge(trial, code, output.read_text(), errors.read_text())

    def start(self, trial: Trial, output: Path, errors: Path, mark: str) -> Forked | Cold:
        arguments = [
            *("run", str(self.definition), "--profile", "smoke"),
            *("--store", sqlite_url(self.store), "--publish", "influxdb"),
        ]
        added = {
            "INFLUXDB_URL": f"http://127.0.0.1:{self.server.server_port}",
            "INFLUXDB_DATABASE": "tests",
            "TMPDIR": str(self.folder / "temporary"),
            MARK: mark,
        }
        if trial.phase == "cold start":
            return Cold(arguments, output, errors, self.folder / "here", added)
        pid = self.forkery.start(arguments, output, errors, self.folder / "here", **added)
        return Forked(self.forkery, pid)

    def await_phase(self, trial: Trial, errors: Path, output: Path) -> None:
        """Wait until a run has come to a phase; if it came to its end instead, signals miss it."""
        marks: dict[str, Callable[[], bool]] = {
            "start": lambda: True,
            "cold start": lambda: True,
            "store": lambda: "] pipeline repeat 2" in errors.read_text() and not self.scratch(),
            "publish": self.server.was_asked.is_set,
            "print": lambda: "\nrun " in output.read_text(),
        }
        has_begun = marks.get(trial.phase, lambda: f"] {trial.phase}\n" in errors.read_text())
        end = time.monotonic() + SECONDS_TO_END
        while not has_begun():
            assert time.monotonic() < end, f"never came to {trial.phase}: {errors.read_text()}"
            time.sleep(0.003)

    def scratch(self) -> list[Path]:
        return list((self.folder / "temporary").glob("beambench-run-*/.lock"))

    def judge(self, trial: Trial, code: int, output: str, errors: str) -> str:
        assert "Traceback" not in errors or is_before_us(trial, errors), errors
        assert "Exception ignored" not in errors or is_before_us(trial, errors), errors
        with RunStore.open(sqlite_url(self.store)) as store:
            records = {record.run_id: record for record in store.history(stub_worker.NAME, limit=2)}
        new = set(records) - self.known
        self.known |= new
        assert {run_id for run_id, _ in REPORTED.findall(output)} <= new
        if not new:
            assert not self.scratch()
            assert code == 130 or (trial.phase == "cold start" and is_before_us(trial, errors))
            return "nothing begun"
        (run_id,) = new
        status = records[run_id].status
        assert code in EXIT_CODES[status], (status, code, errors)
        if status == "cancelled":
            assert records[run_id].error.startswith("cancelled in ")
        return f"{status}, exit {code}"


def is_before_us(trial: Trial, errors: str) -> bool:
    """Tell whether a signal came before the first line of beambench had run."""
    return trial.phase == "cold start" and "/src/beambench/" not in errors


class Forked:
    def __init__(self, forkery: Forkery, pid: int) -> None:
        self.forkery, self.pid = forkery, pid

    def end(self, seconds: float) -> int:
        killer = threading.Timer(seconds, os.kill, [self.pid, signal.SIGKILL])
        killer.start()
        try:
            return self.forkery.end()
        finally:
            killer.cancel()


class Cold:
    def __init__(
        self, arguments: list[str], output: Path, errors: Path, folder: Path, added: dict[str, str]
    ) -> None:
        with output.open("wb") as out, errors.open("wb") as err:
            self.process = subprocess.Popen(
                ["env", "--default-signal", sys.executable, "-m", "beambench", *arguments],
                cwd=folder,
                env={**os.environ, **added},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.pid = self.process.pid

    def end(self, seconds: float) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def strike(trial: Trial, pid: int) -> None:
    """Send the burst; a run that has ended meanwhile is not hit."""
    send = os.killpg if trial.to_group else os.kill
    for number in trial.burst:
        try:
            send(pid, number)
        except ProcessLookupError:
            return
        if trial.pause:
            time.sleep(trial.pause)


def kill_marked(mark: str) -> list[int]:
    """Kill what does not vanish of a run and return the pids."""
    end = time.monotonic() + SECONDS_TO_VANISH
    while (left := marked(mark)) and time.monotonic() < end:
        time.sleep(0.02)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left


def marked(mark: str) -> list[int]:
    wanted = f"{MARK}={mark}".encode()
    pids = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (place / "environ").read_bytes().split(b"\0"):
                pids.append(int(place.name))
        except OSError:
            continue  # ended, or of another user
    return pids


def test_runs_under_bursts_of_signals(tmp_path):
    definition = stub_worker.lay_out(tmp_path / "definitions")
    began = time.monotonic()

    failures: list[str] = []

    def work(number: int) -> Counter[str]:
        lane = Lane(tmp_path / f"lane{number}", definition)
        summary: Counter[str] = Counter()
        try:
            for trial in map(Trial.draw, range(number, RUNS, LANES)):
                try:
                    summary[f"{trial.phase}: {lane.run(trial)}"] += 1
                except AssertionError as error:
                    failures.append(f"seed {SEED}, {trial}: {error}")
        finally:
            lane.server.shutdown()
            lane.forkery.close()
        return summary

    with ThreadPoolExecutor(LANES) as pool:
        summary = sum(pool.map(work, range(LANES)), Counter())
    say(f"{RUNS} runs in {time.monotonic() - began:.0f} s")
    for line, count in sorted(summary.items()):
        say(f"{count:5} {line}")
    assert not failures, "\n\n".join(failures)
    assert sum(summary.values()) == RUNS
    assert sum(count for line, count in summary.items() if "cancelled" in line) >= RUNS / 4
    for phase in PHASES:
        assert any(line.startswith(phase) for line in summary)


def say(line: str) -> None:
    print(line)  # noqa: T201 - shown by -s, and where the test fails
