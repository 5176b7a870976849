"""Runs published through a proxy at its worst, by a beambench that is killed again and again.

A tenth of it runs by default; BEAMBENCH_TEST_TORTURE=full runs all. BEAMBENCH_TEST_SEED changes the
moments and the faults.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter

import pytest

from beambench.publishers import outbox
from beambench.publishers.bigquery import client_of
from beambench.publishers.influxdb import InfluxServer
from beambench.store import RunStore, sqlite_url
from fast_runs import command_line
from faulty_proxy import faulty_proxy
from published_runs import run_record

FULL = os.environ.get("BEAMBENCH_TEST_TORTURE") == "full"
SEED = int(os.environ.get("BEAMBENCH_TEST_SEED", "20260101"))
RUNS, KILLS = (300, 50) if FULL else (30, 5)
NAME = "outbox_torture"
CONFIG = {
    "definition": {
        "publish": {
            "to": ["influxdb", "bigquery"],
            "bigquery": {"dataset": NAME, "table": NAME},
            "influxdb": {"measurement": NAME},
        }
    }
}

pytestmark = [pytest.mark.real, pytest.mark.torture, pytest.mark.timeout(7200 if FULL else 290)]


def test_every_row_is_there_exactly_once(tmp_path, influx, bigquery, monkeypatch, postgresql):
    chance = random.Random(SEED)
    records = [run_record(number, config=CONFIG) for number in range(RUNS)]
    # The first half of the runs is kept in SQLite, the other in PostgreSQL.
    halves = (
        (sqlite_url(tmp_path / "runs.db"), records[::2]),
        (postgresql, records[1::2]),
    )
    kills, parked = 0, 0
    with (
        faulty_proxy(influx.url, chance=random.Random(SEED + 1)) as to_influx,
        faulty_proxy(bigquery.url, chance=random.Random(SEED + 2), strips_insert_ids=True) as to_bq,
    ):
        environment = {"INFLUXDB_URL": to_influx.url, "BIGQUERY_EMULATOR_HOST": to_bq.url}
        for url, some in halves:
            with RunStore.open(url) as store:
                store.add_missing(some)
            for number in range(0, len(some), max(len(some) // (KILLS // 2 + 1), 1)):
                few = some[number : number + max(len(some) // (KILLS // 2 + 1), 1)]
                ids = [record.run_id for record in few]
                arguments = ["publish", *ids, "--timeout", "120", "--store", url]
                with command_line(tmp_path / "cli", *arguments, **environment) as cli:
                    end = time.monotonic() + chance.uniform(0.4, 6.0)
                    while not cli.has_ended and time.monotonic() < end:
                        time.sleep(0.01)
                    if not cli.has_ended:
                        cli.process.send_signal(signal.SIGKILL)
                        kills += 1
                    cli.end()
            # A kill may have come before the rows were queued; what is queued once stays so.
            finish(tmp_path, url, [record.run_id for record in some], environment)
            with RunStore.open(url) as store:
                parked += len(store.deliveries.rows(states=("parked",)))
        # The proxy's own refusals are no servers': what it parked is accepted in the end.
        to_influx.share = to_bq.share = 0.0
        for url, some in halves:
            finish(tmp_path, url, [record.run_id for record in some], environment)
    faults = {name: dict(one.done) for name, one in (("influxdb", to_influx), ("bigquery", to_bq))}
    sys.stderr.write(f"{RUNS} runs, {kills} kills, {parked} rows parked on the way, {faults}\n")
    check(records, halves)


def finish(tmp_path, url, ids, environment):
    """Publish until nothing is queued any more."""
    queue = ["publish", *ids, "--timeout", "120", "--store", url]
    pending = ["publish", "--pending", "--json", "--timeout", "120", "--store", url]
    for arguments in (queue, *[pending] * 40):
        with command_line(tmp_path / "cli", *arguments, **environment) as cli:
            code = cli.end(200)
            assert code in (0, 5), cli.errors
            if arguments is pending and code == 0:
                assert all(one["queued"] == 0 for one in json.loads(cli.output))
                return
    raise AssertionError("rows are still queued after 40 tries")


def check(records, halves):
    """Compare what the servers have, row by row, with what was sent."""
    states: Counter[str] = Counter()
    for url, _ in halves:
        with RunStore.open(url) as store:
            for of_publisher in store.deliveries.counts().values():
                states.update(of_publisher)
    expected = [row for record in records for row in outbox.rows_of(record, "bigquery")]
    assert states == Counter(delivered=2 * len(expected), queued=0, parked=0)
    client = client_of({})
    for table in (NAME, "beambench_runs", "beambench_metrics"):
        wanted = Counter(
            (row.run_id, row.content.get("metric"), row.content.get("value"))
            for row in expected
            if row.target["table"] == table
        )
        column = "test_id" if table == NAME else "run_id"
        rows = client.query(f"SELECT * FROM `{client.project}.{NAME}.{table}`").result()
        found = Counter((row[column], row.get("metric"), row.get("value")) for row in rows)
        assert found == wanted
    server = InfluxServer.of({})
    for measurement in (NAME, "beambench_runs", "beambench_metrics"):
        wanted = Counter(
            (row.run_id, row.content.get("metric"), row.content.get("value"))
            for row in expected
            if row.target["table"] == measurement
        )
        column = "test_id" if measurement == NAME else "run_id"
        ids = {record.run_id for record in records}
        query = f'SELECT * FROM "{measurement}"'
        found = Counter(
            (point[column], point.get("metric"), point.get("value"))
            for point in server.query(query, time.monotonic() + 60)
            if point[column] in ids
        )
        assert found == wanted
