"""The history of Beam's own suite, read from real servers."""

from __future__ import annotations

import json
import time

import pytest

from beambench.cli.main import execute
from beambench.publishers import beam_format
from beambench.publishers.bigquery.client import client_of
from beambench.publishers.influxdb.server import InfluxServer
from beambench.store import RunStore, sqlite_url
from old_suite import LABEL, days

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

RUNS = 40
NAME = "pytorch-image-classification-resnet101"


@pytest.fixture
def url(tmp_path, monkeypatch):
    address = sqlite_url(tmp_path / "runs.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BEAMBENCH_STORE", address)
    return address


@pytest.mark.parametrize("source", ["influxdb", "bigquery"])
def test_every_run_with_its_values(request, source, url, capsys):
    table = "old_history.resnet101" if source == "bigquery" else "old_history_resnet101"
    history = list(days(RUNS))
    fill = fill_bigquery if source == "bigquery" else fill_influxdb
    fill(request, table, history)
    arguments = ["import", "--from", source, "--benchmark", NAME, "--table", table]
    assert execute(arguments) == 0
    assert capsys.readouterr().out == f"{RUNS} runs imported\n"
    assert execute([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"found": RUNS, "added": 0, "left_out": []}
    with RunStore.open(url) as store:
        records = store.history(NAME)
    assert [record.run_id for record in records] == [
        f"beam-{rows[0]['test_id']}" for rows in reversed(history)
    ]
    for record, rows in zip(reversed(records), history, strict=True):
        assert record.config["beam_rows"] == values_of(rows)
        latency = f"{LABEL}_mean_inference_batch_latency_micro_secs"
        expected = record.config["beam_rows"][latency] * 1e-6
        assert record.metrics["inference_batch_latency_mean"].value == expected
        assert record.started_at[:19] == f"{rows[0]['timestamp']:%Y-%m-%dT%H:%M:%S}"
        assert record.imported is not None
        assert record.imported.source.endswith(table)
    assert execute(["history", NAME, "--limit", str(RUNS)]) == 0
    shown = capsys.readouterr().out
    assert all(shown.count(record.run_id) == 1 for record in records)
    assert shown.count("(Beam's") == shown.count("imported") == RUNS
    assert execute(["history", NAME, "--limit", str(RUNS), "--json"]) == 0
    rates = [run["metrics"]["beam_average_elements"] for run in json.loads(capsys.readouterr().out)]
    expected_rates = [values_of(rows)["AvgThroughputElements"] for rows in reversed(history)]
    assert [rate["value"] for rate in rates] == expected_rates


def values_of(rows):
    return {row["metric"]: row["value"] for row in rows}


def fill_influxdb(request, table, history):
    request.getfixturevalue("influx")
    lines = [
        f"{table},metric={row['metric']},test_id={row['test_id']} value={row['value']} "
        f"{int(row['timestamp'].timestamp())}"
        for rows in history
        for row in rows
    ]
    answer = InfluxServer.of({}).post(lines, "s", time.monotonic() + 30)
    assert answer.status_code == 204, answer.text


def fill_bigquery(request, table, history):
    from google.cloud import bigquery

    request.getfixturevalue("bigquery")
    client = client_of({})
    client.create_dataset(table.partition(".")[0], exists_ok=True)
    schema = [bigquery.SchemaField(*column) for column in beam_format.SCHEMA]
    made = client.create_table(bigquery.Table(f"{client.project}.{table}", schema=schema))
    rows = [
        {**row, "timestamp": row["timestamp"].isoformat()} for record in history for row in record
    ]
    for start in range(0, len(rows), 500):
        assert client.insert_rows_json(made, rows[start : start + 500]) == []


def test_a_table_that_is_not_there_is_said_in_one_line(bigquery, influx, url, capsys):
    arguments = ["import", "--benchmark", NAME]
    assert execute([*arguments, "--from", "bigquery", "--table", "no.where"]) == 3
    words = capsys.readouterr().err
    assert words.startswith("beambench: bigquery: cannot be read: HTTP 404: ")
    assert words.count("\n") == 1
    assert execute([*arguments, "--from", "influxdb", "--table", "nowhere"]) == 0
    assert capsys.readouterr().out == "0 runs imported\n"
