"""What a benchmark's page shows of its runs: their series, changes, alarms and environments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from beambench.analysis.change_points.policy import AlarmPolicy
from beambench.record.environment import differences, read_environment
from beambench.store.summaries import HistoryRun
from beambench.watch.alarms import METRICS, WatchAlarm, alarms_of_benchmark
from beambench.watch.series import Kind, Series, group_of, kind_of, series_of_kind, unfit

WATCHED = 400
"""Runs that alarms are looked for in, the newest: as many as `beambench alarms` reads."""

COMMIT = "commit of "
"""How a difference of commits begins. Each run of a day may have one: they are no mark."""


@dataclass(frozen=True)
class Mark:
    """Another environment than that of the run before: what is new in it, a line each."""

    index: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class KindHistory:
    """The runs of one kind, the oldest first.

    Attributes:
        groups: a number for each run; another one than before is another machine, definition,
            input or record schema.
        series: by metric.
        marks: where the environment changed.
    """

    kind: Kind
    runs: tuple[HistoryRun, ...]
    groups: tuple[int, ...]
    series: dict[str, Series]
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class BenchmarkHistory:
    """All runs of a benchmark.

    Attributes:
        runs: the oldest first, those that are in no series too.
        kinds: those with most runs first.
        left_out: how many runs are in no series, by reason.
        alarms: what is wrong, of the newest runs.
    """

    name: str
    runs: tuple[HistoryRun, ...]
    kinds: tuple[KindHistory, ...]
    left_out: dict[str, int]
    alarms: tuple[WatchAlarm, ...]

    def metric_names(self) -> list[str]:
        """Return the names of all metrics that a run in a series has."""
        return sorted({name for kind in self.kinds for run in kind.runs for name in run.metrics})


def benchmark_history(
    name: str, runs: Sequence[HistoryRun], now: str, policy: AlarmPolicy
) -> BenchmarkHistory:
    """Return the history of a benchmark.

    Args:
        name: of the benchmark.
        runs: of it, in any order.
        now: the time, ISO 8601.
        policy: what counts as a change.
    """
    ordered = sorted(runs, key=lambda run: (run.started_at, run.run_id))
    left_out = Counter[str]()
    of_kind = dict[Kind, list[HistoryRun]]()
    for run in ordered:
        reason = unfit(run)
        if reason is not None:
            left_out[reason] += 1
        else:
            of_kind.setdefault(kind_of(run), []).append(run)
    by_length = sorted(of_kind.items(), key=lambda item: -len(item[1]))
    return BenchmarkHistory(
        name=name,
        runs=tuple(ordered),
        kinds=tuple(_kind_history(kind, alike, policy) for kind, alike in by_length),
        left_out=dict(left_out),
        alarms=tuple(alarms_of_benchmark(name, ordered[-WATCHED:], METRICS, policy, now)),
    )


def _kind_history(kind: Kind, runs: list[HistoryRun], policy: AlarmPolicy) -> KindHistory:
    numbers, groups = dict[Hashable, int](), list[int]()
    for run in runs:
        groups.append(numbers.setdefault(group_of(run), len(numbers)))
    series = {}
    for name in sorted({name for run in runs for name in run.metrics}):
        at = [
            at
            for at, run in enumerate(runs)
            if (value := run.metrics.get(name)) is not None and value.value > 0
        ]
        if at:
            alike, of_alike = [runs[each] for each in at], [groups[each] for each in at]
            series[name] = series_of_kind(kind, alike, of_alike, name, policy)
    return KindHistory(kind, tuple(runs), tuple(groups), series, tuple(_marks(runs)))


def _marks(runs: list[HistoryRun]) -> list[Mark]:
    marks = []
    for at in range(1, len(runs)):
        before, after = runs[at - 1].environment, runs[at].environment
        if before == after:
            continue
        new = differences(read_environment(before), read_environment(after))
        lines = tuple(line for line in new if not line.startswith(COMMIT))
        if lines:
            marks.append(Mark(at, lines))
    return marks
