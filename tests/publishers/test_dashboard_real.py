"""The dashboard for Grafana: its queries answered by a real InfluxDB, with what was published."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import beambench.publishers.influxdb
from beambench.analysis.change_points.policy import AlarmPolicy
from beambench.publishers import outbox
from beambench.publishers.influxdb.changes import MEASUREMENT
from beambench.publishers.influxdb.server import InfluxServer
from beambench.store import RunStore, sqlite_url
from beambench.watch.published_changes import METRICS, publish_changes
from published_runs import run_record

pytestmark = pytest.mark.real
DASHBOARD = json.loads(
    Path(beambench.publishers.influxdb.__file__).with_name("grafana.json").read_text("utf-8")
)
NAME = "dashboard's-benchmark"
BEAM_ROWS = "dashboard_rows"
PUBLISH = {"to": [], "influxdb": {"measurement": BEAM_ROWS}}
STEP_AT = 15
VALUES = {
    "throughput_elements": (120.0, "1/s"),
    "throughput_bytes": (1.5e6, "B/s"),
    "inference_batch_latency_mean": (0.25, "s"),
    "inference_batch_latency_p50": (0.24, "s"),
    "inference_batch_latency_p90": (0.3, "s"),
    "inference_batch_latency_p99": (0.4, "s"),
    "inference_batch_size_mean": (11.0, "1"),
    "model_load_latency_mean": (0.05, "s"),
    "run_time": (12.0, "s"),
    "cpu_time_per_element": (0.03, "s"),
    "peak_memory": (1.5e9, "B"),
}


def record(number):
    """Return a run; from the fifteenth on all values are 20 % greater."""
    factor = (1.2 if number >= STEP_AT else 1.0) * (1 + 0.002 * (number * 7 % 5 - 2))
    metrics = {
        name: {"value": value * factor, "unit": unit, "direction": "lower", "n": 6}
        for name, (value, unit) in VALUES.items()
    }
    return run_record(
        number, benchmark=NAME, metrics=metrics, config={"definition": {"publish": PUBLISH}}
    )


def panel_queries() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["query"]


def asked(query, server):
    """Return the answer to a query with the variables as Grafana fills them in."""
    chosen = {"benchmark": NAME, "variant": "(stock|tuned)", "profile": "(smoke|local)",
              "measurement": BEAM_ROWS, "timeFilter": "time > 0"}  # fmt: skip
    for name, value in chosen.items():
        query = query.replace(f"${name}", value)
    assert not re.search(r"\$\w", query)
    return server.query(query, time.monotonic() + 10)


@pytest.fixture
def server(influx, tmp_path):
    with RunStore.open(sqlite_url(tmp_path / "runs.db")) as store:
        records = [record(number) for number in range(30)]
        store.add_missing(records)
        for each in records:
            store.deliveries.add(outbox.rows_of(each, "influxdb"))
        outbox.deliver(store.deliveries, ["influxdb"], seconds=60)
        server = InfluxServer.of({})
        # What a job on Dataflow has beside the rows of runs here.
        server.post([f"{BEAM_ROWS},metric=EstimatedCost,test_id=x value=1.25 1769853601"], "s",
                    time.monotonic() + 10)  # fmt: skip
        publish_changes(store, AlarmPolicy(), time.monotonic() + 30)
        yield server
        for name in (MEASUREMENT, "beambench_metrics", "beambench_runs"):
            server.delete(name, "benchmark", NAME, time.monotonic() + 10)


def test_every_query_has_an_answer(server):
    answers = {(title, query): asked(query, server) for title, query in panel_queries()}
    assert [title for (title, _), rows in answers.items() if not rows] == []
    queries = " ".join(query for _, query in answers)
    for name, (value, _) in VALUES.items():
        rows = next(rows for (_, query), rows in answers.items() if f"'{name}'" in query)
        assert len(rows) == 30
        assert rows[0]["value"] == pytest.approx(value, rel=0.01)
    assert all(f"'{name}'" in queries for name in METRICS)
    assert [row["value"] for row in answers[_cost()]] == [1.25]


def _cost() -> tuple[str, str]:
    return next((title, query) for title, query in panel_queries() if "EstimatedCost" in query)


def test_variables_offer_what_was_published(server):
    offered = {
        variable["name"]: {
            row.get("value") or row["name"] for row in asked(variable["query"], server)
        }
        for variable in DASHBOARD["templating"]["list"]
        if variable["type"] == "query"
    }
    assert NAME in offered["benchmark"]
    assert offered["variant"] == {"stock"}
    assert offered["profile"] == {"smoke"}
    assert BEAM_ROWS in offered["measurement"]


def test_annotations_stand_where_levels_changed(server):
    (annotation,) = DASHBOARD["annotations"]["list"]
    rows = asked(annotation["query"], server)
    assert {row["title"].partition(":")[0] for row in rows} == set(METRICS)
    began = f"2026-01-31T10:00:{STEP_AT}"
    assert {row["time"] for row in rows} == {_nanoseconds(began)}
    (throughput,) = [row for row in rows if row["title"].startswith("throughput_elements")]
    assert throughput["title"] == "throughput_elements: +20.0 %"
    assert throughput["text"] == "stock · smoke · direct\nenvironment as before"


def _nanoseconds(text):
    from beambench.publishers.influxdb.points import micros

    return micros(f"{text}.000Z") * 1000


def test_changes_that_are_no_more_go(server, tmp_path):
    with RunStore.open(sqlite_url(tmp_path / "few.db")) as store:
        store.add_missing([record(number) for number in range(3)])
        assert publish_changes(store, AlarmPolicy(), time.monotonic() + 30) == {NAME: 0}
    (annotation,) = DASHBOARD["annotations"]["list"]
    assert asked(annotation["query"], server) == []
