"""A chart as a figure of Matplotlib: the same points, levels and marks that the site shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from beambench.presentation.values import show_value
from beambench.printable import printable
from beambench.record.environment import read_environment
from beambench.site.data.chart_list import Chart, title_of
from beambench.site.data.histories import BenchmarkHistory, KindHistory
from beambench.store.summaries import HistoryRun
from beambench.times import parse_time
from beambench.watch.series import Series

COLOURS = (
    "#0072b2", "#d55e00", "#008f68", "#b5588e", "#b37500", "#2f8fc7", "#7f7700", "#4a4f57",
)  # fmt: skip
"""Of Okabe and Ito, as the site has them: the colour-blind can tell them apart."""

MARKERS = "osD^vPX*"
WIDTH_IN, HEIGHT_IN = 9.0, 3.4
MOST_LABEL = 90
MOST_CHANGES = 6
"""Changes of a line that have their size written beside them, the greatest."""

SPREAD = 3.0
"""Ratio of medians beyond which two lines have axes of their own."""

LEAST_OF_LEVEL = 2
MUTED = "#545d69"
JITTER = 0.16
DAY_S = 86400
LARGEST = 1e200
"""A value beyond it is left out: the library cannot scale an axis that has to hold it."""


def figure_of(history: BenchmarkHistory, chart: Chart, built_at: str) -> Figure | None:
    """Return a chart of a benchmark; None where no run has a value for it.

    Args:
        history: of the benchmark.
        chart: one of its page.
        built_at: what is written below, ISO 8601.
    """
    parts = [
        (unit, names, panel)
        for unit, names in _by_unit(history, chart)
        for panel in _panels(_lines(history, names), is_split=len(names) == 1)
    ]
    if not parts:
        return None
    figure = Figure((WIDTH_IN, HEIGHT_IN * len(parts) + 0.4), layout="constrained")
    figure.suptitle(_plain(f"{history.name}: {chart.title}"), fontsize=11, x=0.01, ha="left")
    all_axes = figure.subplots(len(parts), 1, squeeze=False)[:, 0]
    for axes, (unit, names, lines) in zip(all_axes, parts, strict=True):
        draw = _draw_by_version if chart.x == "sdk" else _draw_by_time
        draw(axes, lines)
        _dress(axes, unit, title_of(names[0]) if len(names) == 1 else _kind_text(lines[0].kind))
    figure.text(0.995, 0.003, f"beambench, {built_at[:10]}", ha="right", fontsize=7, color=MUTED)
    return figure


class Line:
    """A metric of runs of one kind."""

    def __init__(self, label: str, kind: KindHistory, series: Series, number: int) -> None:
        self.label = label
        self.colour = COLOURS[number % len(COLOURS)]
        self.marker = MARKERS[number % len(MARKERS)]
        self.kind = kind
        self.series = series
        at = {run.run_id: number for number, run in enumerate(kind.runs)}
        self.points = [point for point in series.points if 0 < point.value < LARGEST]
        self.groups = [kind.groups[at[point.name]] for point in self.points]
        self.runs = [kind.runs[at[point.name]] for point in self.points]
        self.days = [_days(point.time) for point in self.points]
        self.values = [point.value for point in self.points]

    def stretches(self) -> list[slice]:
        """Return the points between which a line may be drawn: those of one group."""
        new = [at for at in range(1, len(self.groups)) if self.groups[at] != self.groups[at - 1]]
        return [slice(start, end) for start, end in pairwise([0, *new, len(self.groups)])]


def _kind_text(kind: KindHistory) -> str:
    return " · ".join(kind.kind)


def _by_unit(history: BenchmarkHistory, chart: Chart) -> list[tuple[str, list[str]]]:
    """Return the metrics of a chart by their units: each unit has an axis of its own."""
    of_unit: dict[str, list[str]] = {}
    for name in chart.metrics:
        for kind in history.kinds:
            if name in kind.series:
                of_unit.setdefault(kind.series[name].unit, []).append(name)
                break
    return list(of_unit.items())


def _lines(history: BenchmarkHistory, names: Sequence[str]) -> list[Line]:
    """Return a line for each kind of runs; of several metrics those of the kind with most runs."""
    if len(names) == 1:
        name = names[0]
        lines = [
            Line(_kind_text(kind), kind, kind.series[name], number)
            for number, kind in enumerate(history.kinds)
            if name in kind.series
        ]
    else:
        kind = next(kind for kind in history.kinds if any(name in kind.series for name in names))
        lines = [
            Line(title_of(name), kind, kind.series[name], number)
            for number, name in enumerate(names)
            if name in kind.series
        ]
    return [line for line in lines if line.points]


def _panels(lines: Sequence[Line], *, is_split: bool) -> list[list[Line]]:
    """Return the lines of each axis: runs of a cluster would press those of one machine flat."""
    if not is_split:
        return [list(lines)] if lines else []
    panels: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: -median(line.values)):
        if panels and median(panels[-1][0].values) <= SPREAD * median(line.values):
            panels[-1].append(line)
        else:
            panels.append([line])
    return panels


def _draw_by_time(axes: Axes, lines: Sequence[Line]) -> None:
    for line in lines:
        _draw_line(axes, line)
        _draw_changes(axes, line)
    marked = {
        _days(kind.runs[mark.index].started_at)
        for kind in {id(line.kind): line.kind for line in lines}.values()
        for mark in kind.marks
    }
    for day in sorted(marked):
        axes.axvline(day, color=MUTED, linewidth=0.6, linestyle=(0, (1, 3)), zorder=0)
    axes.xaxis_date("UTC")
    locator = AutoDateLocator(tz="UTC")
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz="UTC"))
    axes.set_xlabel("UTC", fontsize=8, color=MUTED, loc="right")


def _draw_line(axes: Axes, line: Line) -> None:
    colour = line.colour
    days = line.days
    label: str | None = _label(line)
    for part in line.stretches():
        axes.plot(days[part], line.values[part], color=colour, linewidth=0.9, alpha=0.55)
        axes.plot(days[part], line.values[part], linestyle="", marker=line.marker, markersize=2.6,
                  color=colour, label=label)  # fmt: skip
        label = None
    metrics = [run.metrics[line.series.metric] for run in line.runs]
    ends = [
        (day, metric.ci_low, metric.ci_high)
        for day, metric in zip(days, metrics, strict=True)
        if metric.ci_low is not None and metric.ci_high is not None and metric.ci_high < LARGEST
    ]
    if ends:
        places, lows, highs = zip(*ends, strict=True)
        axes.vlines(places, lows, highs, color=colour, linewidth=0.6, alpha=0.35)


def _label(line: Line) -> str:
    """Return the name of a line, with the noise of its values where that is known."""
    noise = line.series.noise()
    text = _plain(line.label)
    if not noise.freedom:
        return text
    return f"{text} (noise {100 * math.sqrt(noise.squares / noise.freedom):.2g} %)"


def _draw_changes(axes: Axes, line: Line) -> None:
    """Draw the level of each stretch, and write beside the greatest changes how great they are."""
    days = {point.name: day for point, day in zip(line.points, line.days, strict=True)}
    for stretch in line.series.stretches():
        within = [point for point in stretch if point.name in days]
        if len(within) >= LEAST_OF_LEVEL:
            middle = median(point.value for point in within)
            ends = [days[within[at].name] for at in (0, -1)]
            axes.plot(ends, [middle, middle], color="#1a1f26", linewidth=1.3, zorder=3)
    changes = sorted(line.series.levels, key=lambda level: -abs(math.log(level.change.ratio)))
    for level in changes[:MOST_CHANGES]:
        if level.point.name not in days:
            continue
        ratio, better = level.change.ratio, line.series.better
        verdict = (
            "" if better is None else ("better" if level.change.direction == better else "worse")
        )
        text = f"{100 * (ratio - 1):+.1f} %".replace("-", "−")
        axes.annotate(
            f"{text} {verdict}".strip(),
            (days[level.point.name], level.point.value),
            xytext=(3, 12 if ratio > 1 else -16),
            textcoords="offset points",
            fontsize=7,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8},
            color={"worse": "#b04300", "better": "#00694d"}.get(verdict, MUTED),
            arrowprops={"arrowstyle": "-", "linewidth": 0.6, "color": MUTED},
        )


def _draw_by_version(axes: Axes, lines: Sequence[Line]) -> None:
    """Draw each run beside others of its version of Beam's SDK, and their median."""
    sdks = {version for line in lines for version in map(_version, line.runs)}
    versions = sorted(sdks, key=_version_order)
    chance = np.random.default_rng(0)
    for number, line in enumerate(lines):
        offset = 0.6 * ((number + 0.5) / len(lines) - 0.5)
        of_runs = [versions.index(_version(run)) + offset for run in line.runs]
        spread = chance.uniform(-JITTER, JITTER, len(of_runs)) / len(lines)
        axes.plot(np.array(of_runs) + spread, line.values, linestyle="", marker=line.marker,
                  markersize=2.6, color=line.colour, alpha=0.45, label=_label(line))  # fmt: skip
        for place in sorted(set(of_runs)):
            values = [value for at, value in zip(of_runs, line.values, strict=True) if at == place]
            half = 0.25 / len(lines)
            axes.hlines(
                median(values), place - half, place + half, color=line.colour, linewidth=2.2
            )
    axes.set_xticks(range(len(versions)), [_plain(version) for version in versions])
    axes.set_xlabel("Apache Beam", fontsize=8, color=MUTED, loc="right")


def _dress(axes: Axes, unit: str, title: str) -> None:
    """Write units, title and legend."""
    axes.set_title(_plain(title), fontsize=8, color=MUTED, loc="left")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _plain(show_value(value, unit))))
    axes.grid(axis="y", color="#eaedf0", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, length=3)
    axes.margins(x=0.02, y=0.12)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.13), fontsize=7, frameon=False, ncols=2)


def _version(run: HistoryRun) -> str:
    return read_environment(run.environment).packages.get("apache-beam", "unknown")


def _version_order(version: str) -> tuple[list[int], str]:
    """Order versions by their numbers; what has none comes first."""
    return [int(part) for part in version.split(".") if part.isdecimal()], version


def _days(time: str) -> float:
    """Return an ISO 8601 time in days since 1970, as the library counts."""
    return parse_time(time).timestamp() / DAY_S


def _plain(text: str) -> str:
    """Return a text of others that is neither a formula of the library nor hidden, and short."""
    shown = printable(text)
    short = shown if len(shown) <= MOST_LABEL else f"{shown[:MOST_LABEL]}…"
    return short.replace("$", r"\$")
