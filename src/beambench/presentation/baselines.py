"""Baselines, and what a gate says of a run beside one: terminal, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from beambench.presentation.layout import Page, TableColumn, escape
from beambench.presentation.markdown import cell, table
from beambench.presentation.values import show_value
from beambench.record.baseline import Baseline
from beambench.watch.gate import GateReport

COLUMNS = [
    TableColumn(name, right=name not in ("metric", "verdict"))
    for name in ("metric", "baseline", "run", "slowdown", "90 %", "verdict", "false failures")
]


def print_baselines(action: str, baselines: Sequence[Baseline]) -> None:
    """Print what was done to baselines, with their runs."""
    done = {"save": "saved ", "rm": "removed "}.get(action, "")
    for each in baselines:
        Page().print(
            f"{done}[bold]{escape(each.name)}[/bold]: {escape(each.benchmark)}, "
            f"{len(each.run_ids)} runs, {each.created_at[:19]}"
        )
        if action in ("save", "show"):
            for run_id in each.run_ids:
                Page().print_entry(f"  {escape(run_id)}")
    if not baselines:
        Page().print("no baseline in this store")


def print_report(report: GateReport) -> None:
    page = Page()
    page.print(f"[bold]{report.verdict}[/bold]: {escape(report.sentence)}")
    if report.metrics:
        page.print_table(COLUMNS, _rows(report))


def report_markdown(report: GateReport) -> str:
    """Return a report for a pull request."""
    heading = f"**{report.verdict}**: {cell(report.sentence)}"
    if not report.metrics:
        return heading
    return "\n".join([heading, "", *table(COLUMNS, _rows(report))])


def report_document(report: GateReport) -> dict[str, Any]:
    """Return a report as JSON."""
    return asdict(report)


def _rows(report: GateReport) -> list[list[str]]:
    return [
        [
            each.metric,
            show_value(each.base, each.unit),
            show_value(each.candidate, each.unit),
            f"{each.slowdown:+.1%}",
            f"{each.low:+.1%} to {each.high:+.1%}",
            each.verdict,
            f"{each.replay.failed} of {each.replay.runs}",
        ]
        for each in report.metrics
    ]
