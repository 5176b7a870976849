"""Which charts a benchmark's page has: those of the suite that it replaces, then the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from beambench.metrics.registry import metrics

Section = Literal[
    "speed", "cost", "latency", "batches", "model load", "stages", "resources", "other"
]
SECTIONS: tuple[Section, ...] = (
    "speed", "cost", "latency", "batches", "model load", "stages", "resources", "other"
)  # fmt: skip

BEGINNINGS: tuple[tuple[str, Section], ...] = (
    ("throughput_", "speed"),
    ("output_tokens_rate", "speed"),
    ("prompt_tokens_rate", "speed"),
    ("run_time", "speed"),
    ("pipeline_efficiency", "speed"),
    ("ceiling_efficiency", "speed"),
    ("estimated_cost", "cost"),
    ("element_latency_", "latency"),
    ("inference_batch_latency_", "latency"),
    ("inference_batch_launch_latency_", "latency"),
    ("time_to_first_token_", "latency"),
    ("time_per_output_token_", "latency"),
    ("normalized_latency", "latency"),
    ("inference_batch_size_", "batches"),
    ("model_load", "model load"),
    ("server_start_time_", "model load"),
    ("startup_time", "model load"),
    ("stage_", "stages"),
    ("cpu_time_", "resources"),
    ("inference_cpu_time_", "resources"),
    ("peak_", "resources"),
)
"""Beginning of a metric's name -> its section."""


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        id: stable: it stands in addresses and in the names of pictures.
        metrics: their names; all of one unit, but for run time and cost.
        x: what runs are beside each other by: when they began, or their version of Beam's SDK.
    """

    id: str
    title: str
    section: Section
    metrics: tuple[str, ...]
    x: Literal["time", "sdk"] = "time"


OF_OLD_SUITE = (
    Chart("run-time-and-cost", "Run time and estimated cost", "speed",
          ("run_time", "estimated_cost")),
    Chart("bytes-rate-by-date", "Throughput in bytes by date", "speed", ("throughput_bytes",)),
    Chart("elements-rate-by-date", "Throughput in elements by date", "speed",
          ("throughput_elements",)),
    Chart("bytes-rate-by-version", "Throughput in bytes by SDK version", "speed",
          ("throughput_bytes",), "sdk"),
    Chart("elements-rate-by-version", "Throughput in elements by SDK version", "speed",
          ("throughput_elements",), "sdk"),
)  # fmt: skip
"""The five that the suite showed which beambench takes the place of."""

TOGETHER = (
    Chart("batch-latency", "Latency of a batch: percentiles", "latency",
          tuple(f"inference_batch_latency_{end}" for end in ("p50", "p90", "p95", "p99", "p99.9"))),
    Chart("batch-size", "Size of a batch: percentiles", "batches",
          tuple(f"inference_batch_size_{end}" for end in ("p50", "p90", "p95", "p99", "p99.9"))),
    Chart("stage-time", "Time of an element in each stage", "stages",
          tuple(f"stage_time_{stage}" for stage in
                ("read", "preprocess", "batch_wait", "inference", "postprocess"))),
    Chart("stage-share", "Share of the time in each stage", "stages",
          tuple(f"stage_share_{stage}" for stage in
                ("read", "preprocess", "inference", "postprocess", "overhead"))),
)  # fmt: skip
"""Metrics that say more beside each other than alone."""


def section_of(metric: str) -> Section:
    """Return the part of the page that a metric stands in."""
    return next((section for start, section in BEGINNINGS if metric.startswith(start)), "other")


def title_of(metric: str) -> str:
    """Return a metric's name as the heading of a chart."""
    words = metric.replace("_", " ")
    return words[:1].upper() + words[1:]


def charts_of(present: Iterable[str]) -> list[Chart]:
    """Return the charts of some metrics: each metric is in one at least.

    Args:
        present: names of the metrics that runs have.
    """
    there = set(present)
    charts = [
        Chart(chart.id, chart.title, chart.section, shown, chart.x)
        for chart in (*OF_OLD_SUITE, *TOGETHER)
        if (shown := tuple(name for name in chart.metrics if name in there))
    ]
    alone = there.difference(*(chart.metrics for chart in charts))
    order = {metric.name: at for at, metric in enumerate(metrics())}
    charts += [
        Chart(name.replace("_", "-"), title_of(name), section_of(name), (name,))
        for name in sorted(alone, key=lambda name: (order.get(name, len(order)), name))
    ]
    first = len([chart for chart in charts if chart.id in {old.id for old in OF_OLD_SUITE}])
    others = sorted(charts[first:], key=lambda chart: SECTIONS.index(chart.section))
    return charts[:first] + others
