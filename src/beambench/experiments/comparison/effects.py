"""What two sides differ in: effects on metrics and on the stages, from values of whole repeats."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import geometric_mean
from typing import Literal

from beambench.analysis.comparison import Effect, adjusted, compare_pairs, compare_samples, widened
from beambench.experiments.comparison.cost import COST
from beambench.metrics.registry import metrics
from beambench.record.comparison import ComparedMetric, SideName
from beambench.record.run_record import Direction, Repeat

STAGES = ("read", "preprocess", "batch_wait", "inference", "postprocess")
BUSY = ("read", "preprocess", "inference", "postprocess")
"""Stages that have a share of the time; the wait for a batch overlaps with work on others."""

SHOWN = {"batch_wait": "wait"}
CPU = "_cpu"
"""Ends the name of a stage whose CPU time is meant, not the time that went by."""

IN_PLACE_OF = {"throughput_inferred": "throughput_elements"}
"""Compared only where the other is not known."""


@dataclass(frozen=True)
class RepeatPair:
    """Two repeats next to each other.

    Attributes:
        block: of the schedule, from 0.
        order: the sides in the order in which they ran.
    """

    block: int
    order: Sequence[SideName]
    base: Repeat
    candidate: Repeat


@dataclass(frozen=True)
class Repeats:
    """The repeats that are compared, of both sides; in pairs if the i-th of both belong together.

    Attributes:
        other_runs: repeats of further runs like the base, a sequence a run.
        obstacles: why there can be no verdict, whatever the values are.
    """

    base: Sequence[Repeat]
    candidate: Sequence[Repeat]
    in_pairs: bool
    other_runs: Sequence[Sequence[Repeat]] = ()
    obstacles: Sequence[str] = ()

    @property
    def all(self) -> list[Repeat]:
        return [*self.base, *self.candidate]


@dataclass(frozen=True)
class Limits:
    """By what verdicts are given; see `analysis.comparison`.

    Attributes:
        mde_before: least relative changes that were expected to be found, by metric.
        looks: how often the interval could be looked at before the end.
    """

    margin: float
    alpha: float
    mde_before: Mapping[str, float] = field(default_factory=dict)
    looks: int = 1


@dataclass(frozen=True)
class Quantity:
    """A value that each repeat has, or has not.

    Attributes:
        values: of base and candidate.
        of_runs: of each further run like the base, where all of its repeats have it.
    """

    unit: str
    direction: Direction
    values: tuple[Sequence[float | None], Sequence[float | None]]
    of_runs: Sequence[float] = ()


def compared_metrics(
    repeats: Repeats, limits: Limits
) -> tuple[dict[str, ComparedMetric], dict[str, str]]:
    """Return the effect on each metric, and why others were left out."""
    quantities = {
        metric.name: _quantity(
            metric.unit, metric.direction, partial(_values, metric.name), repeats
        )
        for metric in metrics()
    }
    known = [name for name, quantity in quantities.items() if any(_known(quantity))]
    judged = {name: quantities[name] for name in judged_metrics(known)}
    cost = _quantity(_currency(repeats), "lower", partial(_values, COST), repeats)
    return _compared({**judged, COST: cost}, repeats, limits)


def _currency(repeats: Repeats) -> str:
    """Return what the cost is in: the price sheets of all regions have the same currency."""
    costs = (repeat.metrics[COST] for repeat in repeats.all if COST in repeat.metrics)
    return next((cost.unit for cost in costs), "")


def judged_metrics(known: Collection[str]) -> list[str]:
    """Return the metrics among those that are known that a comparison gives a verdict on."""
    names = [
        metric.name
        for metric in metrics()
        if metric.compared and metric.direction != "neither" and metric.name in known
    ]
    return [name for name in names if IN_PLACE_OF.get(name) not in names]


def compared_stages(
    repeats: Repeats, limits: Limits
) -> tuple[dict[str, ComparedMetric], dict[str, str]]:
    """Return the effect on the time of an element in each stage, and on its CPU time (`…_cpu`);
    and why others were left out.
    """
    times = {
        SHOWN.get(stage, stage): partial(_stage_times, stage) for stage in (*STAGES, "overhead")
    }
    cpu_times = {f"{stage}{CPU}": partial(_stage_cpu_times, stage) for stage in (*BUSY, "overhead")}
    quantities = {
        name: _quantity("s", "lower", values_in, repeats)
        for name, values_in in {**times, **cpu_times}.items()
    }
    compared, left_out = _compared(quantities, repeats, limits)
    shares = _shares(repeats.base)
    return {
        name: stage.model_copy(update={"share": shares.get(name)})
        for name, stage in compared.items()
    }, left_out


def _quantity(
    unit: str,
    direction: Direction,
    values_in: Callable[[Sequence[Repeat]], Sequence[float | None]],
    repeats: Repeats,
) -> Quantity:
    of_runs = (values_in(run) for run in repeats.other_runs)
    means = [_geometric_mean(values) for values in of_runs]
    return Quantity(
        unit,
        direction,
        (values_in(repeats.base), values_in(repeats.candidate)),
        [mean for mean in means if mean is not None],
    )


def _geometric_mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the logarithms as a value, None unless all are known and above 0."""
    known = [value for value in values if value is not None and value > 0]
    return geometric_mean(known) if known and len(known) == len(values) else None


