"""Rows in a real InfluxDB 1.6, in a server with the API of 2.x, and in the BigQuery emulator."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request

import pytest

from beambench.cli.main import execute
from beambench.publishers import beam_format, beambench_format, outbox
from beambench.publishers.bigquery.client import BigQuery, client_of
from beambench.publishers.influxdb.server import InfluxServer
from beambench.store import RunStore, sqlite_url
from fake_server import fake_server
from fast_runs import NAME, command_line, lay_out, python_path, wait_until
from faulty_proxy import faulty_proxy
from published_runs import LABEL, PUBLISH, repeat, run_record
from servers import free_port

pytestmark = pytest.mark.real
ROWS = 11 + 2 + 1


@pytest.fixture
def named(request):
    """Tables and measurements of this test alone."""
    name = request.node.name.partition("[")[0]
    publish = {
        "to": [],
        "bigquery": {"dataset": name[:60], "table": "beam_rows"},
        "influxdb": {"measurement": name},
    }
    return {"definition": {"publish": publish}}


@pytest.fixture
def store(tmp_path):
    with RunStore.open(sqlite_url(tmp_path / "runs.db")) as opened:
        yield opened


def publish(store, record, name, seconds=60.0):
    store.deliveries.add(outbox.rows_of(record, name))
    (report,) = outbox.deliver(store.deliveries, [name], seconds=seconds)
    return report


def influx_points(measurement):
    query = f'SELECT * FROM "{measurement}"'
    return InfluxServer.of({}).query(query, time.monotonic() + 10)


def bigquery_rows(dataset, table):
    client = client_of({})
    rows = client.query(f"SELECT * FROM `{client.project}.{dataset}.{table}`").result()
    return [dict(row.items()) for row in rows]


def test_influxdb_has_every_row_with_its_value(store, influx, named):
    record = run_record(11, config=named)
    report = publish(store, record, "influxdb")
    assert (report.delivered, report.queued, report.parked) == (ROWS, 0, {})
    measurement = named["definition"]["publish"]["influxdb"]["measurement"]
    points = {point["metric"]: point for point in influx_points(measurement)}
    expected = {row["metric"]: row["value"] for row in beam_format.rows(record)}
    assert {label: point["value"] for label, point in points.items()} == expected
    assert {point["test_id"] for point in points.values()} == {record.run_id}
    assert {point["time"] for point in points.values()} == {1769853601 * 10**9}
    verified = outbox.verify(record, "influxdb", seconds=30)
    assert [
        (verification.equal, verification.rows, verification.differences)
        for verification in verified
    ] == [
        (11, 11, []),
        (2, 2, []),
        (1, 1, []),
    ]
    assert all(verification.age > 0 for verification in verified)


def test_bigquery_has_every_row_with_its_value(store, bigquery, named):
    record = run_record(12, config=named)
    report = publish(store, record, "bigquery")
    assert (report.delivered, report.queued, report.parked) == (ROWS, 0, {})
    dataset = named["definition"]["publish"]["bigquery"]["dataset"]
    rows_by_metric = {row["metric"]: row for row in bigquery_rows(dataset, "beam_rows")}
    assert {label: row["value"] for label, row in rows_by_metric.items()} == {
        row["metric"]: row["value"] for row in beam_format.rows(record)
    }
    verified = outbox.verify(record, "bigquery", seconds=30)
    assert [
        (verification.equal, verification.rows, verification.differences)
        for verification in verified
    ] == [
        (11, 11, []),
        (2, 2, []),
        (1, 1, []),
    ]
    (run,) = bigquery_rows(dataset, beambench_format.RUNS)
    assert json.loads(run["record"]) == record.model_dump(mode="json")
    table = client_of({}).get_table(f"{dataset}.{beambench_format.RUNS}")
    assert table.time_partitioning.field == "started_at"
    assert table.clustering_fields == ["benchmark", "variant", "profile"]
    beam = client_of({}).get_table(f"{dataset}.beam_rows")
    assert [(column.name, column.field_type, column.mode) for column in beam.schema] == [
        ("test_id", "STRING", "REQUIRED"),
        ("timestamp", "TIMESTAMP", "REQUIRED"),
        ("metric", "STRING", "REQUIRED"),
        ("value", "FLOAT", "REQUIRED"),
        ("job_id", "STRING", "NULLABLE"),
    ]


@pytest.mark.parametrize("name", ["influxdb", "bigquery"])
def test_what_was_changed_on_the_server_is_seen(store, influx, bigquery, named, name):
    record = run_record(13, config=named)
    publish(store, record, name)
    changed = repeat()
    changed["beam_metrics"]["num_inferences"]["value"] += 1
    other = record.model_copy(
        update={"repeats": run_record(repeats=[changed]).repeats, "metrics": {}}
    )
    first = outbox.verify(other, name, seconds=30)[0]
    assert (first.rows, first.found, first.equal) == (11, 11, 10)
    (difference,) = first.differences
    assert difference.replace("50.0", "50") == f"{LABEL}_num_inferences: value: 50 instead of 51"


def test_a_row_that_is_there_twice_is_seen(store, bigquery, named):
    record = run_record(16, config=named)
    publish(store, record, "bigquery")
    dataset = named["definition"]["publish"]["bigquery"]["dataset"]
    client, twice = client_of({}), f"{LABEL}_num_inferences"
    for table, column in (("beam_rows", twice), (beambench_format.METRICS, "peak_rss")):
        place = f"`{client.project}.{dataset}.{table}`"
        client.query(
            f"INSERT INTO {place} SELECT * FROM {place} WHERE metric = '{column}'"
        ).result()
    verified = outbox.verify(record, "bigquery", seconds=30)
    assert [
        (
            verification.rows,
            verification.found,
            verification.equal,
            verification.doubled,
            verification.differences,
        )
        for verification in verified
    ] == [
        (11, 11, 10, 1, [f"{twice}: there 2 times"]),
        (2, 2, 1, 1, ["peak_rss: there 2 times"]),
        (1, 1, 1, 0, []),
    ]


def test_what_is_missing_on_the_server_is_seen(influx, named):
    verified = outbox.verify(run_record(914, config=named), "influxdb", seconds=30)
    assert [
        (verification.found, verification.equal, verification.age) for verification in verified
    ] == [(0, 0, None)] * 3


def test_a_wrong_password_leaves_rows_queued(store, influx, monkeypatch, named):
    monkeypatch.setenv("INFLUXDB_USER_PASSWORD", "planted-wrong")
    report = publish(store, run_record(15, config=named), "influxdb")
    assert (report.delivered, report.queued) == (0, ROWS)
    assert "HTTP 401: authorization failed" in report.problem
    assert "planted-wrong" not in report.problem


def test_a_missing_database_leaves_rows_queued(store, influx, monkeypatch, named):
    monkeypatch.setenv("INFLUXDB_DATABASE", "nowhere")
    report = publish(store, run_record(16, config=named), "influxdb")
    assert report.queued == ROWS
    assert 'HTTP 404: database not found: "nowhere"' in report.problem


def test_a_row_of_another_type_is_parked_by_influxdb(store, influx, named):
    """A field that the server knows as text takes no number."""
    measurement = named["definition"]["publish"]["influxdb"]["measurement"]
    server = InfluxServer.of({})
    when = 1769853600 // (7 * 86400) * 7 * 86400 + 86400  # in the same shard, so the types clash
    written = server.post([f'{measurement} value="text" {when}'], "s", time.monotonic() + 10)
    assert written.status_code == 204
    report = publish(store, run_record(17, config=named), "influxdb")
    assert (report.delivered, report.queued, len(report.parked)) == (ROWS - 11, 0, 11)
    assert all("field type conflict" in words for words in report.parked.values())


def test_rows_that_bigquery_refuses_are_parked_and_stop_no_others(store, bigquery, named):
    """A table of somebody else's that wants a job of every row."""
    from google.cloud import bigquery as library

    client, dataset = client_of({}), named["definition"]["publish"]["bigquery"]["dataset"][:60]
    client.create_dataset(dataset, exists_ok=True)
    columns = [library.SchemaField(*column) for column in beam_format.SCHEMA]
    columns[4] = library.SchemaField("job_id", "STRING", "REQUIRED")
    client.create_table(library.Table(f"{client.project}.{dataset}.beam_rows", schema=columns))
    without = run_record(18, config=named)
    having = run_record(28, config=named, repeats=[repeat(runner={"job_id": "some-job"})])
    store.deliveries.add(outbox.rows_of(without, "bigquery"))
    report = publish(store, having, "bigquery")
    assert (report.delivered, report.queued, len(report.parked)) == (2 * ROWS - 11, 0, 11)
    assert all(words.startswith("invalid: ") for words in report.parked.values())
    assert {row.run_id for row in store.deliveries.rows(states=("parked",))} == {without.run_id}
    assert {row["test_id"] for row in bigquery_rows(dataset, "beam_rows")} == {having.run_id}


