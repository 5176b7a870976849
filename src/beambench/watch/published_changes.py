"""Publishes to InfluxDB where levels of histories changed, for the annotations of a dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from beambench.analysis.change_points.policy import AlarmPolicy
from beambench.publishers.influxdb.changes import PublishedChange, replace_changes
from beambench.publishers.influxdb.server import InfluxServer
from beambench.record.configuration import definition_in
from beambench.store.run_store import RunStore
from beambench.watch.series import HistoricRun, Level, Series, series_of_runs

METRICS = (
    "throughput_elements",
    "throughput_bytes",
    "inference_batch_latency_mean",
    "inference_batch_size_mean",
    "model_load_latency_mean",
    "run_time",
    "cpu_time_per_element",
    "peak_memory",
)
"""Of the dashboard's panels."""


def publish_changes(store: RunStore, policy: AlarmPolicy, deadline: float) -> dict[str, int]:
    """Publish the changes of every benchmark in a store; return how many each has.

    They go to the server that the newest run of the benchmark is published to.

    Raises:
        UsageError: the environment does not say where a server is.
        UnavailableError: a server does not take them; those of the benchmarks before it are there.
        StoreError: the store cannot be read.
    """
    counts = {}
    for name in store.benchmarks():
        runs = [run for run, _ in store.documents(name)]
        newest = store.history(name, limit=1)
        if not newest:
            continue
        settings = definition_in(newest[0].config).get("publish") or {}
        server = InfluxServer.of(settings.get("influxdb") or {})
        changes = changes_of(runs, policy)
        replace_changes(server, name, changes, deadline)
        counts[name] = len(changes)
    return counts


def changes_of(runs: Sequence[HistoricRun], policy: AlarmPolicy) -> list[PublishedChange]:
    """Return the changes of the dashboard's metrics in the runs of a benchmark."""
    known = {name for run in runs for name in run.metrics}
    return [
        _published(series, level, level.point.run)
        for metric in METRICS
        if metric in known
        for series in series_of_runs(runs, metric, policy)[0]
        for level in series.levels
        if level.point.run is not None
    ]


def _published(series: Series, level: Level, run: HistoricRun) -> PublishedChange:
    change = level.change
    verdict: Literal["better", "worse", "neither"] = "neither"
    if series.better is not None:
        verdict = "better" if change.direction == series.better else "worse"
    return PublishedChange(
        benchmark=run.benchmark,
        metric=series.metric,
        variant=run.variant,
        profile=run.profile,
        runner=run.runner.executed or run.runner.requested,
        verdict=verdict,
        ratio=change.ratio,
        ratio_low=change.ratio_low,
        ratio_high=change.ratio_high,
        run_id=run.run_id,
        started_at=run.started_at,
        environment=level.environment,
    )
