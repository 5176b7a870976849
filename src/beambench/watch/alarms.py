"""What is wrong with the histories of a store: levels gone worse, missing runs, new definitions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal

from beambench.analysis.change_points.evaluation import NEAR
from beambench.analysis.change_points.monitor import AlarmMonitor
from beambench.analysis.change_points.policy import Alarm, AlarmPolicy
from beambench.times import parse_time
from beambench.watch.series import HistoricRun, Level, Series, level_at, series_of_runs

METRICS = ("throughput_elements", "element_latency_mean", "cpu_time_per_element", "model_load_time")
"""What is watched unless others are named."""

MISSING_AFTER = 3
"""Expected periods without a run after which runs are missing."""

LEAST_PERIODS = 3
"""Periods between runs from which the expected one, their median, is known."""

REMAINING = 0.5
"""Share of a change, as a logarithm, that is left at most once it has recovered."""

RECENT = 5
"""Points whose median is the level of now."""

State = Literal["new", "open", "recovered"]
Kind = Literal["change", "missing", "definition"]


@dataclass(frozen=True)
class WorseLevel:
    """The last change for the worse of a series.

    Attributes:
        series: in which it is.
        level: the change, since which point, and what changed with it.
        observed_at: name of the point that raised it.
        raised_at: when that one began.
        state: `new` if the newest point raised it; `recovered` once half of it is gone.
    """

    series: Series
    level: Level
    observed_at: str
    raised_at: str
    state: State


@dataclass(frozen=True)
class WatchAlarm:
    """What is wrong with one metric of a benchmark, or with its runs.

    Attributes:
        kind: `change` to a worse level; `missing` runs; another `definition`, with too few runs yet
            to see a change.
        metric: None unless a level changed.
        summary: in a line.
        raised_at: when the run began that raised it; of missing runs, the last one; ISO 8601.
        levels: of the metric, in all series of the benchmark.
    """

    benchmark: str
    kind: Kind
    metric: str | None
    state: State
    summary: str
    raised_at: str
    levels: tuple[WorseLevel, ...] = ()


def alarms_of_benchmark(
    benchmark: str,
    runs: Sequence[HistoricRun],
    metrics: Iterable[str],
    policy: AlarmPolicy,
    now: str,
) -> list[WatchAlarm]:
    """Return what is wrong with a benchmark, one alarm for each metric that went to a worse level.

    Args:
        benchmark: its name.
        runs: its runs, in any order.
        metrics: their names; one that no run has is passed over.
        policy: when a change is raised.
        now: the time, ISO 8601.
    """
    alarms = []
    for metric in metrics:
        if any(metric in run.metrics for run in runs):
            series, _ = series_of_runs(runs, metric, policy)
            levels = [level for each in series if (level := _worse_level(each, policy))]
            if levels:
                alarms.append(_change(benchmark, metric, levels))
    return alarms + _missing(benchmark, runs, now) + _redefined(benchmark, runs, policy)


def _worse_level(series: Series, policy: AlarmPolicy) -> WorseLevel | None:
    """Return the last change for the worse that was raised, None if there was none."""
    worse: Alarm | None = None
    first_seen = 0
    monitor = AlarmMonitor(policy)
    for point in series.points:
        alarm = monitor.observe(point.value, group=point.group)
        if alarm is not None and series.better not in (None, alarm.direction):
            worse = alarm
            first_seen = alarm.observed_at if alarm.revises is None else alarm.revises
    if worse is None:
        return None
    points = series.points
    state: State = "new" if first_seen == len(points) - 1 else "open"
    if _recovered(series, worse):
        state = "recovered"
    raised_by = points[first_seen]
    level = _in_hindsight(series, worse)
    return WorseLevel(series, level, raised_by.name, raised_by.time, state)


def _in_hindsight(series: Series, alarm: Alarm) -> Level:
    """Return the change that raised an alarm as all values show it, or as it was raised."""
    near = [
        level
        for level in series.levels
        if level.change.direction == alarm.direction
        and abs(level.change.index - alarm.index) <= NEAR
    ]
    if not near:
        return level_at(series.points, alarm)
    return min(near, key=lambda level: abs(level.change.index - alarm.index))


def _recovered(series: Series, alarm: Alarm) -> bool:
    """Tell whether at most half of a change is left at the newest points of its group."""
    points, group = series.points, series.points[alarm.index].group
    later = [point.value for point in points[alarm.index :] if point.group == group]
    start = max(0, alarm.index - RECENT)
    before = [point.value for point in points[start : alarm.index] if point.group == group]
    left = math.log(statistics.median(later[-RECENT:]) / statistics.median(before))
    return left / math.log(alarm.ratio) <= REMAINING


def _change(benchmark: str, metric: str, levels: Sequence[WorseLevel]) -> WatchAlarm:
    """Fold the changes of all series into one alarm, in the state of the most urgent."""
    states = {level.state for level in levels}
    state: State = "new" if "new" in states else "open" if "open" in states else "recovered"
    shown = [level for level in levels if level.state == state]
    texts = [
        f"{level.level.change.ratio - 1:+.1%} since {level.level.point.name}" for level in shown
    ]
    raised_at = max((level.raised_at for level in shown), key=parse_time)
    summary = f"{metric}: {'; '.join(texts)}"
    return WatchAlarm(benchmark, "change", metric, state, summary, raised_at, tuple(levels))


def expected_period(starts: Sequence[datetime]) -> float | None:
    """Return the seconds that commonly lie between runs; None of too few to know.

    Args:
        starts: when they began, the earliest first.
    """
    periods = [(later - earlier).total_seconds() for earlier, later in pairwise(starts)]
    return statistics.median(periods) if len(periods) >= LEAST_PERIODS else None


def _missing(benchmark: str, runs: Sequence[HistoricRun], now: str) -> list[WatchAlarm]:
    starts = sorted(parse_time(run.started_at) for run in runs)
    period = expected_period(starts)
    if period is None:
        return []
    silent = (parse_time(now) - starts[-1]).total_seconds()
    if not 0 < MISSING_AFTER * period < silent:
        return []
    summary = missing_summary(silent, period)
    last = starts[-1].isoformat()
    return [WatchAlarm(benchmark, "missing", None, "open", summary, last)]


def missing_summary(silent: float, period: float) -> str:
    """Return in words that no run came for some seconds, where one comes every period."""
    return f"no run for {show_duration(silent)}, where one came every {show_duration(period)}"


def show_duration(seconds: float) -> str:
    """Return a duration in the largest unit of which there are two."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def _redefined(
    benchmark: str, runs: Sequence[HistoricRun], policy: AlarmPolicy
) -> list[WatchAlarm]:
    """Return an alarm for a variant and profile whose definition changed a few runs ago."""
    alarms = []
    for variant, profile in sorted({(run.variant, run.profile) for run in runs}):
        alike = [run for run in runs if (run.variant, run.profile) == (variant, profile)]
        alike.sort(key=lambda run: (run.started_at, run.run_id))
        newest = alike[-1].definition_hash
        since = len(alike)
        while since and alike[since - 1].definition_hash == newest:
            since -= 1
        count = len(alike) - since
        if since and count < policy.first_runs + policy.least_runs:
            summary = (
                f"{variant}, {profile}: another definition since {alike[since].run_id}: no change "
                f"can be seen before {policy.first_runs + policy.least_runs} runs ({count} yet)"
            )
            state: State = "new" if count == 1 else "open"
            began = alike[since].started_at
            alarms.append(WatchAlarm(benchmark, "definition", None, state, summary, began))
    return alarms
