"""Alarms of a store, and what policies would have done, in the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from beambench.presentation.histories import describe
from beambench.presentation.layout import Page, TableColumn, escape
from beambench.watch.alarms import WatchAlarm
from beambench.watch.backtest import Backtest
from beambench.watch.github.issues import Outcome
from beambench.watch.github.marker import AlarmKey
from beambench.watch.series import Series

ORDER = ("new", "open", "recovered")


def print_alarms(alarms: Sequence[WatchAlarm], watched: int) -> None:
    """Print alarms, the newest first, each with its changes and what changed with them."""
    page = Page()
    for alarm in sorted(alarms, key=lambda alarm: ORDER.index(alarm.state)):
        page.print(
            f"[bold]{alarm.state}[/bold]  {escape(alarm.benchmark)}: {escape(alarm.summary)}"
        )
        for worse in alarm.levels:
            kind = ", ".join(worse.series.kind or ())
            page.print(f"  {escape(kind)}, {worse.state}, raised by {escape(worse.observed_at)}")
            for line in describe(worse.level, worse.series):
                page.print(f"  {escape(line)}")
    active = sum(1 for alarm in alarms if alarm.state != "recovered")
    benchmarks = f"{watched} {'benchmark' if watched == 1 else 'benchmarks'}"
    page.print(f"{benchmarks} watched, {active} {'alarm' if active == 1 else 'alarms'}")


def alarms_document(
    alarms: Sequence[WatchAlarm], outcomes: Sequence[Outcome] | None = None
) -> list[dict[str, Any]]:
    """Return alarms as JSON.

    Args:
        alarms: all there are.
        outcomes: of their issues, and of those whose alarm is gone; None: no issue was asked for.
    """
    issues = {outcome.key: _issue(outcome) for outcome in outcomes or ()}
    documents = [
        {
            "benchmark": alarm.benchmark,
            "kind": alarm.kind,
            "metric": alarm.metric,
            "state": alarm.state,
            "summary": alarm.summary,
            "changes": [
                asdict(worse.level.change)
                | {
                    "series": worse.series.kind._asdict() if worse.series.kind else None,
                    "since": worse.level.point.name,
                    "observed_by": worse.observed_at,
                    "state": worse.state,
                    "environment": list(worse.level.environment),
                }
                for worse in alarm.levels
            ],
        }
        | ({} if outcomes is None else {"issue": issues.get(AlarmKey.of(alarm))})
        for alarm in alarms
    ]
    gone = issues.keys() - {AlarmKey.of(alarm) for alarm in alarms}
    return documents + [
        {**key._asdict(), "state": "gone", "summary": "", "changes": [], "issue": issues[key]}
        for key in sorted(gone, key=str)
    ]


def _issue(outcome: Outcome) -> dict[str, Any]:
    return {"action": outcome.action, "number": outcome.number, "url": outcome.url}


def print_backtests(
    name: str, series: Series, results: Sequence[Backtest], runs_a_year: float
) -> None:
    """Print a table: a line for each policy, that in force first."""
    first = results[0]
    kind = ", ".join(series.kind or ())
    Page().print(
        f"[bold]{escape(name)}[/bold], {escape(kind)}: {escape(series.metric)} of "
        f"{len(series.points)} runs, noise {first.noise:.1%}"
    )
    sizes = list(first.detections)
    columns = [
        TableColumn("policy", whole=True),
        TableColumn("alarms in the history", right=True),
        TableColumn("false alarms a year", right=True),
        TableColumn("clean histories with one", right=True),
        *(TableColumn(f"±{size:.0%} seen, after runs", right=True) for size in sizes),
    ]
    rows = []
    for result in results:
        policy = result.policy
        label = f"threshold {policy.threshold:g} to {policy.settled_threshold:g}"
        rows.append(
            [
                label + (", in force" if result is first else ""),
                f"{result.alarms} in {result.looks} looks",
                f"{result.false_alarms_a_year(runs_a_year):.2g}",
                f"{result.false.share:.1%}",
                *(
                    f"{seen.share:.0%}" + (f", {seen.runs:.1f}" if seen.runs is not None else "")
                    for seen in result.detections.values()
                ),
            ]
        )
    Page().print_table(columns, rows)
    Page().print(
        f"{first.false.histories} histories of {first.false.looks // first.false.histories} looks "
        f"from this noise for each figure; {runs_a_year:.0f} runs a year"
    )


def backtest_document(
    name: str, series: Series, results: Sequence[Backtest], runs_a_year: float
) -> dict[str, Any]:
    """Return what policies would have done as JSON."""
    return {
        "name": name,
        "metric": series.metric,
        "kind": series.kind._asdict() if series.kind is not None else None,
        "runs": len(series.points),
        "noise": results[0].noise,
        "runs_a_year": runs_a_year,
        "policies": [
            {
                "policy": asdict(result.policy),
                "in_force": result is results[0],
                "alarms_in_history": result.alarms,
                "looks_at_history": result.looks,
                "false_alarms_a_year": result.false_alarms_a_year(runs_a_year),
                "clean_histories_alarmed": result.false.share,
                "repetitions": result.false.histories,
                "steps": {
                    f"{size:g}": {"seen": seen.share, "runs": seen.runs, "distance": seen.distance}
                    for size, seen in result.detections.items()
                },
            }
            for result in results
        ],
    }
