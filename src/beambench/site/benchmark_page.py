"""What a benchmark's page has beside its charts: what it is, and its newest runs in a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import jinja2

from beambench.presentation.values import shown_confidence
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

CHANGES = 50
"""Rows of the table of changes, the newest."""

LINES_SHOWN = 6
"""Lines of what changed with one."""

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


@dataclass(frozen=True)
class ChangeRow:
    """A change of a level in the table.

    Attributes:
        run_id: of the first run of the new level.
        started_at: when that began.
        series: its kind, in words.
        ratio: new level ÷ old level.
        low, high: ends of its interval at 95 %.
        verdict: `worse` or `better`; empty where neither direction is.
        environment: what changed with it, a line each.
    """

    run_id: str
    started_at: str
    series: str
    metric: str
    kind: str
    ratio: float
    low: float
    high: float
    verdict: str
    confidence: str
    environment: tuple[str, ...]


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
        "changes": sorted(_changes(history), key=lambda row: row.started_at)[: -CHANGES - 1 : -1],
        "left_out": history.left_out,
    }
    return render(templates, "benchmark.html", page, values)


def _changes(history: BenchmarkHistory) -> Iterator[ChangeRow]:
    """Yield every change of every metric."""
    for kind in history.kinds:
        for metric, series in kind.series.items():
            for level in series.levels:
                change, verdict = level.change, ""
                if series.better is not None:
                    verdict = "better" if change.direction == series.better else "worse"
                yield ChangeRow(
                    run_id=level.point.name,
                    started_at=level.point.time,
                    series=" · ".join(kind.kind),
                    metric=metric,
                    kind=change.kind,
                    ratio=change.ratio,
                    low=change.ratio_low,
                    high=change.ratio_high,
                    verdict=verdict,
                    confidence=shown_confidence(change.confidence),
                    environment=level.environment[:LINES_SHOWN],
                )


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
