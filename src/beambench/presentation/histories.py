"""The history of a metric in the terminal and as JSON: values in time, and where they changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal, NamedTuple

from beambench.presentation.layout import Page, escape
from beambench.presentation.values import show_value, shown_confidence
from beambench.watch.series import Level, Series

BAR = 24
"""Columns of the widest bar."""

PACKAGES_SHOWN = 6


def print_series(name: str, series: Sequence[Series], left_out: Mapping[str, int]) -> None:
    """Print each series, a line a value, the newest last, with its changes between the lines."""
    for each in series:
        _print_one(name, each)
    for reason, count in sorted(left_out.items()):
        Page().print(f"left out: {count} {'run' if count == 1 else 'runs'}, {escape(reason)}")
    if not series:
        Page().print(f"no run of {escape(name)} in this store that a history could have")


def _print_one(name: str, series: Series) -> None:
    page, n = Page(), len(series.points)
    kind = f", {', '.join(series.kind)}" if series.kind is not None else ""
    better = {"up": "higher is better", "down": "lower is better", None: ""}[series.better]
    heading = ", ".join(filter(None, (f"{series.metric}, n = {n}", better)))
    page.print(f"[bold]{escape(name + kind)}[/bold]: {escape(heading)}")
    for line in drawn(series):
        if line.kind == "value":
            page.print_entry(escape(line.text))
        else:
            page.print(f"[bold]{escape(line.text)}[/bold]" if line.kind == "change" else line.text)
    if not series.levels:
        page.print("no change")


class DrawnLine(NamedTuple):
    """A line of a series that is drawn: a value, a change before it, or another group."""

    kind: Literal["value", "change", "group"]
    text: str


def drawn(series: Series, newest: int | None = None) -> Iterator[DrawnLine]:
    """Yield a line for each of the newest values, and what changed between them.

    Args:
        series: with at least one point.
        newest: how many values; None: all.
    """
    start = 0 if newest is None else max(0, len(series.points) - newest)
    points = series.points[start:]
    levels = {level.change.index: level for level in series.levels}
    low, high = min(p.value for p in points), max(p.value for p in points)
    time_width = max(len(point.time[:19]) for point in points)
    name_width = max(len(point.name) for point in points)
    for index, point in enumerate(points, start):
        if index in levels:
            for text in describe(levels[index], series):
                yield DrawnLine("change", text)
        elif index in series.new_groups:
            what = "group" if series.kind is None else "machine, definition or input"
            text = f"-- another {what}: levels are not compared with those before"
            yield DrawnLine("group", text)
        width = 1 + round((BAR - 1) * (point.value - low) / (high - low)) if high > low else 1
        yield DrawnLine(
            "value",
            f"{point.time[:19]:{time_width}}  {point.name:{name_width}}  "
            f"{show_value(point.value, series.unit):>12}  {'#' * width}",
        )


def describe(level: Level, series: Series) -> list[str]:
    """Return a change in words: how far, since when, better or worse, and what else changed."""
    change = level.change
    verdict = ""
    if series.better is not None:
        verdict = ", better" if change.direction == series.better else ", worse"
    ends = (change.ratio_low - 1, change.ratio_high - 1)
    text = (
        f"-- {change.kind} {change.ratio - 1:+.1%} ({ends[0]:+.1%} to {ends[1]:+.1%}){verdict}, "
        f"confidence {shown_confidence(change.confidence)}, since {level.point.name}"
    )
    if not level.environment:
        return [text]
    shown = "; ".join(level.environment[:PACKAGES_SHOWN])
    rest = len(level.environment) - PACKAGES_SHOWN
    return [text, f"   with it: {shown}" + (f"; and {rest} more" if rest > 0 else "")]


def as_document(name: str, series: Sequence[Series], left_out: Mapping[str, int]) -> dict[str, Any]:
    """Return series as JSON."""
    return {
        "name": name,
        "series": [
            {
                "metric": each.metric,
                "unit": each.unit,
                "better": each.better,
                "kind": each.kind._asdict() if each.kind is not None else None,
                "points": [
                    {"name": point.name, "time": point.time, "value": point.value}
                    for point in each.points
                ],
                "new_segments": list(each.new_groups),
                "changes": [
                    asdict(level.change)
                    | {"since": level.point.name, "environment": list(level.environment)}
                    for level in each.levels
                ],
            }
            for each in series
        ],
        "left_out": dict(left_out),
    }
