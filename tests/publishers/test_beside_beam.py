"""One real run, published by Beam's own code and by ours: the same labels and values."""

from __future__ import annotations

import sys
import time
import types
from datetime import datetime, timezone
from typing import Any

import pytest

from beambench.definition.library import Library
from beambench.definition.plan import Preparation, PreparePlan
from beambench.publishers import beam_format, outbox
from beambench.publishers.bigquery.client import client_of
from beambench.publishers.influxdb.server import InfluxServer
from beambench.runners.direct.beam import pipeline as direct
from beambench.store import RunStore, sqlite_url
from beambench.worker import tasks
from published_runs import repeat, run_record
from tiny_workloads import for_task

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

BEAMS_TABLE, OUR_TABLE = "beams_own", "ours"
ELEMENTS = 12
# Written out, and not built as the code builds them: dashboards and queries name them so.
LABELS = [
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_num_inferences",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_count_inference_batch_latency_micro_secs",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_max_inference_batch_latency_micro_secs",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_mean_inference_batch_latency_micro_secs",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_min_inference_batch_latency_micro_secs",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_sum_inference_batch_latency_micro_secs",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_count_inference_request_batch_byte_size",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_max_inference_request_batch_byte_size",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_mean_inference_request_batch_byte_size",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_min_inference_request_batch_byte_size",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_sum_inference_request_batch_byte_size",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_count_inference_request_batch_size",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_max_inference_request_batch_size",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_mean_inference_request_batch_size",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_min_inference_request_batch_size",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_sum_inference_request_batch_size",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_count_load_model_latency_milli_secs",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_max_load_model_latency_milli_secs",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_mean_load_model_latency_milli_secs",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_min_load_model_latency_milli_secs",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_sum_load_model_latency_milli_secs",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_count_model_byte_size",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_max_model_byte_size",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_mean_model_byte_size",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_min_model_byte_size",
    "BeamML_PyTorch_pytorchruninference/beamml_runinference_sum_model_byte_size",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Any, Any]:
    """What Beam says of a finished pipeline, and the record that we make of it."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("beside-beam")
    resolved = Library().resolve(
        "pytorch-image-classification-resnet101",
        profile="smoke",
        overrides=[
            "model.name=resnet18",
            "model.weights=random",
            "model.size_mib=44.7",
            "input.source=synthetic",
        ],
    )
    plan = PreparePlan(
        definition=resolved.definition,
        seed=0,
        source="synthetic",
        limit=ELEMENTS,
        work_dir=str(folder),
        cache_dir=str(folder / "cache"),
        project_dir=str(folder),
        epoch_ns=time.time_ns(),
        slot_us=100_000,
    )
    prepared = tasks.prepare(plan).prepared
    assert prepared is not None
    preparation = Preparation.model_validate(prepared.preparation)
    plan = for_task(plan, "pipeline", preparation=preparation)
    queries = []
    with pytest.MonkeyPatch.context() as patch:
        run = direct.run

        def keeping(*arguments: Any) -> Any:
            result = run(*arguments)
            queries.append(result.query)
            return result

        patch.setattr(direct, "run", keeping)
        observation = tasks.run_pipeline(plan)
    config = {
        "definition": {
            "publish": {
                "bigquery": {"dataset": "beside_beam", "table": OUR_TABLE},
                "influxdb": {"measurement": OUR_TABLE},
            }
        }
    }
    record = run_record(40, config=config, repeats=[repeat(beam_metrics=observation.beam_metrics)])
    return queries[0], record


class Results:
    """Stands for a PipelineResult whose metrics can be asked for."""

    def __init__(self, query: Any) -> None:
        self._query = query

    def metrics(self) -> Any:
        return self

    def query(self, filters: Any) -> Any:
        from apache_beam.metrics.metric import MetricResults

        return {
            kind: [entry for entry in entries if MetricResults.matches(filters, entry.key)]
            for kind, entries in self._query.items()
        }


def namespace_filter() -> Any:
    from apache_beam.metrics.metric import MetricsFilter

    return MetricsFilter().with_namespace("BeamML_PyTorch")


def beams_rows(query: Any) -> list[dict[str, Any]]:
    """Return what Beam's own reader makes of a run, before it publishes it."""
    from apache_beam.testing.load_tests.load_test_metrics_utils import MetricsReader

    reader = MetricsReader(namespace="BeamML_PyTorch", filters=namespace_filter())
    metrics: list[dict[str, Any]] = reader._prepare_all_metrics(
        Results(query).query(namespace_filter()), "beams-test-id"
    )
    return metrics


def test_rows_before_they_are_sent(finished):
    query, record = finished
    theirs = {row["metric"]: row["value"] for row in beams_rows(query)}
    ours = {row["metric"]: row["value"] for row in beam_format.rows(record)}
    assert ours == theirs
    assert sorted(ours) == sorted(LABELS)
    assert ours["BeamML_PyTorch_pytorchruninference/beamml_runinference_num_inferences"] == ELEMENTS
    # Beam's size of a model is by how much the peak of the process grew: 0 after a higher one.
    assert all(value > 0 for label, value in ours.items() if "model_byte_size" not in label)
    assert len(set(ours.values())) > 10  # so that rows which are mixed up show


