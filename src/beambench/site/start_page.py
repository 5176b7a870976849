"""The start page: every benchmark in one table, those that need somebody first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import jinja2

from beambench.site.data.outlines import BenchmarkOutline
from beambench.site.templating import Page, render
from beambench.times import parse_time
from beambench.watch.alarms import missing_summary, show_duration

WIDTH, HEIGHT = 120, 28
"""Of the small line of a benchmark's history, in units of its drawing."""

MARGIN = 3

Line = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class StartRow:
    """A benchmark on the start page.

    Attributes:
        flags: `failing` if its newest run is in no history, `alarm` if an alarm is new or open,
            `stale` if runs are missing.
        age: of its newest run when the page was written.
        silence: why it is stale; None if it is not.
        lines: points of its history, as an SVG polyline has them, a line for each group; empty
            where there are fewer than two.
    """

    outline: BenchmarkOutline
    flags: tuple[str, ...]
    age: str
    silence: str | None
    lines: tuple[Line, ...]


def render_start(
    templates: jinja2.Environment, page: Page, outlines: Sequence[BenchmarkOutline]
) -> str:
    """Return the start page."""
    rows = sorted(
        (_row(outline, page.built_at) for outline in outlines),
        key=lambda row: (not row.flags, row.outline.name),
    )
    values = {
        "rows": rows,
        "runs": sum(outline.runs for outline in outlines),
        "comparisons": sorted(_comparisons(outlines), key=lambda each: each[1], reverse=True),
        "width": WIDTH,
        "height": HEIGHT,
    }
    return render(templates, "index.html", page, values)


def _row(outline: BenchmarkOutline, now: str) -> StartRow:
    silent = outline.silence(now)
    flags = {
        "failing": outline.problem is not None,
        "alarm": bool(outline.alarms),
        "stale": silent is not None,
    }
    stale = None
    if silent is not None and outline.period is not None:
        stale = missing_summary(silent, outline.period)
    return StartRow(
        outline=outline,
        flags=tuple(name for name, is_set in flags.items() if is_set),
        age=_age(outline.newest, now),
        silence=stale,
        lines=_lines(outline.history),
    )


def _age(newest: str | None, now: str) -> str:
    if newest is None:
        return "no run"
    seconds = (parse_time(now) - parse_time(newest)).total_seconds()
    return f"{show_duration(max(0.0, seconds))} ago"


def _lines(pieces: Sequence[Sequence[float]]) -> tuple[Line, ...]:
    values = [value for piece in pieces for value in piece]
    if len(values) < 2:
        return ()
    low, high = min(values), max(values)
    span, step = high - low or 1.0, (WIDTH - 2 * MARGIN) / (len(values) - 1)
    points = (
        (
            round(MARGIN + at * step, 1),
            round(HEIGHT - MARGIN - (value - low) / span * (HEIGHT - 2 * MARGIN), 1),
        )
        for at, value in enumerate(values)
    )
    return tuple(tuple(islice(points, len(piece))) for piece in pieces)


def _comparisons(outlines: Sequence[BenchmarkOutline]) -> Iterator[tuple[str, str]]:
    """Yield benchmark and id of the comparisons that were stored."""
    for outline in outlines:
        for comparison in outline.comparisons:
            yield outline.name, comparison
