"""The way of a run with one clock and no worker: command line, record, store, publisher, stdout."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest

from beambench.cli.main import execute
from beambench.controller.results import TaskResult
from beambench.store import RunStore
from fake_clock import FakeClock
from fake_workers import measured

STORE = "sqlite:///runs.db"
SECONDS = 12.5
"""How long each repeat takes by the clock."""

START_US = 1_767_225_600_000_000
"""When the clock starts, in µs since 1970."""


@pytest.fixture
def clock(workers, scratch, folder) -> FakeClock:
    """The clock of the runs; each repeat moves it."""
    clock = FakeClock()

    def repeat(plan: Any) -> TaskResult:
        started_at = clock.utc_now()
        clock.time += SECONDS
        dates = {"started_at": started_at, "finished_at": clock.utc_now()}
        return dataclasses.replace(measured(), duration=SECONDS, **dates)

    workers.script("pipeline", repeat, repeat)
    return clock


def test_a_run_is_dated_by_one_clock_from_the_command_line_to_the_row(clock, server, capsys):
    words = ["run", "overhead-noop", "--profile", "smoke", "--repeats", "2"]
    assert execute([*words, "--publish", "influxdb", "--store", STORE], clock) == 0
    with RunStore.open(STORE) as store:
        [record] = store.history("overhead-noop")
    times = ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:12.500Z", "2026-01-01T00:00:25.000Z")
    assert (record.started_at, record.finished_at) == (times[0], times[2])
    dates = [(repeat.started_at, repeat.finished_at) for repeat in record.repeats]
    assert dates == [times[:2], times[1:]]
    assert record.run_id.startswith("20260101T000025Z-")

    # A point of beambench's own format is at the start of its run, plus less than 1 µs of the run.
    [metrics, run] = server.bodies
    stamps = {int(point.rpartition(" ")[2]) // 1000 for point in [*metrics.splitlines(), run]}
    assert stamps == {START_US}
    assert f'run_id="{record.run_id}",finished_at="{times[2]}"' in run

    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == f"run {record.run_id}: succeeded"
    assert re.search(r"^run_time +12\.5 s +indicative +2$", printed, re.MULTILINE)
    assert execute(["history", "overhead-noop", "--store", STORE]) == 0
    columns = capsys.readouterr().out.splitlines()[-1].split()
    assert columns[:2] == [record.run_id, "2026-01-01T00:00:00"]


def test_the_time_limit_of_a_run_is_by_the_same_clock(clock, workers, capsys):
    words = ["run", "overhead-noop", "--profile", "smoke", "--repeats", "2", "--timeout", "40"]
    assert execute([*words, "--store", STORE, "--json"], clock) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["started_at"], document["finished_at"]) == (
        "2026-01-01T00:00:00.000Z",
        "2026-01-01T00:00:25.000Z",
    )
    assert {options["deadline"] for options in workers.options} == {1040.0}
