"""What a comparison found, in plain words."""

from __future__ import annotations

from collections.abc import Mapping

from beambench.experiments.comparison.effects import CPU
from beambench.record.comparison import ComparedMetric, Verdict

MOST_NAMED = 3
MOST_SHOWN = 1000


def headline(metrics: Mapping[str, ComparedMetric]) -> tuple[str, ComparedMetric] | None:
    """Return the metric that the verdict of the whole is on: the first one."""
    return next(iter(metrics.items()), None)


def verdict_of(metrics: Mapping[str, ComparedMetric]) -> Verdict:
    """Return the verdict of the whole."""
    first = headline(metrics)
    return first[1].verdict if first is not None else "inconclusive"


def sentence(
    metrics: Mapping[str, ComparedMetric], stages: Mapping[str, ComparedMetric], margin: float
) -> str:
    """Say which side is faster, which stages moved, and which other metrics changed."""
    first = headline(metrics)
    if first is None:
        return "Inconclusive: no metric is known of both sides."
    parts = [_verdict_text(*first, margin)]
    moved = moved_stages(stages)
    if moved:
        named = " and ".join(_stage_text(name, stage) for name, stage in moved[:MOST_NAMED])
        noun = "stage that moved is" if len(moved) == 1 else "stages that moved most are"
        parts.append(f"the {noun} {named}")
    elif first[1].verdict in ("faster", "slower") and stages:
        parts.append("no single stage is seen to have moved")
    others = [
        f"{name} {percent_text(metric.ratio)}"
        for name, metric in metrics.items()
        if name != first[0] and metric.verdict in ("faster", "slower")
    ]
    if others:
        parts.append(f"other metrics that changed: {', '.join(others)}")
    return "; ".join(parts) + "."


def moved_stages(stages: Mapping[str, ComparedMetric]) -> list[tuple[str, ComparedMetric]]:
    """Return the stages with a verdict of a change, the greatest change in seconds first.

    The wait for a batch, which overlaps with work on other elements, comes after those that have a
    share of the time; and the CPU time of a stage whose time moved as well is not named again.
    """
    changed = {name: stage for name, stage in stages.items() if _is_change(stage)}
    moved = [
        (name, stage)
        for name, stage in changed.items()
        if not name.endswith(CPU) or name.removesuffix(CPU) not in changed
    ]
    return sorted(
        moved,
        key=lambda item: (item[1].share is None, -abs(item[1].candidate - item[1].base)),
    )


def _is_change(stage: ComparedMetric) -> bool:
    return stage.verdict in ("faster", "slower")


def _stage_text(name: str, stage: ComparedMetric) -> str:
    """Return `inference (+5.01 % of time an element; 87 % of base's time)`."""
    of_cpu = name.endswith(CPU)
    time = "CPU time" if of_cpu else "time"
    change = f"{percent_text(stage.ratio)} of {time} an element{_share_text(stage)}"
    return f"{name.removesuffix(CPU)} ({change})"


def percent_text(ratio: float) -> str:
    """Return a ratio as the change in percent, with a sign."""
    change = 100 * (ratio - 1)
    digits = 2 if abs(change) < 10 else 1
    return f"{change:+.{digits}f} %".replace("-", "−")


def size_text(change: float) -> str:
    """Return the size of a change in percent, to two digits; beyond ten times it is no matter."""
    percent = 100 * change
    if percent > MOST_SHOWN:
        return f"over {MOST_SHOWN} %"
    return f"{percent:.2g} %" if percent < 100 else f"{percent:.0f} %"


def _share_text(stage: ComparedMetric) -> str:
    return "" if stage.share is None else f"; {100 * stage.share:.3g} % of base's time"


def _verdict_text(name: str, metric: ComparedMetric, margin: float) -> str:
    seen = f"{name} {percent_text(metric.ratio)}{_interval_text(metric)}, n = {metric.n}"
    if metric.verdict == "inconclusive":
        return f"Inconclusive: {seen}; {_reason(metric)}"
    if metric.verdict == "same":
        return f"The candidate is as fast as the base within {100 * margin:g} %: {seen}"
    return f"The candidate is {metric.verdict}: {seen}"


def _interval_text(metric: ComparedMetric) -> str:
    if metric.ci_low is None or metric.ci_high is None:
        return ""
    return f" (95 % interval {percent_text(metric.ci_low)} to {percent_text(metric.ci_high)})"


def _reason(metric: ComparedMetric) -> str:
    if metric.reason is not None:
        return metric.reason
    if metric.mde is None:
        return "too little is known"
    return f"a change of {size_text(metric.mde)} or more would have been seen in 8 of 10 times"
