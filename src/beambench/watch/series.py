"""The history of a metric: which runs belong to one series, and where its level changed."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from beambench.analysis.change_points.policy import AlarmPolicy, Change, Direction
from beambench.analysis.change_points.scan import Noise, level_of
from beambench.analysis.change_points.segmentation import detect_changes
from beambench.errors import UsageError, nearest
from beambench.inputs.text import read_lines
from beambench.record.environment import differences, machine_digest, read_environment
from beambench.record.run_record import (
    InputRecord,
    Metrics,
    ModelRecord,
    RunnerRecord,
    Status,
)

LEAST_OF_LEVEL = 3
"""Points of a level from which its spread counts."""

BETTER: dict[str, Direction | None] = {"higher": "up", "lower": "down", "neither": None}


class Proof(Protocol):
    """Whether the work of a run was proven, and why not where it could not be."""

    @property
    def passed(self) -> bool: ...
    @property
    def unverified(self) -> str | None: ...


class HistoricRun(Protocol):
    """What a history reads of a run: a whole record has it, and so has a lighter reading of one."""

    @property
    def schema_version(self) -> int: ...
    @property
    def run_id(self) -> str: ...
    @property
    def benchmark(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def variant(self) -> str: ...
    @property
    def profile(self) -> str: ...
    @property
    def definition_hash(self) -> str: ...
    @property
    def runner(self) -> RunnerRecord: ...
    @property
    def status(self) -> Status: ...
    @property
    def started_at(self) -> str: ...
    @property
    def input(self) -> InputRecord: ...
    @property
    def model(self) -> ModelRecord: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def verification(self) -> Proof: ...
    @property
    def environment(self) -> Mapping[str, Any]: ...


class Kind(NamedTuple):
    """What the runs of a series have in common: those of another kind are no history of theirs."""

    variant: str
    profile: str
    runner: str
    input_kind: str
    weights: str


class Point(NamedTuple):
    """A value of a series.

    Attributes:
        name: the run's id, or the row of a file.
        time: when it began, as it is recorded; empty where that is not known.
        group: levels are compared among points of one group only.
        run: None for a row of a file.
    """

    name: str
    time: str
    value: float
    group: Hashable
    run: HistoricRun | None = None


@dataclass(frozen=True)
class Level:
    """A change of a series: the first point of the new level, and what changed with it."""

    change: Change
    point: Point
    environment: tuple[str, ...]


@dataclass(frozen=True)
class Series:
    """Values in the order of time, and the changes among them.

    Attributes:
        better: which direction of the values is better, None where neither is, or it is not known.
        kind: None for the rows of a file.
        new_groups: indexes of points whose group is another one than that of the point before.
    """

    metric: str
    unit: str
    better: Direction | None
    kind: Kind | None
    points: tuple[Point, ...]
    levels: tuple[Level, ...]
    new_groups: tuple[int, ...]

    def stretches(self) -> list[tuple[Point, ...]]:
        """Return the points of each level, within which neither it nor the group changes."""
        starts = {*self.new_groups, *(level.change.index for level in self.levels)}
        bounds = [0, *sorted(starts), len(self.points)]
        return [self.points[start:end] for start, end in pairwise(bounds)]

    def noise(self, without: Collection[str] = ()) -> Noise:
        """Return the spread of the logarithms about their levels.

        Args:
            without: names of points that do not count.
        """
        squares, freedom = 0.0, 0
        for stretch in self.stretches():
            logs = [math.log(point.value) for point in stretch if point.name not in without]
            if len(logs) >= LEAST_OF_LEVEL:
                of_level = level_of(np.array(logs))[1]
                squares, freedom = squares + of_level.squares, freedom + of_level.freedom
        return Noise(squares, freedom)


def series_of_runs(
    runs: Sequence[HistoricRun], metric: str, policy: AlarmPolicy | None = None
) -> tuple[list[Series], dict[str, int]]:
    """Return the series of a metric, the longest first, and how many runs are in none, and why.

    A run that did not finish its work, or whose work is not proven, is in no series. Runs of
    another definition, input, machine or record schema are points of another group.

    Args:
        runs: of one benchmark, in any order.
        metric: its name. UsageError if no run has it.
        policy: what counts as a change.
    """
    alike, left_out = dict[Kind, list[HistoricRun]](), Counter[str]()
    for run in sorted(runs, key=lambda run: (run.started_at, run.run_id)):
        reason = _left_out(run, metric)
        if reason is not None:
            left_out[reason] += 1
        else:
            alike.setdefault(kind_of(run), []).append(run)
    if runs and not alike and not any(metric in run.metrics for run in runs):
        known = sorted({name for run in runs for name in run.metrics})
        raise UsageError(f"no run has the metric {metric!r}{nearest(metric, known)}")
    series = [
        series_of_kind(kind, of_kind, list(map(group_of, of_kind)), metric, policy)
        for kind, of_kind in sorted(alike.items(), key=lambda item: -len(item[1]))
    ]
    return series, dict(left_out)


def series_of_kind(
    kind: Kind,
    runs: Sequence[HistoricRun],
    groups: Sequence[Hashable],
    metric: str,
    policy: AlarmPolicy | None = None,
) -> Series:
    """Return the series of a metric of runs that are alike.

    Args:
        kind: of all of them.
        runs: fit for a history, each with a value of the metric above 0, the oldest first.
        groups: of each of them.
        metric: its name.
        policy: what counts as a change.
    """
    points = [
        Point(run.run_id, run.started_at, run.metrics[metric].value, group, run)
        for run, group in zip(runs, groups, strict=True)
    ]
    newest = runs[-1].metrics[metric]
    return _series(metric, newest.unit, BETTER[newest.direction], kind, points, policy)


def series_of_file(
    path: Path, value_column: str, group_column: str | None = None, time_column: str | None = None
) -> Series:
    """Return the series of a CSV file with a header, a row a value, in the order of its rows.

    Raises UsageError, which names file, line and column, for what is no such file.
    """
    columns = [name for name in (value_column, group_column, time_column) if name is not None]
    points = []
    for line, row in _rows(path, columns):
        value = _number(row[value_column])
        if value is None:
            raise UsageError(
                f"{path}: line {line}: {value_column} {row[value_column]!r} must be a finite "
                "number above 0"
            )
        time = row[time_column] if time_column else ""
        points.append(Point(f"line {line}", time, value, row[group_column] if group_column else ""))
    return _series(value_column, "", None, None, points)


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and named cells of each row."""
    numbered = list(read_lines(path, "a CSV file with a header"))
    if not numbered:
        raise UsageError(f"{path}: is empty: expected a CSV file with a header")
    numbers, lines = zip(*numbered, strict=True)
    rows = csv.DictReader(lines, strict=True)
    try:
        header = list(rows.fieldnames or ())
        for name in columns:
            if name not in header:
                raise UsageError(
                    f"{path}: no column {name!r}{nearest(name, header)}: it has {', '.join(header)}"
                )
        for row in rows:
            line = numbers[rows.line_num - 1]
            cells = {name: row[name] for name in columns}
            for name, cell in cells.items():
                if cell is None:
                    raise UsageError(f"{path}: line {line}: no cell for column {name}")
            yield line, cells
    except csv.Error as error:
        line = numbers[min(rows.line_num, len(numbers) - 1)]
        raise UsageError(f"{path}: line {line}: no CSV: {error}") from None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def of_duet(run: HistoricRun) -> bool:
    """Tell whether a run is a side of `compare --schedule duet`: half of a machine had to do."""
    return "comparison" in run.labels and run.labels.get("schedule") == "duet"


