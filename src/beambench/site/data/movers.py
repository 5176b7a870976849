"""What changed in a quarter: the newest runs of each series beside those before the quarter.

With k runs before it and the newest m, l the difference of the means of their logarithms, positive
where the newest are worse, and s the deviation of a run about its level::

    e = s·√(1/k + 1/m)
    effect ÷ noise = l/e

Real is what a change point in the quarter explains too; noise is what chance alone gives more often
than in `CHANCE` of all series, by Student's t with the degrees of freedom of s.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from beambench.analysis.change_points.policy import FARTHEST
from beambench.analysis.student_t import upper_tail
from beambench.site.data.costs import METRIC as COST
from beambench.site.data.histories import BenchmarkHistory
from beambench.times import parse_time
from beambench.watch.alarms import METRICS
from beambench.watch.gate import LEAST_FREEDOM
from beambench.watch.series import Series

QUARTER = timedelta(days=91)
BEFORE, NEWEST = 10, 5
"""Runs that are compared, at most: the last before the quarter, and the newest of it."""

LEAST = 3
CHANCE = 0.0027
"""Share of series that chance alone takes beyond noise, in either direction."""

CLEAREST = 1000.0
"""Effect ÷ noise where there is no noise."""

Judgement = Literal["worse", "better", "unsure", "noise"]


class Mover(BaseModel):
    """How a series moved in a quarter, or why that cannot be said.

    Attributes:
        series: its kind, in words.
        change: new ÷ old, minus 1; None where it cannot be said, for a `reason`.
        effect: difference ÷ its standard error, positive where it is worse.
        noise: coefficient of variation of a run.
        before, newest: how many runs were compared.
        judgement: `unsure` is beyond noise, without a change point that explains it.
        since: run of the last change point in the quarter.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    series: str
    metric: str
    reason: str | None = None
    change: float | None = None
    effect: float | None = None
    noise: float | None = None
    before: int = 0
    newest: int = 0
    judgement: Judgement = "noise"
    since: str | None = None


def movers_of(history: BenchmarkHistory) -> Iterator[Mover]:
    """Yield how each watched series moved in the quarter up to the benchmark's newest run."""
    if not history.runs:
        return
    begin = parse_time(history.runs[-1].started_at) - QUARTER
    for kind in history.kinds:
        label = " · ".join(kind.kind)
        for metric in (*METRICS, COST):
            series = kind.series.get(metric)
            if series is not None:
                first = next(
                    (
                        at
                        for at, point in enumerate(series.points)
                        if parse_time(point.time) >= begin
                    ),
                    len(series.points),
                )
                yield _mover(series, label, first)


def _mover(series: Series, label: str, first: int) -> Mover:
    """Judge a series whose point of an index is the first of the quarter."""

    def unknown(reason: str) -> Mover:
        return Mover(series=label, metric=series.metric, reason=reason)

    points = series.points
    if first == len(points):
        return unknown("no run in the quarter")
    group, noise = points[-1].group, series.noise()
    old = [point.value for point in points[:first] if point.group == group][-BEFORE:]
    new = [point.value for point in points[first:] if point.group == group][-NEWEST:]
    if series.better is None:
        return unknown("neither direction is better")
    if len(old) < LEAST:
        return unknown(f"fewer than {LEAST} runs before the quarter on this machine and definition")
    if len(new) < LEAST:
        return unknown(f"fewer than {LEAST} runs in the quarter on this machine and definition")
    if noise.freedom < LEAST_FREEDOM:
        return unknown("too few runs to know the noise")
    deviation = math.sqrt(noise.squares / noise.freedom)
    shift = statistics.fmean(map(math.log, new)) - statistics.fmean(map(math.log, old))
    worse = -1 if series.better == "up" else 1
    error = deviation * math.sqrt(1 / len(old) + 1 / len(new))
    effect = worse * (shift / error if error else math.copysign(CLEAREST, shift) if shift else 0)
    levels = [
        level
        for level in series.levels
        if level.change.index >= first and (level.change.direction == "up") == (shift > 0)
    ]
    judgement: Judgement = "noise"
    if upper_tail(abs(effect), noise.freedom) <= CHANCE / 2:
        judgement = "unsure" if not levels else "worse" if effect > 0 else "better"
    return Mover(
        series=label,
        metric=series.metric,
        change=math.expm1(min(shift, FARTHEST)),
        effect=effect,
        noise=deviation,
        before=len(old),
        newest=len(new),
        judgement=judgement,
        since=levels[-1].point.name if levels else None,
    )
