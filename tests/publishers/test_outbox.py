"""The outbox against a server that does as it is told; see test_publish_real for real ones."""

from __future__ import annotations

import base64
import itertools
import time

import pytest

from beambench.definition.publish import Publish
from beambench.errors import UsageError
from beambench.publishers import outbox
from beambench.publishers.influxdb.client import InfluxDB
from beambench.publishers.influxdb.points import line
from beambench.store import RunStore, sqlite_url
from published_runs import LABEL, repeat, run_record

ROWS = 11 + 2 + 1  # of Beam's format, of two metrics, of the run


@pytest.fixture
def store(tmp_path):
    with RunStore.open(sqlite_url(tmp_path / "runs.db")) as opened:
        yield opened


def queue_of(store, *records):
    for record in records:
        store.deliveries.add(outbox.rows_of(record, "influxdb"))
    return store.deliveries


def pass_over(queue, seconds=5.0, **options):
    (report,) = outbox.deliver(queue, ["influxdb"], seconds=seconds, **options)
    return report


def states(queue):
    return queue.counts()["influxdb"]


def test_all_rows_arrive_in_one_request_a_target(store, server):
    queue = queue_of(store, run_record())
    report = pass_over(queue)
    assert (report.delivered, report.queued, report.problem) == (ROWS, 0, None)
    assert len(server.requests) == 3
    assert sum(body.count("\n") + 1 for body in server.bodies) == ROWS
    assert states(queue) == {"delivered": ROWS, "queued": 0, "parked": 0}
    assert pass_over(queue).delivered == 0
    assert len(server.requests) == 3


def test_queueing_twice_queues_once(store, server):
    queue = queue_of(store, run_record(), run_record())
    assert states(queue)["queued"] == ROWS
    pass_over(queue)
    queue_of(store, run_record())
    assert states(queue) == {"delivered": ROWS, "queued": 0, "parked": 0}


def test_again_sends_what_was_delivered(store, server):
    queue = queue_of(store, run_record())
    pass_over(queue)
    queue.add(outbox.rows_of(run_record(), "influxdb"), again=True)
    assert pass_over(queue).delivered == ROWS


@pytest.mark.parametrize("code", [401, 403, 404, 408, 429, 500, 502, 503, 302, 200])
def test_what_does_not_blame_the_rows_leaves_them_queued(store, server, code):
    server.answer = lambda path, body: (code, '{"error": "not today"}')
    queue = queue_of(store, run_record())
    report = pass_over(queue)
    assert (report.delivered, report.queued, report.parked) == (0, ROWS, {})
    assert f"HTTP {code}: not today" in report.problem
    server.answer = lambda path, body: (204, "")
    assert pass_over(queue, due=True).delivered == 0  # the back-off is not over
    assert pass_over(queue).delivered == ROWS


def test_a_cut_connection_leaves_rows_queued(store, server):
    server.answer = lambda path, body: None
    queue = queue_of(store, run_record())
    report = pass_over(queue)
    assert report.queued == ROWS
    assert "refused or cut the connection" in report.problem