def unfit(run: HistoricRun) -> str | None:
    """Return why a run is in no history and no baseline, None if it can be."""
    if of_duet(run):
        return "measured in a duet"
    if run.status != "succeeded":
        return run.status.replace("_", " ")
    if run.verification.unverified is not None:
        return "unverified"
    return None if run.verification.passed else "failed verification"


def _left_out(run: HistoricRun, metric: str) -> str | None:
    """Return why a run is not in the series of a metric, None if it is."""
    reason = unfit(run)
    if reason is not None:
        return reason
    if metric not in run.metrics:
        return f"without {metric}"
    return None if run.metrics[metric].value > 0 else f"{metric} of 0"


def kind_of(run: HistoricRun) -> Kind:
    runner = run.runner.executed or run.runner.requested
    return Kind(run.variant, run.profile, runner, run.input.kind, run.model.weights)


def group_of(run: HistoricRun) -> tuple[Hashable, ...]:
    """Return record schema, definition, input and machine of a run."""
    machine = machine_digest(run.environment)
    return run.schema_version, run.definition_hash, run.input.digest, machine


def _series(
    metric: str,
    unit: str,
    better: Direction | None,
    kind: Kind | None,
    points: Sequence[Point],
    policy: AlarmPolicy | None = None,
) -> Series:
    """Return a series with its changes."""
    changes = detect_changes(
        [point.value for point in points], groups=[point.group for point in points], policy=policy
    )
    return Series(
        metric,
        unit,
        better,
        kind,
        tuple(points),
        tuple(level_at(points, change) for change in changes),
        tuple(at for at in range(1, len(points)) if points[at].group != points[at - 1].group),
    )


def level_at(points: Sequence[Point], change: Change) -> Level:
    """Return a change of points with what its environment has that the one before it has not."""
    before, after = points[change.index - 1].run, points[change.index].run
    new = list[str]()
    if before is not None and after is not None:
        sides = (read_environment(run.environment) for run in (before, after))
        new = differences(*sides)
    return Level(change, points[change.index], tuple(new))
