"""The data of a benchmark's charts: columns of numbers, in a script that its page loads.

A page from disk may load scripts and no other files, so the data is a call with one argument.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from beambench.metrics.registry import metrics
from beambench.record.environment import Environment, read_environment
from beambench.record.run_record import MetricValue
from beambench.site.data.chart_list import SECTIONS, charts_of, section_of, title_of
from beambench.site.data.costs import FORMULA as COST_FORMULA
from beambench.site.data.costs import METRIC as COST
from beambench.site.data.histories import BenchmarkHistory, KindHistory
from beambench.site.data.packing import packed
from beambench.site.slugs import slug
from beambench.site.templating import script_json
from beambench.store.summaries import HistoryRun
from beambench.times import parse_time
from beambench.watch.alarms import WatchAlarm
from beambench.watch.series import Level, Series

DIGITS, FEWER_DIGITS = 5, 4
"""Significant digits of a value that is drawn with its interval; of others and of intervals."""

WITH_INTERVAL = (
    "throughput_elements",
    "throughput_bytes",
    "element_latency_mean",
    "run_time",
    "estimated_cost",
)
"""Metrics whose intervals are drawn: a page with those of all would be too large."""

COMMIT_DIGITS = 10
LINES_SHOWN, LONGEST_LINE = 8, 200
"""Lines that explain a change, and characters of each."""


def script_of(data: dict[str, Any]) -> str:
    """Return the script that hands data to the charts."""
    small = {**data, "series": [packed(series) for series in data["series"]]}
    return f"beambench.benchmark({script_json(small)});\n"


def chart_data(history: BenchmarkHistory, built_at: str, *, demo: bool) -> dict[str, Any]:
    """Return the data of the charts of a benchmark; times in seconds since 1970, UTC.

    Args:
        history: of the benchmark.
        built_at: ISO 8601.
        demo: whether its runs were made up.
    """
    names = history.metric_names()
    commands = {
        text: at
        for at, text in enumerate(
            dict.fromkeys(_command(run) for kind in history.kinds for run in kind.runs)
        )
    }
    return {
        "benchmark": history.name,
        "built_at": built_at,
        "demo": demo,
        "sections": list(SECTIONS),
        "metrics": _described(history, names),
        "charts": [
            {
                "id": chart.id,
                "title": chart.title,
                "section": chart.section,
                "metrics": list(chart.metrics),
                "x": chart.x,
            }
            for chart in charts_of(names)
        ],
        "series": [
            _series(kind, at, history.alarms, commands) for at, kind in enumerate(history.kinds)
        ],
        "commands": list(commands),
        "left_out": history.left_out,
    }


def _described(history: BenchmarkHistory, names: Iterable[str]) -> dict[str, Any]:
    """Return what is known of each metric, as the newest run that has it says."""
    defined = {metric.name: metric for metric in metrics()}
    newest = dict[str, MetricValue]()
    for kind in history.kinds:
        for run in kind.runs:
            newest |= run.metrics
    described = {}
    for name in names:
        metric = defined.get(name)
        described[name] = {
            "title": title_of(name),
            "unit": newest[name].unit,
            "direction": newest[name].direction,
            "formula": metric.formula if metric else COST_FORMULA if name == COST else "",
            "beam_label": metric.beam_label if metric else None,
            "section": section_of(name),
        }
    return described


def _series(
    history: KindHistory, number: int, alarms: Sequence[WatchAlarm], commands: dict[str, int]
) -> dict[str, Any]:
    runs, kind = history.runs, history.kind
    environments = [read_environment(run.environment) for run in runs]
    index = {run.run_id: at for at, run in enumerate(runs)}
    names = sorted({name for run in runs for name in run.metrics})
    return {
        "id": f"s{number}",
        "label": " · ".join(kind),
        **kind._asdict(),
        "runs": list(index),
        "pages": {at: slug(run_id) for run_id, at in index.items() if slug(run_id) != run_id},
        "time": [_epoch(run) for run in runs],
        "commit": list(map(_commit, environments)),
        "sdk": [each.packages.get("apache-beam", "unknown") for each in environments],
        "command": [commands[_command(run)] for run in runs],
        "disturbed": [int(_is_disturbed(run)) for run in runs],
        "group": list(history.groups),
        **_columns(runs, names),
        "noise": {name: noise_of(each) for name, each in history.series.items()},
        "levels": {
            name: [_level(level, each, index) for level in each.levels]
            for name, each in history.series.items()
            if each.levels
        },
        "alarms": _alarms(history, alarms, index),
        "marks": [{"index": mark.index, "lines": _lines(mark.lines)} for mark in history.marks],
    }


def noise_of(series: Series) -> float | None:
    """Return the coefficient of variation of a run within the levels, None where unknown."""
    noise = series.noise()
    if not noise.freedom:
        return None
    return _rounded(math.sqrt(noise.squares / noise.freedom), FEWER_DIGITS)


def _level(level: Level, series: Series, index: dict[str, int]) -> dict[str, Any]:
    change = level.change
    return {
        "index": index[level.point.name],
        "direction": change.direction,
        "kind": change.kind,
        "ratio": _rounded(change.ratio, DIGITS),
        "ratio_low": _rounded(change.ratio_low, DIGITS),
        "ratio_high": _rounded(change.ratio_high, DIGITS),
        "confidence": change.confidence,
        "better": None if series.better is None else change.direction == series.better,
        "environment": _lines(level.environment),
    }


def _alarms(
    history: KindHistory, alarms: Sequence[WatchAlarm], index: dict[str, int]
) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for alarm in alarms:
        for worse in alarm.levels:
            if worse.series.kind == history.kind and alarm.metric is not None:
                ratio = worse.level.change.ratio
                shown.setdefault(alarm.metric, []).append(
                    {
                        "index": index[worse.level.point.name],
                        "observed_at": index[worse.observed_at],
                        "summary": f"{alarm.metric}: {ratio - 1:+.1%} since "
                        f"{worse.level.point.name}",
                        "state": worse.state,
                    }
                )
    return shown


def _lines(lines: Sequence[str]) -> list[str]:
    shown = [line[:LONGEST_LINE] for line in lines[:LINES_SHOWN]]
    rest = len(lines) - len(shown)
    return [*shown, f"and {rest} more"] if rest else shown


def _columns(runs: Sequence[HistoryRun], names: Iterable[str]) -> dict[str, Any]:
    """Return the values of each metric and the ends of their intervals; null is unknown."""
    values, low, high = {}, {}, {}
    for name in names:
        column = [run.metrics.get(name) for run in runs]
        digits = DIGITS if name in WITH_INTERVAL else FEWER_DIGITS
        values[name] = [_rounded(each.value if each else None, digits) for each in column]
        if name in WITH_INTERVAL and any(each and each.ci_low is not None for each in column):
            low[name] = [_rounded(each.ci_low if each else None, FEWER_DIGITS) for each in column]
            high[name] = [_rounded(each.ci_high if each else None, FEWER_DIGITS) for each in column]
    return {"values": values, "low": low, "high": high}


def _rounded(value: float | None, digits: int) -> float | None:
    """Return a number as short as its digits; whole ones without a fraction."""
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _epoch(run: HistoryRun) -> int:
    return round(parse_time(run.started_at).timestamp())


def _command(run: HistoryRun) -> str:
    return shlex.join(run.command)


def _commit(environment: Environment) -> str | None:
    """Return the commit of the project; where that is not known, of beambench."""
    for project in ("project", "beambench"):
        git = environment.git.get(project)
        if git is not None and git.commit is not None:
            return git.commit[:COMMIT_DIGITS]
    return None


def _is_disturbed(run: HistoryRun) -> bool:
    return run.noise is not None and run.noise.counted_disturbed > 0
