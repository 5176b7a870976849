"""The document of a comparison, made in one place for all ways to compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from beambench.analysis.comparison import ALPHA, MARGIN
from beambench.experiments.comparison.effects import (
    Limits,
    RepeatPair,
    Repeats,
    compared_metrics,
    compared_stages,
    values_of,
)
from beambench.experiments.comparison.likeness import obstacle
from beambench.experiments.comparison.sentence import headline, sentence, verdict_of
from beambench.experiments.records import new_run_id
from beambench.record.comparison import (
    ComparedMetric,
    Comparison,
    ComparisonNoise,
    Pair,
    Schedule,
    Side,
    SideName,
)
from beambench.record.environment import read_environment
from beambench.record.run_record import Repeat, RunRecord, Status
from beambench.version import __version__

ID_PREFIX = "compare-"
FRAMEWORKS = ("apache-beam", "onnxruntime", "scikit-learn", "torch", "transformers", "vllm")


@dataclass(frozen=True)
class ComparedRun:
    """A run that stands on one side.

    Attributes:
        settings: what was asked for on this side alone.
    """

    record: RunRecord
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """How a comparison came about.

    Attributes:
        pairs: None: repeats of both sides are no pairs.
        status: of the whole; one that did not succeed has no verdict.
        accepts_disturbed: repeats that other work disturbed count like others.
        differences: in what the sides are unlike beside what was asked for.
        other_runs: further runs like the base, which tell how much two runs of the same differ.
    """

    schedule: Schedule
    created_at: str
    pairs: Sequence[RepeatPair] | None = None
    status: Status = "succeeded"
    accepts_disturbed: bool = False
    limits: Limits = Limits(MARGIN, ALPHA)  # noqa: RUF009 - it is frozen
    differences: Sequence[str] = ()
    warnings: Sequence[str] = ()
    other_runs: Sequence[RunRecord] = ()


def new_comparison_id(created_at: str) -> str:
    """Return an id that sorts by time: see `new_run_id`."""
    return f"{ID_PREFIX}{new_run_id(created_at)}"


def make_comparison(base: ComparedRun, candidate: ComparedRun, how: Circumstances) -> Comparison:
    """Return the comparison of two runs, or of pairs of their repeats."""
    repeats = _repeats(base.record, candidate.record, how)
    limits = how.limits
    metrics, left_out = compared_metrics(repeats, limits)
    stages, stages_left_out = compared_stages(repeats, limits)
    names = list(metrics)
    return Comparison(
        comparison_id=new_comparison_id(how.created_at),
        created_at=how.created_at,
        beambench_version=__version__,
        benchmark=candidate.record.benchmark,
        schedule=how.schedule,
        status=how.status,
        sides=[
            _side("base", base, len(repeats.base)),
            _side("candidate", candidate, len(repeats.candidate)),
        ],
        verdict=verdict_of(metrics),
        sentence=sentence(metrics, stages, limits.margin),
        metrics=metrics,
        stages=stages,
        left_out={**left_out, **stages_left_out},
        noise=_noise(metrics, repeats),
        pairs=[_pair(pair, names) for pair in how.pairs or ()],
        margin=limits.margin,
        alpha=limits.alpha,
        differences=list(how.differences),
        warnings=list(how.warnings),
    )


def _repeats(base: RunRecord, candidate: RunRecord, how: Circumstances) -> Repeats:
    if how.pairs is None:
        sides = [counted_repeats(base), counted_repeats(candidate)]
    else:
        counted = [pair for pair in how.pairs if pair.base.counts and pair.candidate.counts]
        sides = [[pair.base for pair in counted], [pair.candidate for pair in counted]]
    reasons = [obstacle(base), obstacle(candidate)]
    if how.status != "succeeded":  # as are the runs, in consequence
        reasons = [f"the comparison was {how.status.replace('_', ' ')}"]
    if not how.accepts_disturbed:
        reasons += _disturbed(sides)
    obstacles = list(dict.fromkeys(reason for reason in reasons if reason is not None))
    other_runs = [counted_repeats(run) for run in how.other_runs]
    return Repeats(sides[0], sides[1], how.pairs is not None, other_runs, obstacles)


def counted_repeats(record: RunRecord) -> list[Repeat]:
    return [repeat for repeat in record.repeats if repeat.counts]


def _disturbed(sides: Sequence[Sequence[Repeat]]) -> list[str]:
    everyone = [repeat for side in sides for repeat in side]
    count = sum(repeat.is_disturbed for repeat in everyone)
    if not count:
        return []
    return [f"other work on the machine disturbed {count} of {len(everyone)} repeats"]


def _noise(metrics: Mapping[str, ComparedMetric], repeats: Repeats) -> ComparisonNoise:
    first = headline(metrics)
    return ComparisonNoise(
        metric=first[0] if first is not None else None,
        deviation=first[1].noise if first is not None else None,
        repeats=len(repeats.all),
        disturbed=sum(repeat.is_disturbed for repeat in repeats.all),
        other_runs=len(repeats.other_runs),
        unjudged=sum(repeat.noise.get("disturbed") is None for repeat in repeats.all),
    )


def _side(name: SideName, run: ComparedRun, n: int) -> Side:
    environment = read_environment(run.record.environment)
    return Side(
        name=name,
        run_id=run.record.run_id,
        variant=run.record.variant,
        settings=dict(run.settings),
        fingerprint=environment.fingerprint_digest,
        packages={
            package: environment.packages[package]
            for package in FRAMEWORKS
            if package in environment.packages
        },
        n=n,
    )


def _pair(pair: RepeatPair, names: Sequence[str]) -> Pair:
    return Pair(
        block=pair.block,
        order=list(pair.order),
        base=values_of(pair.base, names),
        candidate=values_of(pair.candidate, names),
    )