def test_tables_of_an_older_version_get_the_columns_that_they_lack(store, bigquery, named):
    from google.cloud import bigquery as library

    client, dataset = client_of({}), named["definition"]["publish"]["bigquery"]["dataset"]
    client.create_dataset(dataset, exists_ok=True)
    older = [
        library.SchemaField(column.name, column.kind, column.mode)
        for column in beambench_format.RUN_COLUMNS
        if column.name not in ("imported", "record")
    ]
    table = library.Table(f"{client.project}.{dataset}.{beambench_format.RUNS}", schema=older)
    client.create_table(table)
    report = publish(store, run_record(19, config=named), "bigquery")
    assert (report.delivered, report.queued, report.parked) == (ROWS, 0, {})
    names = {column.name for column in client.get_table(table).schema}
    assert names == {column.name for column in beambench_format.RUN_COLUMNS}


def test_rows_that_arrived_without_an_answer_are_not_doubled(store, bigquery, named, monkeypatch):
    """Also where the server no longer knows the insert ids: the proxy takes them away."""
    record = run_record(20, config=named)
    store.deliveries.add(outbox.rows_of(record, "bigquery"))
    with faulty_proxy(bigquery.url, share=0.0, strips_insert_ids=True) as proxy:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", proxy.url)
        publisher = BigQuery()
        for kind in ("beam", "beambench"):  # tables first, so that only the rows get lost
            for row in store.deliveries.rows():
                if row.target["format"] == kind:
                    publisher._make_ready(client_of(row.target), row.target, time.monotonic() + 30)
        proxy.share, proxy.faults = 1.0, ("cut after",)
        (report,) = outbox.deliver(store.deliveries, ["bigquery"], seconds=60)
        assert report.delivered == 0
        proxy.share = 0.0
        (report,) = outbox.deliver(store.deliveries, ["bigquery"], seconds=60)
        assert (report.delivered, report.queued) == (ROWS, 0)
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.url)
    dataset = named["definition"]["publish"]["bigquery"]["dataset"]
    counts = [
        len(bigquery_rows(dataset, table))
        for table in ("beam_rows", beambench_format.METRICS, beambench_format.RUNS)
    ]
    assert counts == [11, 2, 1]


