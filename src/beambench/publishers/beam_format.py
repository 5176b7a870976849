"""The rows that Beam's own suite publishes, so that dashboards, queries and its alert tool go on.

Written after ``apache_beam.testing.load_tests.load_test_metrics_utils`` of Beam 2.77: the same
columns, types and labels. A row holds neither unit nor variant, profile or machine: those are in
beambench's own rows.

Beam publishes one pipeline execution under one ``test_id``. A run has several: its rows are those
of the repeat with the median throughput (of two in the middle the slower), because a mean over
repeats would be a value that no pipeline had. Only a run that succeeded has rows, as there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from beambench.cost.prices.estimate import cost_of_job, mode_of_job
from beambench.cost.prices.sheet import packaged_sheets
from beambench.definition.schema import Cluster
from beambench.record.configuration import definition_in
from beambench.record.run_record import Repeat, RunRecord

SCHEMA = (
    ("test_id", "STRING", "REQUIRED"),
    ("timestamp", "TIMESTAMP", "REQUIRED"),
    ("metric", "STRING", "REQUIRED"),
    ("value", "FLOAT", "REQUIRED"),
    ("job_id", "STRING", "NULLABLE"),
)
"""Name, BigQuery type and mode of each column."""

TAGS = ("metric", "test_id")
"""Columns that are tags in InfluxDB; the field is called ``value``, times are whole seconds."""


ESTIMATED_COST = "EstimatedCost"


def rows(record: RunRecord) -> list[dict[str, Any]]:
    """Return the rows of a run; none for one that did not succeed or kept no Beam metrics.

    Of a Dataflow job there are those of Beam's cost benchmarks too, which have no namespace and no
    step: the service's own metrics, JobRuntimeSeconds, AvgThroughput…, and EstimatedCost. Those
    that the service did not give are left out: there they are 0.
    """
    repeat = published_repeat(record)
    if repeat is None:
        return []
    common = {"test_id": record.run_id, "timestamp": repeat.finished_at}
    values = list(labelled_values(repeat.beam_metrics))
    cost = estimated_cost(record, repeat)
    if cost is not None:
        values.append((ESTIMATED_COST, cost))
    return [
        {**common, "metric": label, "value": value, "job_id": repeat.job_id}
        for label, value in values
    ]


def estimated_cost(record: RunRecord, repeat: Repeat) -> float | None:
    """Return what a job cost in USD, by the packaged prices of its region.

    None where any line of it is unknown. Beam's own figure takes a missing usage for 0, and prices
    the shuffle of a batch job from the streaming metric.
    """
    definition = definition_in(record.config)
    if repeat.usage is None or definition.get("cluster") is None:
        return None
    cluster = Cluster.model_validate(definition["cluster"])
    sheet = packaged_sheets().get(cluster.region)
    if sheet is None or sheet.currency != "USD":
        return None
    mode = mode_of_job(definition.get("scenario", "batch"), spot=cluster.spot)
    cost, _ = cost_of_job(repeat.usage, cluster, mode, sheet)
    return float(cost.total) if cost.complete else None


def published_repeat(record: RunRecord) -> Repeat | None:
    """Return the repeat with the median throughput, or None if there is nothing to publish."""
    if record.status != "succeeded":
        return None
    done = [repeat for repeat in record.repeats if repeat.counts]
    done = [repeat for repeat in done if repeat.beam_metrics]
    return sorted(done, key=_throughput)[(len(done) - 1) // 2] if done else None


def _throughput(repeat: Repeat) -> float:
    """Return elements/s; of a pipeline that exists already those of its inference."""
    names = ("throughput_elements", "throughput_inferred", "inference_throughput_elements")
    rates = (repeat.metrics[name].value for name in names if name in repeat.metrics)
    return next(rates, 0.0)


def labelled_values(beam_metrics: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield label and value: counters first, then five rows of each distribution, as Beam does."""
    entries = list(_entries(beam_metrics))
    for name, entry in entries:
        if "value" in entry:
            yield f"{_start(entry)}{name}", entry["value"]
    for name, entry in entries:
        if "count" not in entry:
            continue
        mean = entry["sum"] / entry["count"] if entry["count"] else None
        values = {**{kind: entry[kind] for kind in ("count", "max", "min", "sum")}, "mean": mean}
        for kind, value in values.items():
            if value is not None:
                yield f"{_start(entry)}{kind}_{name}", value


def _entries(beam_metrics: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield metric name and entry; a pipeline with several inference steps has a level more.

    Without the namespace, which the first records lack, there is no label.
    """
    for name, entry in beam_metrics.items():
        if isinstance(entry.get("step"), str):
            if "namespace" in entry:
                yield name, entry
        else:
            yield from _entries(entry)


def _start(entry: Mapping[str, Any]) -> str:
    """Return what stands before the name: nothing for a metric of the service's own."""
    if not entry["namespace"]:
        return ""
    return f"{entry['namespace']}_{parse_step(entry['step'])}_"


def parse_step(step: str) -> str:
    """Return a transform's path as labels have it: lower case, without ``step``, ``:``, ``_``."""
    return step.lower().replace(" ", "_").removeprefix("step").strip(":_")