def _compared(
    quantities: Mapping[str, Quantity], repeats: Repeats, limits: Limits
) -> tuple[dict[str, ComparedMetric], dict[str, str]]:
    effects: dict[str, Effect] = {}
    left_out: dict[str, str] = {}
    for name, quantity in quantities.items():
        problem = _problem(quantity)
        if problem is None:
            effects[name] = _effect(quantity, repeats.in_pairs, limits)
        elif any(_known(quantity)):
            left_out[name] = problem
    compared = {
        name: _as_recorded(
            _blocked(effect, repeats.obstacles),
            quantities[name],
            limits.mde_before.get(name),
        )
        for name, effect in adjusted(effects).items()
    }
    return compared, left_out


def _problem(quantity: Quantity) -> str | None:
    """Return why a quantity cannot be compared, or None."""
    known = _known(quantity)
    if not all(quantity.values):
        return "unknown of a side that has no repeats"
    if not all(known):
        return f"unknown in {known.count(False)} of {len(known)} repeats"
    if min(value for side in quantity.values for value in side if value is not None) <= 0:
        return "has values of 0, of which there is no ratio"
    return None


def _known(quantity: Quantity) -> list[bool]:
    return [value is not None for side in quantity.values for value in side]


def _effect(quantity: Quantity, in_pairs: bool, limits: Limits) -> Effect:
    base, candidate = ([value for value in side if value is not None] for side in quantity.values)
    compare = compare_pairs if in_pairs else partial(compare_samples, other_runs=quantity.of_runs)
    effect = compare(
        base,
        candidate,
        higher_is_better=quantity.direction == "higher",
        margin=limits.margin,
        alpha=limits.alpha / limits.looks,
    )
    return widened(effect, limits.looks)


def _blocked(effect: Effect, obstacles: Sequence[str]) -> Effect:
    if not obstacles:
        return effect
    return replace(effect, verdict="inconclusive", reason="; ".join(obstacles))


def _as_recorded(effect: Effect, quantity: Quantity, mde_before: float | None) -> ComparedMetric:
    return ComparedMetric(
        unit=quantity.unit,
        direction=quantity.direction,
        base=effect.base,
        candidate=effect.candidate,
        ratio=effect.ratio,
        ci_low=effect.low,
        ci_high=effect.high,
        verdict=effect.verdict,
        mde=effect.mde,
        mde_before=mde_before,
        n=effect.n,
        p=effect.p,
        p_same=effect.p_same,
        noise=effect.noise,
        reason=effect.reason,
    )


def values_of(repeat: Repeat, names: Sequence[str]) -> dict[str, float]:
    """Return the values of a repeat that are known, in their units."""
    return {name: repeat.metrics[name].value for name in names if name in repeat.metrics}


def _values(name: str, repeats: Sequence[Repeat]) -> list[float | None]:
    return [repeat.metrics[name].value if name in repeat.metrics else None for repeat in repeats]


def _stage_times(stage: str, repeats: Sequence[Repeat]) -> list[float | None]:
    """Return the seconds of an element in a stage, of each repeat."""
    if stage != "overhead":
        return _values(f"stage_time_{stage}", repeats)
    return [_overhead(repeat) for repeat in repeats]


def _stage_cpu_times(stage: str, repeats: Sequence[Repeat]) -> list[float | None]:
    """Return the seconds of CPU time of an element in a stage, of each repeat."""
    if stage != "overhead":
        return _values(f"stage_cpu_time_{stage}", repeats)
    return [_cpu_overhead(repeat) for repeat in repeats]


def _cpu_overhead(repeat: Repeat) -> float | None:
    """Return the CPU time of an element that is in no stage; None where the stages, which are of a
    sample of the elements, come to more than all of it.
    """
    whole = repeat.metrics.get("cpu_time_per_element")
    parts = [repeat.metrics.get(f"stage_cpu_time_{stage}") for stage in BUSY]
    known = [part.value for part in parts if part is not None]
    if whole is None or len(known) < len(parts) or whole.value <= sum(known):
        return None
    return whole.value - sum(known)


def _overhead(repeat: Repeat) -> float | None:
    """Return the seconds of an element that are in no stage, by the shares of those that are.

    Share and time of a stage differ by the same factor for all of them, the time of all threads for
    an element, which no metric has.
    """
    share = _part(repeat, "share", "overhead")
    times = [_part(repeat, "time", stage) for stage in BUSY]
    shares = [_part(repeat, "share", stage) for stage in BUSY]
    if share is None or None in times or None in shares:
        return None
    busy = sum(value for value in shares if value is not None)
    return share * sum(value for value in times if value is not None) / busy if busy else None


def _part(repeat: Repeat, kind: Literal["share", "time"], stage: str) -> float | None:
    value = repeat.metrics.get(f"stage_{kind}_{stage}")
    return None if value is None else value.value


def _shares(repeats: Sequence[Repeat]) -> dict[str, float]:
    """Return the mean share of each stage in the time, where every repeat has it."""
    shares = {}
    for stage in (*BUSY, "overhead"):
        values = [value for value in _values(f"stage_share_{stage}", repeats) if value is not None]
        if values and len(values) == len(repeats):
            shares[stage] = sum(values) / len(values)
    return shares