def test_influxdb(finished, influx, tmp_path):
    from apache_beam.testing.load_tests.load_test_metrics_utils import (
        InfluxDBMetricsPublisherOptions,
        MetricsReader,
    )

    query, record = finished
    environment = influx.environment
    options = InfluxDBMetricsPublisherOptions(
        BEAMS_TABLE,
        environment["INFLUXDB_DATABASE"],
        environment["INFLUXDB_URL"],
        environment["INFLUXDB_USER"],
        environment["INFLUXDB_USER_PASSWORD"],
    )
    reader = MetricsReader(
        influxdb_options=options, namespace="BeamML_PyTorch", filters=namespace_filter()
    )
    reader.publish_metrics(Results(query))
    with RunStore.open(sqlite_url(tmp_path / "runs.db")) as store:
        store.deliveries.add(outbox.rows_of(record, "influxdb"))
        (report,) = outbox.deliver(store.deliveries, ["influxdb"], seconds=30)
    assert (report.queued, report.parked) == (0, {})
    values = {}
    for measurement in (BEAMS_TABLE, OUR_TABLE):
        points = InfluxServer.of({}).query(f'SELECT * FROM "{measurement}"', time.monotonic() + 9)
        assert {tuple(sorted(point)) for point in points} == {
            ("metric", "test_id", "time", "value")
        }
        assert len({(point["test_id"], point["time"]) for point in points}) == 1
        values[measurement] = {point["metric"]: point["value"] for point in points}
    assert values[OUR_TABLE] == values[BEAMS_TABLE]
    assert sorted(values[OUR_TABLE]) == sorted(LABELS)


def hide_change_point_library(monkeypatch) -> None:
    """Let Beam's alert tool be imported: its query needs nothing of the library."""
    package = "signal_processing_algorithms"
    for name in (package, f"{package}.energy_statistics"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    module = types.ModuleType(f"{package}.energy_statistics.energy_statistics")
    module.e_divisive = None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_bigquery(finished, bigquery, tmp_path, monkeypatch):
    """Beam's publisher makes and fills its table, and its alert tool's query reads both."""
    hide_change_point_library(monkeypatch)
    import google.auth
    from apache_beam.testing.analyzers.perf_analysis_utils import (
        BigQueryMetricsFetcher,
        TestConfigContainer,
    )
    from apache_beam.testing.load_tests import load_test_metrics_utils
    from google.auth.credentials import AnonymousCredentials

    monkeypatch.setattr(google.auth, "default", lambda *_, **__: (AnonymousCredentials(), "local"))
    # Where its client is installed, rows would come through the storage API, from Google itself.
    name = "google.cloud.bigquery.Client._ensure_bqstorage_client"
    monkeypatch.setattr(name, lambda *_, **__: None)
    query, record = finished
    client = client_of({})
    client.create_dataset("beside_beam", exists_ok=True)
    publisher = load_test_metrics_utils.BigQueryMetricsPublisher(
        client.project, BEAMS_TABLE, "beside_beam"
    )
    # The emulator takes no seconds since 1970, which is what Beam's reader gives a row.
    publisher.publish(
        [
            {**row, "timestamp": datetime.fromtimestamp(row["timestamp"], timezone.utc)}
            for row in beams_rows(query)
        ]
    )
    with RunStore.open(sqlite_url(tmp_path / "runs.db")) as store:
        store.deliveries.add(outbox.rows_of(record, "bigquery"))
        (report,) = outbox.deliver(store.deliveries, ["bigquery"], seconds=60)
    assert (report.queued, report.parked) == (0, {})
    tables = {name: client.get_table(f"beside_beam.{name}") for name in (BEAMS_TABLE, OUR_TABLE)}
    schemas = {
        name: [(column.name, column.field_type, column.mode) for column in table.schema]
        for name, table in tables.items()
    }
    assert schemas[OUR_TABLE] == schemas[BEAMS_TABLE]
    rows = {
        name: {row["metric"]: row["value"] for row in client.list_rows(table)}
        for name, table in tables.items()
    }
    assert rows[OUR_TABLE] == rows[BEAMS_TABLE]
    assert sorted(rows[OUR_TABLE]) == sorted(LABELS)
    for label in LABELS:
        fetched = {
            name: BigQueryMetricsFetcher().fetch_metric_data(
                test_config=TestConfigContainer(
                    project=client.project,
                    metrics_dataset="beside_beam",
                    metrics_table=name,
                    metric_name=label,
                    test_id="test",
                    test_description="test",
                )
            )
            for name in tables
        }
        assert fetched[OUR_TABLE].values == fetched[BEAMS_TABLE].values == [rows[OUR_TABLE][label]]
        (time_of_row,) = fetched[OUR_TABLE].timestamps
        assert time_of_row == datetime.fromisoformat("2026-01-31T10:00:01.250+00:00")