def test_a_server_that_is_down_is_left_alone(store, monkeypatch):
    monkeypatch.setenv("INFLUXDB_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("INFLUXDB_DATABASE", "tests")
    queue = queue_of(store, *(run_record(number) for number in range(5)))
    report = pass_over(queue)
    assert report.queued == 5 * ROWS
    assert "http://127.0.0.1:9: refused or cut the connection" in report.problem


def test_a_server_that_never_answers_is_not_waited_for(store, server):
    server.answer = lambda path, body: time.sleep(3) or (204, "")
    queue = queue_of(store, run_record())
    before = time.monotonic()
    report = pass_over(queue, seconds=0.3)
    assert time.monotonic() - before < 2.5
    assert report.queued == ROWS
    assert report.problem is not None


def test_one_bad_row_is_parked_and_blocks_no_other(store, server):
    bad = f"{LABEL}_max_inference_request_batch_size"

    def answer(path, body):
        return (400, '{"error": "unable to parse"}') if bad in body else (204, "")

    server.answer = answer
    queue = queue_of(store, run_record())
    report = pass_over(queue)
    assert (report.delivered, report.queued) == (ROWS - 1, 0)
    (words,) = report.parked.values()
    assert words.endswith("HTTP 400: unable to parse")
    (row,) = queue.rows(states=("parked",))
    assert row.content["metric"] == bad
    assert row.problem == words
    assert pass_over(queue).delivered == 0
    server.answer = lambda path, body: (204, "")
    queue_of(store, run_record())  # asked for once more by name
    assert pass_over(queue).delivered == 1


def test_a_target_without_an_answer_blocks_no_other(store, server):
    def answer(path, body):
        return (500, "poison") if body.startswith("published_tests") else (204, "")

    server.answer = answer
    queue = queue_of(store, *(run_record(number) for number in range(3)))
    report = pass_over(queue)
    assert (report.delivered, report.queued) == (3 * 3, 3 * 11)


def test_back_off_doubles(store, server):
    server.answer = lambda path, body: (503, "")
    queue = queue_of(store, run_record(metrics={}, repeats=[]))
    waits = []
    for _ in range(4):
        pass_over(queue)
        (row,) = queue.rows()
        waits.append(_wait(store))
        assert row.attempts == len(waits)
    for before, after in itertools.pairwise(waits):
        assert 1.2 < after / before < 3.2  # doubled, each spread by a fifth
    assert 11 < waits[0] < 19


def _wait(store):
    from datetime import datetime

    import sqlalchemy as sa

    from beambench.store.tables import deliveries

    columns = (deliveries.c.next_attempt_at, deliveries.c.attempted_at)
    with store._reader.connect() as connection:
        until, since = connection.execute(sa.select(*columns)).one()
    moments = [datetime.fromisoformat(bound.removesuffix("Z")) for bound in (until, since)]
    return (moments[0] - moments[1]).total_seconds()


def test_another_process_that_publishes_is_waited_for(store, server):
    queue = queue_of(store, run_record())
    with queue.lock("influxdb", time.monotonic()) as held:
        assert held()
        report = pass_over(queue, seconds=0.2)
        assert (report.problem, report.queued) == ("another process is publishing", ROWS)
    assert pass_over(queue).delivered == ROWS


def test_delivered_rows_keep_no_content(store, server):
    queue = queue_of(store, run_record())
    pass_over(queue)
    assert {str(row.content) for row in queue.rows()} == {"{}"}


def test_points_differ_in_tags_or_time(store, server):
    records = [run_record(number) for number in range(20)]
    rows = [row for record in records for row in outbox.rows_of(record, "influxdb")]
    keys = set()
    for row in rows:
        text = line(row)
        named, _, when = text.rpartition(" ")
        keys.add((named.partition(" ")[0], when))
    assert len(keys) == len(rows)


def test_lines_are_escaped():
    step = {"namespace": "N", "step": 'a, b=c "d"\\', "value": 1}
    record = run_record(repeats=[repeat(beam_metrics={"m": step})])
    row = outbox.rows_of(record, "influxdb")[0]
    assert line(row) == (
        'published_tests,metric=N_a\\,_b\\=c_"d"/_m,test_id=20260131T100001Z-00000001 '
        "value=1.0 1769853601"
    )


def test_a_long_record_is_cut_into_fields():
    record = run_record(warnings=["ü" * 100_000])
    row = outbox.rows_of(record, "influxdb")[-1]
    text = line(row)
    assert ",record_0=" in text
    assert ",record_1=" in text
    assert "warnings_0=" in text


def test_an_unknown_publisher_is_named():
    with pytest.raises(UsageError, match=r"no publisher 'influx' \(did you mean 'influxdb'\?\)"):
        outbox.check(["influx"])


@pytest.mark.parametrize("missing", ["INFLUXDB_URL", "INFLUXDB_DATABASE"])
def test_what_the_environment_does_not_say_is_named(monkeypatch, missing):
    monkeypatch.setenv("INFLUXDB_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("INFLUXDB_DATABASE", "tests")
    monkeypatch.delenv(missing)
    with pytest.raises(UsageError, match=f"influxdb: {missing} not set"):
        outbox.check_settings("influxdb", Publish(), "x")


def test_the_definition_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv("INFLUXDB_URL", "http://127.0.0.1:9")
    from beambench.publishers.influxdb.server import InfluxServer

    server = InfluxServer.of({"url": "http://localhost:8/", "database": "mine", "user": "me"})
    assert (server.url, server.database, server.user) == ("http://localhost:8", "mine", "me")


def test_version_2_is_written_with_a_token(store, server, monkeypatch):
    monkeypatch.setenv("INFLUXDB_TOKEN", "planted-token")
    monkeypatch.setenv("INFLUXDB_ORG", "us")
    queue = queue_of(store, run_record())
    assert pass_over(queue).delivered == ROWS
    path, _ = server.requests[0]
    assert path.startswith("/api/v2/write?org=us&bucket=tests&precision=")
    assert server.headers[0]["Authorization"] == "Token planted-token"


def test_secrets_are_masked_in_what_a_server_says(store, server, monkeypatch):
    monkeypatch.setenv("INFLUXDB_USER", "bench")
    monkeypatch.setenv("INFLUXDB_USER_PASSWORD", "planted-password")
    server.answer = lambda path, body: (401, '{"error": "bench:planted-password is wrong"}')
    report = pass_over(queue_of(store, run_record()))
    assert report.problem.endswith("HTTP 401: *** is wrong")


def test_what_is_no_answer_of_influxdb_parks_nothing(store, server):
    """A gateway, or a server that speaks HTTPS, blames nobody's rows."""
    server.is_influxdb = False
    server.answer = lambda path, body: (400, "Client sent an HTTP request to an HTTPS server.")
    report = pass_over(queue_of(store, run_record()))
    assert (report.queued, report.parked) == (ROWS, {})
    assert "HTTP 400: Client sent an HTTP request" in report.problem


def test_what_a_gateway_refuses_while_it_lets_others_pass_is_parked(store, server):
    server.is_influxdb = False
    bad = f"{LABEL}_max_inference_request_batch_size"
    server.answer = lambda path, body: (400, "no entry") if bad in body else (204, "")
    report = pass_over(queue_of(store, run_record()))
    assert (report.delivered, report.queued, len(report.parked)) == (ROWS - 1, 0, 1)


def test_a_library_that_breaks_keeps_rows_and_other_targets(store, server, monkeypatch):
    send = InfluxDB.send

    def breaking(self, rows, deadline):
        if rows[0].target["format"] == "beam":
            raise KeyError("something")
        return send(self, rows, deadline)

    monkeypatch.setattr(InfluxDB, "send", breaking)
    report = pass_over(queue_of(store, run_record()))
    assert (report.delivered, report.queued) == (3, 11)
    assert report.problem == "unexpected KeyError"


def test_many_rows_go_in_requests_that_the_server_takes(store, server):
    records = [run_record(number, warnings=["x" * 1_500_000]) for number in range(3)]
    queue = queue_of(store, *records)
    assert pass_over(queue, seconds=30).delivered == 3 * ROWS
    assert max(map(len, server.bodies)) < 8_000_000


@pytest.mark.parametrize(
    "url", ["http://me:planted@host", "http://host?token=planted", "host:8086"]
)
def test_an_address_with_credentials_is_refused_without_showing_them(monkeypatch, url):
    monkeypatch.setenv("INFLUXDB_URL", url)
    monkeypatch.setenv("INFLUXDB_DATABASE", "tests")
    with pytest.raises(UsageError) as caught:
        outbox.check_settings("influxdb", Publish(), "x")
    assert "planted" not in str(caught.value)


def test_a_token_needs_an_organization(monkeypatch):
    monkeypatch.setenv("INFLUXDB_URL", "http://host")
    monkeypatch.setenv("INFLUXDB_DATABASE", "tests")
    monkeypatch.setenv("INFLUXDB_TOKEN", "some")
    with pytest.raises(UsageError, match="INFLUXDB_ORG is not set"):
        outbox.check_settings("influxdb", Publish(), "x")


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"influxdb": {"measurement": "# comment"}}, "publish.influxdb.measurement"),
        ({"influxdb": {"measurement": "two\nlines"}}, "publish.influxdb.measurement"),
        ({"influxdb": {"url": "http://me:secret@host"}}, "publish.influxdb.url"),
        ({"bigquery": {"table": "a` UNION ALL SELECT 1 --"}}, "publish.bigquery.table"),
    ],
)
def test_a_record_cannot_name_what_is_no_target(section, key):
    record = run_record(config={"definition": {"publish": section}})
    with pytest.raises(UsageError, match=f"run {record.run_id}: {key}: "):
        outbox.rows_of(record, "influxdb")


def test_records_without_namespaces_have_no_beam_rows():
    """The first records kept none."""
    old = {"num_inferences": {"step": "RunInference", "value": 5}}
    record = run_record(repeats=[repeat(beam_metrics=old)])
    assert len(outbox.rows_of(record, "influxdb")) == 3


def test_secrets_are_masked_in_every_form(store, server, monkeypatch):
    monkeypatch.setenv("INFLUXDB_USER", "bench")
    monkeypatch.setenv("INFLUXDB_USER_PASSWORD", "planted  päss word")

    def answer(path, body):
        told = server.headers[-1]["Authorization"].removeprefix("Basic ")
        return 401, f"{told} is {base64.b64decode(told).decode()}"

    server.answer = answer
    report = pass_over(queue_of(store, run_record()))
    assert report.problem.endswith("HTTP 401: *** is ***")
