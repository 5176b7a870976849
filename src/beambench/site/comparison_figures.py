"""The figures of a comparison: its pairs, or the repeats of two runs, as points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from beambench.experiments.comparison.sentence import percent_text
from beambench.presentation.values import show_value
from beambench.printable import printable
from beambench.record.comparison import ComparedMetric, Comparison, Pair, SideName
from beambench.record.run_record import RunRecord
from beambench.site.ratio_axis import RatioAxis, Tick

MOST_POINTS = 400
"""Points of a figure: of more pairs every so many are drawn; the table below has all of them."""


@dataclass(frozen=True)
class Point:
    """A pair or a repeat: where it stands in its figure, in percent, and what it says."""

    x: float
    y: float
    title: str
    first: str


@dataclass(frozen=True)
class Figure:
    """The values that one metric was compared by.

    Attributes:
        band: top and bottom of the interval, in percent of the height; None without one.
        ticks: of the vertical axis, their places from the top.
    """

    metric: str
    points: Sequence[Point]
    ticks: Sequence[Tick]
    middle: float
    band: tuple[float, float] | None
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def figures_of(comparison: Comparison, runs: Mapping[str, RunRecord]) -> list[Figure]:
    """Return a figure for each metric whose values are known: pairs, or the repeats of two runs."""
    figures = []
    for name, metric in comparison.metrics.items():
        figure = (
            _pairs_figure(comparison, name, metric)
            if comparison.pairs
            else _repeats_figure(comparison, runs, name, metric)
        )
        if figure is not None:
            figures.append(figure)
    return figures


def _pairs_figure(comparison: Comparison, name: str, metric: ComparedMetric) -> Figure | None:
    """Return the ratios of pairs, in the order in which they were measured."""
    pairs = [
        (pair, pair.candidate[name] / pair.base[name])
        for pair in comparison.pairs
        if pair.base.get(name, 0) > 0 and pair.candidate.get(name, 0) > 0
    ]
    if not pairs:
        return None
    ends = [end for end in (metric.ci_low, metric.ci_high) if end is not None]
    axis = RatioAxis([*(ratio for _, ratio in pairs), *ends], comparison.margin)
    rows = [
        [
            f"{pair.block + 1}",
            "at once" if comparison.schedule == "duet" else f"{_first(pair)} first",
            show_value(pair.base[name], metric.unit),
            show_value(pair.candidate[name], metric.unit),
            percent_text(ratio),
        ]
        for pair, ratio in pairs
    ]
    points = [
        Point(
            _across(at, len(pairs)),
            100 - axis.at(ratio),
            f"block {row[0]}: base {row[2]}, candidate {row[3]}, {row[4]}, {row[1]}",
            "base" if comparison.schedule == "duet" else _first(pair),
        )
        for at, ((pair, ratio), row) in enumerate(zip(pairs, rows, strict=True))
    ]
    return Figure(
        printable(name),
        points[:: math.ceil(len(points) / MOST_POINTS)],
        [Tick(tick.label, round(100 - tick.at, 2)) for tick in axis.ticks()],
        100 - axis.at(metric.ratio),
        (100 - axis.at(ends[1]), 100 - axis.at(ends[0])) if len(ends) == 2 else None,
        ("block", "order", "base", "candidate", "change"),
        rows,
    )


def _first(pair: Pair) -> SideName:
    return pair.order[0] if pair.order else "base"


def _repeats_figure(
    comparison: Comparison, runs: Mapping[str, RunRecord], name: str, metric: ComparedMetric
) -> Figure | None:
    """Return the repeats of two runs, base and then candidate, against the median of the base."""
    values = [
        (side.name, repeat.index, repeat.metrics[name].value)
        for side in comparison.sides
        if side.run_id in runs
        for repeat in runs[side.run_id].repeats
        if repeat.counts and name in repeat.metrics and repeat.metrics[name].value > 0
    ]
    of_base = [value for side, _, value in values if side == "base"]
    if not of_base or len(of_base) == len(values):
        return None
    middle = median(of_base)
    axis = RatioAxis([value / middle for _, _, value in values], comparison.margin)
    rows = [
        [side, f"{index + 1}", show_value(value, metric.unit), percent_text(value / middle)]
        for side, index, value in values
    ]
    points = [
        Point(
            _across(at, len(values)),
            100 - axis.at(value / middle),
            f"{side}, repeat {index + 1}: {row[2]}, {row[3]} of the base's median",
            side,
        )
        for at, ((side, index, value), row) in enumerate(zip(values, rows, strict=True))
    ]
    return Figure(
        printable(name),
        points[:: math.ceil(len(points) / MOST_POINTS)],
        [Tick(tick.label, round(100 - tick.at, 2)) for tick in axis.ticks()],
        100 - axis.at(metric.ratio),
        None,
        ("side", "repeat", "value", "against base's median"),
        rows,
    )


def _across(at: int, count: int) -> float:
    """Return where the at-th of so many points stands, in percent, away from the edges."""
    return round(3 + 94 * (at + 0.5) / count, 2)
