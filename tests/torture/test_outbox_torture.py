"""Runs published through a proxy at its worst, by a beambench that is killed again and again.

A kill comes after a random number of requests of that publish, which the proxies count, so that it
hits the sending and not the start of Python; some come at a random moment of the start.

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

from beambench.cli.main import execute
from beambench.publishers import outbox
from beambench.publishers.bigquery.client import client_of
from beambench.publishers.influxdb.server import InfluxServer
from beambench.store import RunStore, sqlite_url
from fast_runs import command_line, wait_until
from faulty_proxy import FAULTS, faulty_proxy
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

# What a server refuses for good: a tag of more than 65,535 bytes, and no integer of 64 bits.
REFUSED_BY = {"influxdb": "long" * 20_000, "bigquery": "too_many"}
LATEST_REQUEST = 12
"""After so many requests of a publish at most it is killed."""

pytestmark = [pytest.mark.real, pytest.mark.torture, pytest.mark.timeout(7200 if FULL else 290)]


def planted_run():
    metric = {"value": 1.0, "unit": "1", "direction": "neither", "n": 3}
    metrics = {REFUSED_BY["influxdb"]: metric, REFUSED_BY["bigquery"]: {**metric, "n": 2**70}}
    return run_record(RUNS - 1, config=CONFIG, metrics=metrics)


def test_every_row_is_there_exactly_once(
    tmp_path, influx, bigquery, monkeypatch, postgresql, capsys
):
    begin = time.monotonic()
    chance = random.Random(SEED)
    records = [*(run_record(number, config=CONFIG) for number in range(RUNS - 1)), planted_run()]
    # Half of the runs is kept in SQLite, the other in PostgreSQL.
    halves = ((sqlite_url(tmp_path / "runs.db"), records[::2]), (postgresql, records[1::2]))
    for url, some in halves:
        with RunStore.open(url) as store:
            assert store.add_missing(some) == len(some)
    kills, survived, in_doubt, parked = Counter(), 0, 0, 0
    with (
        faulty_proxy(influx.url, chance=random.Random(SEED + 1)) as to_influx,
        # It takes several requests to send a row to BigQuery, and each of them can fail.
        faulty_proxy(bigquery.url, share=0.33, chance=random.Random(SEED + 2)) as to_bigquery,
    ):
        proxies = (to_influx, to_bigquery)
        with monkeypatch.context() as patch:
            patch.setenv("INFLUXDB_URL", to_influx.url)
            patch.setenv("BIGQUERY_EMULATOR_HOST", to_bigquery.url)
            while kills.total() < KILLS:
                number = kills.total()
                url, some = halves[number % 2]
                few = some[number // 2 :: (KILLS + 1) // 2]
                # With insert ids, and without: the server forgets them after some time.
                to_bigquery.strips_insert_ids = number % 4 >= 2
                # Every fifth comes before anything was sent, perhaps before it was queued.
                requests = 0 if number % 5 == 4 else chance.randint(1, LATEST_REQUEST)
                arguments = ["--store", url, *(record.run_id for record in few)]
                while (when := killed(tmp_path, arguments, proxies, requests, chance)) is None:
                    survived += 1
                    # All may have arrived: ask for it once more, so that there is what to kill.
                    if "--again" not in arguments:
                        arguments.append("--again")
                kills[when] += 1
                with RunStore.open(url) as store:
                    queued = store.deliveries.rows(states=("queued",))
                in_doubt += sum(row.attempts > 0 and not row.problem for row in queued)
                # A request that outlives its sender is told from a second one by insert ids alone.
                wait_until(lambda: not any(proxy.under_way for proxy in proxies))
            to_bigquery.strips_insert_ids = True
            for url, some in halves:
                finish(url, some, capsys)
                with RunStore.open(url) as store:
                    parked += len(store.deliveries.rows(states=("parked",)))
            # The proxy's own refusals are no servers': what it parked is accepted in the end.
            for server in proxies:
                server.share = 0.0
            for url, some in halves:
                code = execute(["publish", *(record.run_id for record in some), "--store", url])
                assert code == (5 if records[-1] in some else 0)  # for the planted row
    faults = {
        publisher: dict(proxy.done) for publisher, proxy in zip(REFUSED_BY, proxies, strict=True)
    }
    capsys.readouterr()
    with capsys.disabled():
        sys.stderr.write(
            f"\n{RUNS} runs, killed {dict(kills)}, not killed {survived}, {in_doubt} rows in doubt "
            f"after a kill, {parked} rows parked on the way, {faults}, "
            f"{time.monotonic() - begin:.0f} s\n"
        )
    assert all(proxy.done[fault] for proxy in proxies for fault in FAULTS)
    assert kills.total() >= KILLS
    assert kills["while sending"] > KILLS / 2
    assert in_doubt
    check_parked(records[-1], halves, capsys)
    check(records, halves)


def killed(tmp_path, arguments, proxies, requests, chance):
    """Kill a `beambench publish` after some requests; return when, or None if it ended before."""
    before = sum(proxy.requests for proxy in proxies)
    moment = chance.uniform(0.1, 2.0) if requests == 0 else chance.uniform(0.0, 0.1)
    with command_line(tmp_path / "cli", "publish", *arguments, "--timeout", "60") as cli:
        wait_until(
            lambda: cli.has_ended or sum(proxy.requests for proxy in proxies) - before >= requests,
            120,
        )
        time.sleep(moment)  # waits for nothing: it says where the kill hits
        cli.process.send_signal(signal.SIGKILL)
        if cli.end() != -signal.SIGKILL:
            assert cli.end() in (0, 5), cli.errors
            return None
    sent = sum(proxy.requests for proxy in proxies) > before
    return "while sending" if sent else "before sending"


def finish(url, some, capsys):
    """Publish until nothing is queued any more."""
    # A kill may have come before the rows were queued; what is queued once stays so.
    assert execute(["publish", *(record.run_id for record in some), "--store", url]) in (0, 5)
    for _ in range(100):
        capsys.readouterr()
        code = execute(["publish", "--pending", "--json", "--store", url])
        reports = json.loads(capsys.readouterr().out)
        assert code == (5 if any(report["queued"] for report in reports) else 0)
        if code == 0:
            return
    raise AssertionError("rows are still queued after 100 tries")


def check_parked(run, halves, capsys):
    """Only what the servers themselves refuse is parked, and named with their words."""
    problems = {}
    for url, some in halves:
        with RunStore.open(url) as store:
            for row in store.deliveries.rows(states=("parked",)):
                problems[row.publisher, row.run_id, row.content.get("metric")] = row.problem
        for command in ("--status", "--pending"):
            capsys.readouterr()
            assert execute(["publish", command, "--store", url]) == 0
            named = [
                printed for printed in capsys.readouterr().out.splitlines() if "parked: " in printed
            ]
            assert len(named) == (2 if run in some else 0)
            for line in named:
                name = line.split()[1]
                assert f"run {run.run_id}, {REFUSED_BY[name]}: " in line
    assert set(problems) == {(name, run.run_id, metric) for name, metric in REFUSED_BY.items()}
    assert "HTTP 400: unable to parse" in problems["influxdb", run.run_id, REFUSED_BY["influxdb"]]
    assert problems["bigquery", run.run_id, REFUSED_BY["bigquery"]].startswith("invalid: ")


def rows_to_find(records, publisher):
    """Yield table, and what is compared, of every row that the server takes."""
    for record in records:
        for row in outbox.rows_of(record, publisher):
            if row.content.get("metric") != REFUSED_BY[publisher]:
                table = row.target.get("measurement") or row.target["table"]
                yield table, (row.run_id, *compared(row.content))


def compared(row):
    record = row.get("record") or ""
    # InfluxDB has a long record in parts, which its own tests put together.
    return row.get("metric"), row.get("value"), record if len(record) < 50_000 else ""


def check(records, halves):
    """Compare what the servers have, row by row, with what was sent."""
    states = {name: Counter() for name in REFUSED_BY}
    for url, _ in halves:
        with RunStore.open(url) as store:
            for publisher, counts in store.deliveries.counts().items():
                states[publisher].update(counts)
    client, server = client_of({}), InfluxServer.of({})
    ids = {record.run_id for record in records}
    for name in REFUSED_BY:
        wanted = Counter(rows_to_find(records, name))
        assert states[name] == Counter(delivered=wanted.total(), queued=0, parked=1)
        counter = Counter()
        for table in (NAME, "beambench_runs", "beambench_metrics"):
            column = "test_id" if table == NAME else "run_id"
            if name == "bigquery":
                rows = client.query(f"SELECT * FROM `{client.project}.{NAME}.{table}`").result()
            else:
                rows = server.query(f'SELECT * FROM "{table}"', time.monotonic() + 60)
            ids = {record.run_id for record in records}
            counter.update(
                (table, (row[column], *compared(row))) for row in rows if row[column] in ids
            )
        assert (counter - wanted, wanted - counter) == (Counter(), Counter())
