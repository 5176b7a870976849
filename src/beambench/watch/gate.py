"""Whether a run is slower than a baseline, by more than is allowed and more than noise explains.

A metric's value is one a run. With k runs of the baseline, m of the candidate, l the difference of
the means of their logarithms, positive where the candidate is worse, and s the deviation of a run::

    e = s·√(1/k + 1/m)
    a = log(1 + max_slowdown)           where lower is better: a time may be so much longer
        -log(1 - max_slowdown)          where higher is better: a rate may be so much lower
    failed:  l ≥ a, and l/e above t(1 - alpha/metrics, freedom)
    passed:  l + t(0.95, freedom)·e < a
    else inconclusive

s is that of the history's levels (`Series.noise`), which has more degrees of freedom than the few
runs of a baseline. The test is one-sided, and corrected for several metrics by Bonferroni.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from beambench.analysis.change_points.policy import FARTHEST
from beambench.analysis.change_points.scan import Noise
from beambench.analysis.student_t import critical_value, upper_tail
from beambench.errors import UsageError
from beambench.record.baseline import Baseline
from beambench.watch.alarms import METRICS
from beambench.watch.baselines import differences
from beambench.watch.series import HistoricRun, Series, kind_of, series_of_runs, unfit

ALPHA = 0.01
"""How often a gate may fail without cause."""

BOUND = 0.05
"""How often the true slowdown may be above the bound that a gate passes by."""

LEAST_FREEDOM = 2

Verdict = Literal["passed", "failed", "inconclusive"]


@dataclass(frozen=True)
class Replay:
    """What a gate would have done with earlier runs in which nothing changed.

    Attributes:
        failed: of them it would have failed.
        runs: that had enough runs of the same level before them.
    """

    failed: int
    runs: int


@dataclass(frozen=True)
class GatedMetric:
    """What a gate says of one metric.

    Attributes:
        unit: of both values.
        base: median of the baseline's runs.
        candidate: median of the candidate's.
        slowdown: by how much the candidate is worse, as a fraction of the baseline; negative where
            it is better.
        low: lower end of the interval of the slowdown at 90 %; its upper end decides on passing.
        high: upper end of it.
        p: of a slowdown as great from noise alone, corrected for several metrics.
        noise: coefficient of variation of a run.
        freedom: degrees of freedom that it is known with.
        replay: of earlier runs.
    """

    metric: str
    unit: str
    base: float
    candidate: float
    slowdown: float
    low: float
    high: float
    p: float
    noise: float
    freedom: int
    verdict: Verdict
    replay: Replay


def gate(
    series: Series,
    baseline: Sequence[str],
    candidate: Sequence[str],
    *,
    max_slowdown: float,
    metrics: int = 1,
) -> GatedMetric | None:
    """Return what a gate says of a metric, or None where noise or a direction is unknown.

    Args:
        series: history of the metric, with the runs of both sides in it.
        baseline: ids of its runs.
        candidate: ids of the runs that are checked.
        max_slowdown: what is allowed, as a fraction: 0.05 for 5 %.
        metrics: how many are checked together.
    """
    values = {point.name: point.value for point in series.points}
    base, new = ([values[name] for name in side] for side in (baseline, candidate))
    noise = series.noise(without=set(candidate))
    if series.better is None or noise.freedom < LEAST_FREEDOM:
        return None
    worse = -1 if series.better == "up" else 1
    loss = worse * (_mean_log(new) - _mean_log(base))
    deviation = math.sqrt(noise.squares / noise.freedom)
    error = deviation * math.sqrt(1 / len(base) + 1 / len(new))
    reach = critical_value(BOUND, noise.freedom) * error
    p = min(1.0, metrics * _p(loss, error, noise.freedom))
    allowed = worse * math.log1p(worse * max_slowdown)
    verdict: Verdict = "inconclusive"
    if loss >= allowed and p <= ALPHA:
        verdict = "failed"
    elif loss + reach < allowed:
        verdict = "passed"
    return GatedMetric(
        metric=series.metric,
        unit=series.unit,
        base=statistics.median(base),
        candidate=statistics.median(new),
        slowdown=_fraction(loss, worse),
        low=_fraction(loss - reach, worse),
        high=_fraction(loss + reach, worse),
        p=p,
        noise=deviation,
        freedom=noise.freedom,
        verdict=verdict,
        replay=_replayed(series, noise, worse, len(base), allowed, ALPHA / metrics),
    )


@dataclass(frozen=True)
class GateReport:
    """What a gate says of a run.

    Attributes:
        verdict: failed if one metric failed or the run did not do its work; passed if all passed.
        sentence: in plain words.
        metrics: those that could be checked.
    """

    baseline: str
    benchmark: str
    run_id: str
    max_slowdown: float
    verdict: Verdict
    sentence: str
    metrics: tuple[GatedMetric, ...]


def report(
    baseline: Baseline,
    candidate: HistoricRun,
    history: Sequence[HistoricRun],
    metrics: Sequence[str] | None,
    max_slowdown: float,
) -> GateReport:
    """Check a run against a baseline.

    Args:
        baseline: its runs are in the history.
        candidate: the run that is checked.
        history: all runs of the benchmark.
        metrics: their names; None: those of METRICS that both sides have.
        max_slowdown: what is allowed, as a fraction.

    Raises UsageError for a run that is not like the baseline, and for a metric that it has not.
    """
    first = next(run for run in history if run.run_id in baseline.run_ids)
    unlike = differences(first, candidate)
    reason = unfit(candidate)
    if reason is not None:
        sentence = f"run {candidate.run_id} {reason}: such a run passes no gate"
        return _report(baseline, candidate, max_slowdown, "failed", sentence, ())
    if unlike:
        raise UsageError(
            f"run {candidate.run_id} and baseline {baseline.name} differ in {', '.join(unlike)}: "
            "save a baseline of such runs"
        )
    alike = [run for run in history if kind_of(run) == kind_of(candidate)]
    names = metrics or [name for name in METRICS if _has(alike, baseline, candidate, name)]
    for name in names:
        if not _has(alike, baseline, candidate, name):
            raise UsageError(f"metric {name!r}: a run of the two sides has no value of it above 0")
    gated = []
    for name in names:
        (series,), _ = series_of_runs(alike, name)
        one = gate(
            series,
            baseline.run_ids,
            [candidate.run_id],
            max_slowdown=max_slowdown,
            metrics=len(names),
        )
        if one is not None:
            gated.append(one)
    verdicts = {each.verdict for each in gated}
    verdict: Verdict = "inconclusive"
    if "failed" in verdicts:
        verdict = "failed"
    elif verdicts == {"passed"} and len(gated) == len(names):
        verdict = "passed"
    return _report(
        baseline, candidate, max_slowdown, verdict, _sentence(gated, verdict, max_slowdown), gated
    )


def _has(
    runs: Sequence[HistoricRun], baseline: Baseline, candidate: HistoricRun, metric: str
) -> bool:
    sides = {*baseline.run_ids, candidate.run_id}
    return all(
        metric in run.metrics and run.metrics[metric].value > 0
        for run in runs
        if run.run_id in sides
    )


def _sentence(gated: Sequence[GatedMetric], verdict: Verdict, max_slowdown: float) -> str:
    if not gated:
        return "nothing could be checked: too few runs to know their noise"
    worst = max(gated, key=lambda each: each.slowdown)
    text = (
        f"{worst.metric} is {abs(worst.slowdown):.1%} {'worse' if worst.slowdown > 0 else 'better'}"
        f" ({worst.low:+.1%} to {worst.high:+.1%}), {max_slowdown:.1%} is allowed"
    )
    if verdict == "failed":
        return f"{text}, and noise of {worst.noise:.1%} a run does not explain it (p {worst.p:.2g})"
    if verdict == "passed":
        return f"all of {len(gated)} metrics; the worst: {text}"
    return f"a slowdown of {max_slowdown:.1%} cannot be excluded: {text}"


def _report(
    baseline: Baseline,
    candidate: HistoricRun,
    max_slowdown: float,
    verdict: Verdict,
    sentence: str,
    metrics: Sequence[GatedMetric],
) -> GateReport:
    return GateReport(
        baseline=baseline.name,
        benchmark=baseline.benchmark,
        run_id=candidate.run_id,
        max_slowdown=max_slowdown,
        verdict=verdict,
        sentence=sentence,
        metrics=tuple(metrics),
    )


def _replayed(
    series: Series, noise: Noise, worse: int, runs: int, allowed: float, alpha: float
) -> Replay:
    """Check each earlier run against those just before it on the same level."""
    deviation = math.sqrt(noise.squares / noise.freedom)
    error = deviation * math.sqrt(1 / runs + 1)
    failed = checked = 0
    for level in series.stretches():
        logs = [math.log(point.value) for point in level]
        for at in range(runs, len(logs)):
            loss = worse * (logs[at] - statistics.fmean(logs[at - runs : at]))
            checked += 1
            failed += loss >= allowed and _p(loss, error, noise.freedom) <= alpha
    return Replay(failed, checked)


def _fraction(loss: float, worse: int) -> float:
    """Return a loss as a fraction of the baseline's value: of a rate how much lower it is."""
    return worse * math.expm1(min(worse * loss, FARTHEST))


def _p(loss: float, error: float, freedom: int) -> float:
    if error == 0:
        return 0.0 if loss > 0 else 1.0
    return upper_tail(loss / error, freedom)


def _mean_log(values: Sequence[float]) -> float:
    return statistics.fmean(map(math.log, values))
