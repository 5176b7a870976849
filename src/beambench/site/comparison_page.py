"""The page of a comparison: what was found, ratios on one axis, pairs, differences of the sides.

All of it is drawn here, as tables with SVG within them: it needs no script.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import jinja2

from beambench.errors import StoreError
from beambench.experiments.comparison.sentence import headline, size_text
from beambench.presentation.comparisons import SCHEDULES, change_cells
from beambench.presentation.values import show_value
from beambench.printable import printable
from beambench.record.comparison import ComparedMetric, Comparison
from beambench.record.environment import differences, read_environment
from beambench.record.run_record import RunRecord
from beambench.site.comparison_figures import figures_of
from beambench.site.ratio_axis import Mark, RatioAxis
from beambench.site.templating import Page, render
from beambench.store.run_store import RunStore

MOST_CANDIDATES = 30
"""Comparisons with one base that stand in a table, the newest."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """A metric or a stage in the table of ratios."""

    name: str
    base: str
    candidate: str
    change: str
    interval: str
    verdict: str
    detectable: str
    n: int
    reason: str | None
    mark: Mark


def render_comparison(
    templates: jinja2.Environment,
    comparison: Comparison,
    page: Page,
    *,
    runs: Mapping[str, RunRecord],
    candidates: Sequence[Comparison],
    pages: Collection[str],
) -> str:
    """Return the page of a comparison.

    Args:
        templates: of the site.
        comparison: that the page is of.
        page: what every page is given.
        runs: of its sides, by their ids, as far as they are stored.
        candidates: comparisons with the same base, this one among them.
        pages: ids of runs that have a page.
    """
    values = _values(comparison, runs, candidates)
    linked = {"stored": [run_id for run_id in runs if run_id in pages]}
    return render(templates, "comparison.html", page, {**values, **linked})


def sides_of(store: RunStore, comparison: Comparison) -> dict[str, RunRecord]:
    """Return the runs of both sides by their ids; one that is missing or unreadable is left out."""
    runs = {}
    for side in comparison.sides:
        try:
            run = store.get(side.run_id)
        except StoreError as error:
            _log.warning("comparison %s: %s", printable(comparison.comparison_id), error)
            continue
        if run is not None and run.run_id == side.run_id:
            runs[run.run_id] = run
    return runs


def with_same_base(comparison: Comparison, comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Return comparisons whose base is that of a comparison, itself among them.

    Args:
        comparison: the one whose page it is.
        comparisons: the newest first, of which as many are returned as a page shows.
    """
    base = comparison.sides[0].run_id
    alike = [other for other in comparisons if other.sides[0].run_id == base]
    shown = alike[:MOST_CANDIDATES]
    return shown if comparison in shown else [comparison, *shown[1:]]


def _values(
    comparison: Comparison, runs: Mapping[str, RunRecord], candidates: Sequence[Comparison]
) -> dict[str, object]:
    """Return what the template is given."""
    axis = _axis([*comparison.metrics.values(), *comparison.stages.values()], comparison.margin)
    stages = [_row(name, stage, axis) for name, stage in comparison.stages.items()]
    return {
        "comparison": comparison,
        "schedule": SCHEDULES[comparison.schedule],
        "status": comparison.status.replace("_", " "),
        "sentence": printable(comparison.sentence),
        "margin_text": f"±{100 * comparison.margin:g} %",
        "axis": axis,
        "tables": [
            ("metric", [_row(name, metric, axis) for name, metric in comparison.metrics.items()]),
            ("time of an element in", stages),
        ],
        "figures": figures_of(comparison, runs),
        "noise": _noise_line(comparison),
        "environment_lines": _environment_lines(comparison, runs),
        "candidates": _candidates(candidates, comparison.margin),
    }


def _candidates(comparisons: Sequence[Comparison], margin: float) -> dict[str, object] | None:
    """Return what several candidates did to the metric that verdicts are on; None of one alone."""
    found = [(each, first[1]) for each in comparisons if (first := headline(each.metrics))]
    if len(found) < 2:
        return None
    axis = _axis([metric for _, metric in found], margin)
    return {
        "axis": axis,
        "rows": [(each, _row(_settings(each), metric, axis)) for each, metric in found],
    }


def _settings(comparison: Comparison) -> str:
    """Return what was asked for of a candidate."""
    candidate = comparison.sides[-1]
    shown = ", ".join(f"{name} {value}" for name, value in candidate.settings.items())
    return shown or candidate.variant


def _axis(metrics: Sequence[ComparedMetric], margin: float) -> RatioAxis:
    ends = [end for metric in metrics for end in (metric.ratio, metric.ci_low, metric.ci_high)]
    return RatioAxis([end for end in ends if end is not None], margin)


def _row(name: str, metric: ComparedMetric, axis: RatioAxis) -> Row:
    change, interval, _ = change_cells(metric)
    return Row(
        printable(name),
        show_value(metric.base, metric.unit),
        show_value(metric.candidate, metric.unit),
        change,
        interval,
        metric.verdict,
        "" if metric.mde is None else size_text(metric.mde),
        metric.n,
        None if metric.reason is None else printable(metric.reason),
        axis.mark(metric.ratio, metric.ci_low, metric.ci_high),
    )


def _noise_line(comparison: Comparison) -> str:
    noise = comparison.noise
    parts = []
    if noise.metric is not None and noise.deviation is not None:
        parts.append(
            f"{100 * noise.deviation:.2g} % is the standard deviation of the ratio of two repeats "
            f"of {printable(noise.metric)}"
        )
    parts.append(f"{noise.disturbed} of {noise.repeats} repeats disturbed by other work")
    if noise.unjudged:
        parts.append(f"{noise.unjudged} not judged")
    if noise.other_runs:
        parts.append(f"the intervals allow for how much {noise.other_runs} other runs differ")
    return "; ".join(parts)


def _environment_lines(comparison: Comparison, runs: Mapping[str, RunRecord]) -> list[str] | None:
    """Return what differs between the environments of base and candidate; None is unknown."""
    records = [runs.get(side.run_id) for side in comparison.sides]
    known = [read_environment(record.environment) for record in records if record is not None]
    if len(known) != 2:
        return None
    return [printable(line) for line in differences(*known)]