def test_the_api_of_version_2(store, influx_2_server, monkeypatch):
    """VictoriaMetrics stands in: it takes what 2.x takes, and shows numbers only."""
    for name in ("INFLUXDB_USER", "INFLUXDB_USER_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INFLUXDB_URL", influx_2_server)
    monkeypatch.setenv("INFLUXDB_TOKEN", "some-token")
    monkeypatch.setenv("INFLUXDB_ORG", "us")
    monkeypatch.setenv("INFLUXDB_BUCKET", "benchmarks")
    now = time.strftime("%Y-%m-%dT%H:%M:%S.250Z", time.gmtime())
    record = run_record(21, repeats=[repeat(finished_at=now)], started_at=now, finished_at=now)
    report = publish(store, record, "influxdb")
    assert (report.delivered, report.queued) == (ROWS, 0)
    expected = {row["metric"]: row["value"] for row in beam_format.rows(record)}
    wanted = urllib.parse.quote('{__name__="published_tests_value"}')
    end = time.monotonic() + 30
    latest: dict[str, float] = {}
    while latest != expected and time.monotonic() < end:
        export = f"{influx_2_server}/api/v1/export?match[]={wanted}"
        with urllib.request.urlopen(export, timeout=10) as answer:
            series = [json.loads(line) for line in answer.read().splitlines()]
        latest = {sample["metric"]["metric"]: sample["values"][-1] for sample in series}
    assert latest == expected


