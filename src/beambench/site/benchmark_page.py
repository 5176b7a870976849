"""What a benchmark's page has beside its charts: what it is, and its newest runs in a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import jinja2

from beambench.printable import printable
from beambench.record.configuration import definition_in
from beambench.record.run_record import Metrics
from beambench.site.data.histories import BenchmarkHistory
from beambench.site.data.outlines import BenchmarkOutline
from beambench.site.templating import Page, render
from beambench.store.summaries import HistoryRun
from beambench.watch.series import kind_of, unfit

NEWEST_RUNS = 50
"""Rows of the table of a benchmark's runs."""

COLUMNS = (
    "throughput_elements",
    "throughput_inferred",
    "element_latency_mean",
    "inference_batch_latency_p99",
    "run_time",
    "estimated_cost",
    "peak_memory",
)
"""Metrics of that table, as far as a run has them."""

FACTS = (
    "workload", "scenario", "model.name", "model.weights", "model.precision", "model.device",
    "input.type", "input.source", "batching.min_batch_size", "batching.max_batch_size",
    "runner.processes", "threads", "cluster.machine_type", "cluster.workers",
    "cluster.accelerator.type", "cluster.region", "profiles.full.limit",
)  # fmt: skip
"""Of the definition, by their dotted paths."""

LONGEST_TEXT = 1000
LINKS_SHOWN = 5
ADDRESS = re.compile(r"https?://[A-Za-z0-9./_~%#?=&+:@-]{1,300}")


@dataclass(frozen=True)
class RunRow:
    """A run in the table.

    Attributes:
        series: its kind, in words.
        problem: why it is in no history; None if it is.
    """

    run_id: str
    started_at: str
    series: str
    problem: str | None
    metrics: Metrics


def render_benchmark(
    templates: jinja2.Environment,
    page: Page,
    history: BenchmarkHistory,
    outline: BenchmarkOutline,
) -> str:
    """Return the page of a benchmark."""
    newest = history.runs[: -NEWEST_RUNS - 1 : -1]
    definition = definition_in(newest[0].config) if newest else {}
    values = {
        "name": history.name,
        "outline": outline,
        "description": _cut(definition.get("description")),
        "about": list(_about(definition, newest)),
        "links": _links(definition),
        "columns": [name for name in COLUMNS if any(name in run.metrics for run in newest)],
        "newest_runs": [
            RunRow(run.run_id, run.started_at, " · ".join(kind_of(run)), unfit(run), run.metrics)
            for run in newest
        ],
        "left_out": history.left_out,
    }
    return render(templates, "benchmark.html", page, values)


def _about(
    definition: Mapping[str, object], newest: Sequence[HistoryRun]
) -> Iterator[tuple[str, str]]:
    """Yield what the definition of the newest run says; where it has none, what the run does."""
    for path in FACTS:
        value: object = definition
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, str | int | float):
            yield path.replace(".", " ").replace("_", " "), _cut(str(value))
    if newest and not definition:
        run = newest[0]
        yield "model", _cut(f"{run.model.name}, weights {run.model.weights}")
        yield "input", _cut(run.input.kind)


def _links(definition: Mapping[str, object]) -> list[str]:
    """Return the addresses in the definition's description: http and https alone are links."""
    text = definition.get("description")
    return ADDRESS.findall(text)[:LINKS_SHOWN] if isinstance(text, str) else []


def _cut(text: object) -> str:
    """Return a text in one line and not too long; nothing for what is no text."""
    return printable(" ".join(text.split())[:LONGEST_TEXT]) if isinstance(text, str) else ""
