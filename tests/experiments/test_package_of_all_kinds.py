"""A distribution that brings a runner, a workload, a metric and a publisher, and runs them.

No file of beambench knows any of them; the worker is a process of its own, and Beam is real.
"""

from __future__ import annotations

import json

import pytest

import beambench
from beambench.definition.entry_points import entry_points
from beambench.definition.library import Library
from beambench.store import RunStore, sqlite_url
from fast_runs import python_path
from installed import forget, install

pytestmark = pytest.mark.real

ENTRY_POINTS = """
[beambench.catalogs]
acme = acme.catalog
[beambench.workloads]
acme-square = acme.workload:Square
[beambench.runners]
acme = acme.runner:ACME
[beambench.metrics]
acme_squares_rate = acme.metric:RATE
[beambench.publishers]
acme = acme.publisher:ACME
"""
DEFINITION = """
name: acme-squares
title: Squares
workload: acme-square
model: {name: square, weights: none}
input: {type: numbers, source: synthetic}
publish: {to: [acme]}
profiles:
  smoke: {limit: 60, repeats: 1, timeout: 120, slot_seconds: 0.05}
"""
WORKLOAD = """
from apache_beam.metrics.metric import Metrics
from beambench import Workload
from beambench.workloads.noop_handler import NoopModelHandler


class Square(Workload):
    input_types = ("numbers",)

    def model_handler(self):
        return NoopModelHandler(min_batch_size=10, max_batch_size=20)

    def preprocess(self, raw):
        return raw

    def postprocess(self, prediction):
        Metrics.counter("acme", "squares").inc()
        return int(prediction.inference) ** 2
"""
RUNNER = """
import dataclasses

from beambench.definition.runners import Runner

ACME = Runner(name="acme", beam_name="AcmeRunner", pipeline="acme.runner:run", is_local=True)


def run(workload, plan, outputs):
    from beambench.runners.direct.beam import pipeline

    finished = pipeline.run(workload, plan, outputs)
    return dataclasses.replace(finished, executed="acme", implementation="acme 7")
"""
METRIC = """
from beambench import Metric, Sample


def rate(repeat):
    squares = repeat.observation.counter("acme", "squares")
    return Sample(None if squares is None else squares / repeat.run_time, squares or 0)


RATE = Metric(
    name="acme_squares_rate",
    unit="1/s",
    direction="higher",
    formula="squares ÷ run_time",
    counts="squares",
    of_repeat=rate,
)
"""
PUBLISHER = """
import json
from pathlib import Path

from beambench.definition.publishers import Publisher
from beambench.definition.section import Section
from beambench.publishers.base import Client, Outcome, Row


class File(Client):
    def targets(self, settings, benchmark):
        return {"line": {"file": f"{benchmark}.jsonl"}}

    def place(self, target):
        return target["file"]

    def rows(self, record):
        names = sorted(record.metrics)
        content = {"started_at": record.started_at}
        return [Row("line", name, content | {"name": name}) for name in names]

    def check(self, target):
        pass

    def send(self, rows, deadline):
        with Path(rows[0].target["file"]).open("a") as file:
            file.writelines(json.dumps(row.content) + "\\n" for row in rows)
        return Outcome(delivered=[row.row_id for row in rows])

    def read_back(self, rows, deadline):
        return {}


ACME = Publisher(name="acme", settings=Section, client="acme.publisher:File")
"""
FILES = {
    "acme/__init__.py": "",
    "acme/catalog/squares.yaml": DEFINITION,
    "acme/workload.py": WORKLOAD,
    "acme/runner.py": RUNNER,
    "acme/metric.py": METRIC,
    "acme/publisher.py": PUBLISHER,
}


@pytest.fixture
def _installed(tmp_path, monkeypatch):
    folder = install(tmp_path / "site", "acme", ENTRY_POINTS, FILES)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", python_path(folder))  # of the workers
    monkeypatch.chdir(tmp_path)
    entry_points.cache_clear()
    yield
    forget("acme")


@pytest.mark.usefixtures("_installed")
def test_all_of_it_runs(tmp_path):
    url = sqlite_url(tmp_path / "runs.db")
    record = beambench.run(
        "acme-squares", library=Library(), runner="acme", profile="smoke", store=url
    )
    assert (record.status, record.error) == ("succeeded", None)
    assert (record.runner.executed, record.runner.implementation) == ("acme", "acme 7")
    assert record.verification.passed
    assert record.verification.elements_out == 60
    rate = record.metrics["acme_squares_rate"]
    assert record.repeats[0].metrics["acme_squares_rate"].n == 60
    assert rate.value == pytest.approx(60 / record.metrics["run_time"].value)
    published = [
        json.loads(line) for line in (tmp_path / "acme-squares.jsonl").read_text().splitlines()
    ]
    assert sorted(row["name"] for row in published) == sorted(record.metrics)
    with RunStore.open(url) as store:
        assert store.deliveries.counts()["acme"]["delivered"] == len(published)
        assert store.get(record.run_id) == record