def test_from_the_command_line(folder_with_run, influx, bigquery, capsys):
    run_id = folder_with_run
    both = ("--publish", "influxdb", "--publish", "bigquery")
    assert execute(["publish", run_id, *both]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"bigquery: {ROWS} rows delivered",
        f"influxdb: {ROWS} rows delivered",
    ]
    assert execute(["publish", "--status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "bigquery": {"delivered": ROWS, "queued": 0, "parked": 0},
        "influxdb": {"delivered": ROWS, "queued": 0, "parked": 0},
    }
    assert execute(["publish", run_id, "--verify", *both]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert all("rows there and equal" in line for line in lines)
    assert execute(["publish", "--pending"]) == 0
    assert capsys.readouterr().out == "nothing is queued\n"


@pytest.fixture
def folder_with_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BEAMBENCH_STORE", sqlite_url(tmp_path / "runs.db"))
    record = run_record(22, config={"definition": {"publish": PUBLISH}})
    with RunStore.open(sqlite_url(tmp_path / "runs.db")) as store:
        store.add(record)
    return record.run_id


@pytest.mark.timeout(240)
def test_a_run_whose_server_is_down_is_delivered_when_it_is_up_again(tmp_path, influx):
    definition = lay_out(tmp_path / "mine")
    environment = {
        **influx.environment,
        "BEAMBENCH_STORE": sqlite_url(tmp_path / "runs.db"),
        "PYTHONPATH": python_path(tmp_path / "mine" / "hidden"),
    }
    away = {**environment, "INFLUXDB_URL": f"http://127.0.0.1:{free_port()}"}
    run = ["run", NAME, "--definitions", str(definition), "--profile", "smoke", "--json"]
    with command_line(tmp_path / "mine", *run, "--publish", "influxdb", **away) as cli:
        assert cli.end() == 5
    record = json.loads(cli.output)
    assert record["status"] == "succeeded"
    last = cli.errors.splitlines()[-1]
    assert "rows not delivered, kept in the queue: http://127.0.0.1:" in last
    assert last.endswith("send them later with `beambench publish --pending`")
    with command_line(tmp_path / "mine", "publish", "--status", "--json", **environment) as cli:
        assert cli.end() == 0
    counts = json.loads(cli.output)["influxdb"]
    assert (counts["delivered"], counts["parked"]) == (0, 0)
    assert counts["queued"] > len(record["metrics"])
    with command_line(tmp_path / "mine", "publish", "--pending", **environment) as cli:
        assert cli.end() == 0, cli.errors
    assert cli.output == f"influxdb: {counts['queued']} rows delivered\n"
    verify = ["publish", record["run_id"], "--verify", "--publish", "influxdb", "--json"]
    with command_line(tmp_path / "mine", *verify, **environment) as cli:
        assert cli.end() == 0, cli.output
    verified = json.loads(cli.output)
    assert sum(verification["equal"] for verification in verified) == counts["queued"]


@pytest.mark.timeout(240)
def test_a_run_waits_ten_seconds_for_a_server_that_does_not_answer(tmp_path):
    definition = lay_out(tmp_path / "mine")
    with fake_server() as server:
        server.answer = lambda path, body: time.sleep(30) or (204, "")
        environment = {
            "INFLUXDB_URL": server.url,
            "INFLUXDB_DATABASE": "tests",
            "BEAMBENCH_STORE": sqlite_url(tmp_path / "runs.db"),
            "PYTHONPATH": python_path(tmp_path / "mine" / "hidden"),
        }
        run = ["run", NAME, "--definitions", str(definition), "--profile", "smoke", "--json"]
        with command_line(tmp_path / "mine", *run, "--publish", "influxdb", **environment) as cli:
            wait_until(lambda: server.requests, 120.0)
            assert json.loads(cli.output)["status"] == "succeeded"  # printed before the attempt
            begin = time.monotonic()
            assert cli.end() == 5
            assert time.monotonic() - begin < 15  # 10 s, and what it takes to end
        assert "kept in the queue" in cli.errors
