"""What the start page and the summary show of a benchmark, without reading it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from pydantic import BaseModel, ConfigDict, Field

from beambench.errors import UsageError
from beambench.record.baseline import Baseline
from beambench.record.configuration import definition_in
from beambench.site.data.costs import METRIC as COST
from beambench.site.data.costs import RunCost
from beambench.site.data.histories import BenchmarkHistory, KindHistory
from beambench.site.data.movers import Mover, movers_of
from beambench.site.slugs import slug
from beambench.store.summaries import HistoryRun
from beambench.times import parse_time
from beambench.watch.alarms import MISSING_AFTER, expected_period
from beambench.watch.baselines import candidate_of
from beambench.watch.gate import report
from beambench.watch.series import kind_of, of_duet, unfit

MAX_SLOWDOWN = 0.05
"""What the start page allows a run to be slower than its baseline, as `beambench check` does."""

SPARK = 60
"""Newest runs of the small line of a benchmark."""

THROUGHPUT = ("throughput_elements", "throughput_inferred")
LATENCY = ("element_latency_mean", "inference_batch_latency_mean")


class _Outline(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Outline):
    """A value of the newest run, with its interval where it has one."""

    metric: str
    value: float
    unit: str
    n: int
    low: float | None = None
    high: float | None = None


class AgainstBaseline(_Outline):
    """The newest run beside the newest baseline of its benchmark.

    Attributes:
        change: of the throughput, or the first metric that was checked: new ÷ old, minus 1.
        verdict: passed, failed, inconclusive, or `unknown` where they cannot be compared.
    """

    name: str
    run_id: str | None = None
    metric: str | None = None
    change: float | None = None
    verdict: str
    sentence: str


class RaisedAlarm(_Outline):
    """An alarm that is new or open."""

    kind: str
    metric: str | None
    state: str
    summary: str


class BenchmarkOutline(_Outline):
    """What the pages over all benchmarks show of one.

    Attributes:
        key: digest of all that its page is made from.
        runs: how many it has.
        title: of its definition; empty where that is not known.
        elements: of its full profile, which its cost is for; None is unknown.
        comparisons: ids of those that were stored.
        newest: when its newest run began, ISO 8601; None without runs.
        newest_run: id of that run.
        problem: why that run is in no history; None if it is.
        period: seconds that commonly lie between runs; None where that is not known.
        series: kind of the newest run that is in a history, in words.
        history: throughputs of its newest runs, the oldest first, a list for each group.
        costs: of each run that was priced, by id; null is unknown.
        demo: whether its runs were made up to show the site.
    """

    name: str
    slug: str
    key: str
    runs: int
    title: str = ""
    elements: int | None = None
    comparisons: list[str] = Field(default_factory=list)
    newest: str | None = None
    newest_run: str | None = None
    problem: str | None = None
    period: float | None = None
    series: str = ""
    throughput: Figure | None = None
    latency: Figure | None = None
    cost: Figure | None = None
    history: list[list[float]] = Field(default_factory=list)
    baseline: AgainstBaseline | None = None
    alarms: list[RaisedAlarm] = Field(default_factory=list)
    movers: list[Mover] = Field(default_factory=list)
    costs: dict[str, RunCost] = Field(default_factory=dict)
    demo: bool = False

    def silence(self, now: str) -> float | None:
        """Return for how many seconds no run came, None while none is missing."""
        if self.newest is None or self.period is None:
            return None
        silent = (parse_time(now) - parse_time(self.newest)).total_seconds()
        return silent if 0 < MISSING_AFTER * self.period < silent else None


def outline_of(
    history: BenchmarkHistory,
    key: str,
    comparisons: Sequence[str],
    baselines: Sequence[Baseline],
    costs: dict[str, RunCost],
    *,
    demo: bool,
) -> BenchmarkOutline:
    """Return the outline of a benchmark.

    Args:
        history: of all its runs.
        key: digest of what its page is made from.
        comparisons: ids of its comparisons.
        baselines: of it.
        costs: of its runs, by id.
        demo: whether its runs were made up.
    """
    runs = history.runs
    fit = [run for run in runs if unfit(run) is None]
    kind = _kind_of_newest(history, fit)
    last = next((run for run in reversed(runs) if not of_duet(run)), None)
    definition = definition_in(runs[-1].config) if runs else {}
    newest = fit[-1] if fit else None
    return BenchmarkOutline(
        name=history.name,
        slug=slug(history.name),
        key=key,
        runs=len(runs),
        title=title if isinstance(title := definition.get("title"), str) else "",
        elements=_elements(definition),
        comparisons=list(comparisons),
        newest=last.started_at if last else None,
        newest_run=last.run_id if last else None,
        problem=unfit(last) if last else None,
        period=expected_period([parse_time(run.started_at) for run in runs]),
        series=" · ".join(kind.kind) if kind is not None else "",
        throughput=_figure(newest, THROUGHPUT),
        latency=_figure(newest, LATENCY),
        cost=_figure(newest, (COST,)),
        history=_spark(kind),
        baseline=_against_baseline(baselines, runs),
        alarms=[
            RaisedAlarm(
                kind=alarm.kind, metric=alarm.metric, state=alarm.state, summary=alarm.summary
            )
            for alarm in history.alarms
            if alarm.state != "recovered" and alarm.kind != "missing"  # that depends on the time
        ],
        movers=list(movers_of(history)),
        costs=costs,
        demo=demo,
    )


def _kind_of_newest(history: BenchmarkHistory, fit: Sequence[HistoryRun]) -> KindHistory | None:
    if not fit:
        return None
    kind = kind_of(fit[-1])
    return next(each for each in history.kinds if each.kind == kind)


def _elements(definition: Mapping[str, object]) -> int | None:
    value: object = definition
    for key in ("profiles", "full", "limit"):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, int) else None


def _figure(run: HistoryRun | None, names: Sequence[str]) -> Figure | None:
    if run is None:
        return None
    for name in names:
        value = run.metrics.get(name)
        if value is not None:
            return Figure(
                metric=name,
                value=value.value,
                unit=value.unit,
                n=value.n,
                low=value.ci_low,
                high=value.ci_high,
            )
    return None


def _spark(kind: KindHistory | None) -> list[list[float]]:
    if kind is None:
        return []
    series = next((kind.series[name] for name in THROUGHPUT if name in kind.series), None)
    newest = series.points[-SPARK:] if series is not None else ()
    pieces = groupby(newest, key=lambda point: point.group)
    return [[point.value for point in piece] for _, piece in pieces]


def _against_baseline(
    baselines: Sequence[Baseline], runs: Sequence[HistoryRun]
) -> AgainstBaseline | None:
    """Check the newest run of the kind of the newest baseline."""
    if not baselines:
        return None
    baseline = max(baselines, key=lambda each: each.created_at)
    fit = [run for run in runs if unfit(run) is None]
    of_baseline = [run for run in fit if run.run_id in baseline.run_ids]
    candidate = candidate_of(baseline, of_baseline[0], reversed(fit)) if of_baseline else None
    if candidate is None or len(of_baseline) < len(baseline.run_ids):
        sentence = "its runs, or later ones like them, are not among those shown"
        return AgainstBaseline(name=baseline.name, verdict="unknown", sentence=sentence)
    try:
        checked = report(baseline, candidate, runs, None, MAX_SLOWDOWN)
    except UsageError as error:
        return AgainstBaseline(
            name=baseline.name, run_id=candidate.run_id, verdict="unknown", sentence=str(error)
        )
    first = checked.metrics[0] if checked.metrics else None
    return AgainstBaseline(
        name=baseline.name,
        run_id=candidate.run_id,
        metric=first.metric if first else None,
        change=first.candidate / first.base - 1 if first else None,
        verdict=checked.verdict,
        sentence=checked.sentence,
    )
