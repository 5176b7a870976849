"""A comparison: as text for people, and as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from beambench.presentation.layout import Page, TableColumn, escape
from beambench.presentation.markdown import cell, table
from beambench.presentation.values import show_value

if TYPE_CHECKING:  # the record is slow to import, and some verbs do not need it
    from beambench.record.comparison import ComparedMetric, Comparison, Side

HEADERS = ("base", "candidate", "change", "95 % interval", "verdict", "detectable", "n")
SCHEDULES = {
    "interleaved": "measured in turns",
    "duet": "measured at the same time",
    "stored": "two stored runs",
}


def print_comparison(comparison: Comparison) -> None:
    """Print a comparison: the sentence, metrics, stages, noise, warnings."""
    out = Page()
    schedule = SCHEDULES[comparison.schedule]
    out.print(f"[bold]{escape(comparison.benchmark)}[/bold]  {schedule}")
    for side in comparison.sides:
        out.print(escape(_side_line(side)))
    out.print(escape(comparison.sentence))
    _print_table(out, "metric", comparison.metrics)
    _print_table(out, "time of an element in", comparison.stages)
    for line in _notes(comparison):
        out.print(escape(line))
    for warning in comparison.warnings:
        out.print(f"[yellow]warning:[/yellow] {escape(warning)}")
    status = comparison.status.replace("_", " ")
    out.print(f"comparison {escape(comparison.comparison_id)}: {status}")


def print_candidates(comparisons: Sequence[Comparison]) -> None:
    """Print what several candidates did to the first metric, a row for each."""
    rows = []
    for comparison in comparisons:
        name, metric = next(iter(comparison.metrics.items()), ("", None))
        settings = comparison.sides[1].settings
        shown = ", ".join(f"{key} {value}" for key, value in settings.items())
        cells = _cells(metric)[2:] if metric is not None else ["", "", comparison.verdict, "", "0"]
        rows.append([shown, name, *cells])
    columns = [
        TableColumn("candidate"),
        TableColumn("metric", whole=True),
        *(TableColumn(name, right=name != "verdict", whole=True) for name in HEADERS[2:]),
    ]
    Page().print_table(columns, rows)


def as_markdown(comparison: Comparison) -> str:
    """Return a comparison for a pull request: the sentence first, tables and notes after it."""
    lines = [
        f"### {cell(comparison.benchmark)}: {comparison.verdict}",
        "",
        cell(comparison.sentence),
        "",
        *_markdown_table("metric", comparison.metrics),
        *_markdown_table("time of an element in", comparison.stages),
        *(f"- {cell(_side_line(side))}" for side in comparison.sides),
        *(f"- {cell(line)}" for line in _notes(comparison)),
        *(f"- **warning:** {cell(warning)}" for warning in comparison.warnings),
        f"- comparison {cell(comparison.comparison_id)}: {SCHEDULES[comparison.schedule]}, "
        f"{cell(comparison.created_at)}, {comparison.status.replace('_', ' ')}",
    ]
    return "\n".join(lines) + "\n"


def _print_table(out: Page, header: str, metrics: Mapping[str, ComparedMetric]) -> None:
    if metrics:
        out.print_table(_columns(header), _rows(metrics))


def _markdown_table(header: str, metrics: Mapping[str, ComparedMetric]) -> list[str]:
    return [*table(_columns(header), _rows(metrics)), ""] if metrics else []


def _columns(header: str) -> list[TableColumn]:
    return [
        TableColumn(header, whole=True),
        *(TableColumn(name, right=name != "verdict", whole=True) for name in HEADERS),
    ]


def _rows(metrics: Mapping[str, ComparedMetric]) -> list[list[str]]:
    return [[name, *_cells(metric)] for name, metric in metrics.items()]


def _cells(metric: ComparedMetric) -> list[str]:
    from beambench.experiments.comparison.sentence import size_text

    change, interval, n = change_cells(metric)
    return [
        show_value(metric.base, metric.unit),
        show_value(metric.candidate, metric.unit),
        change,
        interval,
        metric.verdict,
        "" if metric.mde is None else size_text(metric.mde),
        n,
    ]


def change_cells(metric: ComparedMetric | None) -> tuple[str, str, str]:
    """Return change, interval and n of a metric as cells of a table, empty ones for none."""
    from beambench.experiments.comparison.sentence import percent_text

    if metric is None:
        return "", "", ""
    interval = ""
    if metric.ci_low is not None and metric.ci_high is not None:
        interval = f"{percent_text(metric.ci_low)} … {percent_text(metric.ci_high)}"
    return percent_text(metric.ratio), interval, f"{metric.n}"


def _side_line(side: Side) -> str:
    settings = ", ".join(f"{key} {value}" for key, value in side.settings.items())
    packages = ", ".join(f"{name} {version}" for name, version in side.packages.items())
    parts = [f"{side.name}: run {side.run_id}", f"variant {side.variant}", settings, packages]
    return "; ".join([*filter(None, parts), f"n = {side.n}"])


def _notes(comparison: Comparison) -> list[str]:
    """Return what has to be known to read the tables, a line each."""
    noise, lines = comparison.noise, []
    if noise.deviation is not None:
        lines.append(
            f"noise of {noise.metric}: {100 * noise.deviation:.2g} % (standard deviation of the "
            f"ratio of two repeats); {noise.disturbed} of {noise.repeats} repeats disturbed"
            + (f", {noise.unjudged} not judged" if noise.unjudged else "")
        )
    reasons = {metric.reason for metric in comparison.metrics.values() if metric.reason is not None}
    lines += [f"no verdict: {reason}" for reason in sorted(reasons)]
    lines += [f"not alike: {difference}" for difference in comparison.differences]
    lines += [f"{name} is not compared: {why}" for name, why in comparison.left_out.items()]
    return lines
