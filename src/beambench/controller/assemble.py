"""Putting the run record together from what the workers reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from beambench.analysis.histogram import MAX_BUCKETS
from beambench.analysis.memory_growth import Reading, growth
from beambench.controller.loads import warnings_of_loads
from beambench.controller.metric_values import (
    NOTHING,
    MetricValues,
    of_pairs,
    of_repeat,
    of_run,
    ratios_of,
    warnings_of_unknown,
)
from beambench.controller.proof.cross_check import cross_check
from beambench.controller.proof.element_flow import problem_of, warnings_of_flows
from beambench.controller.proof.label_differences import labels_that_differ
from beambench.controller.proof.verification import is_accounted_for, run_level, verification
from beambench.controller.results import TaskResult
from beambench.controller.time_order import warnings_of_order
from beambench.machine.noise import summarise
from beambench.metrics.efficiency import PIPELINE_TO_LOOP
from beambench.record.observation import Observation
from beambench.record.run_record import (
    InputRecord,
    Metrics,
    ModelRecord,
    Repeat,
    RunnerRecord,
    RunNoise,
    Status,
    Verification,
)

ArmName = Literal["pipeline", "loop", "ceiling"]
LOOPS: tuple[ArmName, ...] = ("loop", "ceiling")
MIB = 1 << 20
MIN_PAIRS = 3
"""Pairs that must all lie above the limit before a run without an interval fails by it."""

EFFICIENCY_LIMIT = 1.02
"""A pipeline this much faster than the bare loop means that one of the two is measured wrongly."""


@dataclass
class Execution:
    """The repeats of a run so far, with the raw observations behind them.

    Attributes:
        rounded: the model computes in less than float32.
        observations: of the repeats of the pipeline that count.
        reference: the sample through the bare loop.
        stock: the same as `stock` runs it, for a variant whose model computes otherwise.
        first: the first execution of which all elements are accounted for.
        unknown: why metrics of each repeat have no value, where that is to be said.
        warnings: of who carried out the repeats.
    """

    max_failed: float
    rounded: bool = False
    reference: Observation | None = None
    stock: Observation | None = None
    first: Observation | None = None
    repeats: list[Repeat] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    references: list[Repeat] = field(default_factory=list)
    unknown: list[Mapping[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, arm: ArmName, result: TaskResult) -> Repeat:
        """Add one executed repeat; return it as it stands in the record."""
        known = self.repeats if arm == "pipeline" else self.references
        index = sum(1 for repeat in known if repeat.arm == arm)
        observation = result.observation
        proven = self._verified(observation) if observation is not None else None
        metrics, unknown = metrics_of(result, proven)
        repeat = make_repeat(arm, index, result, proven, self.max_failed, metrics)
        known.append(repeat)
        self.unknown.append(unknown)
        self.warnings += result.warnings
        if arm == "pipeline" and repeat.status == "succeeded" and result.observation is not None:
            self.observations.append(result.observation)
        return repeat

    def exclude(self, arm: ArmName, index: int, reason: str) -> None:
        """Leave a repeat out of the values of the run; it stays in the record, with the reason."""
        known = self.repeats if arm == "pipeline" else self.references
        at = [(repeat.arm, repeat.index) for repeat in known].index((arm, index))
        if arm == "pipeline" and known[at].counts:
            del self.observations[sum(1 for repeat in known[:at] if repeat.counts)]
        known[at] = known[at].model_copy(update={"excluded": reason})

    def _verified(self, observation: Observation) -> Verification | None:
        """Verify a repeat; the first of which nothing is missing is what later ones must equal."""
        proven = verification(
            observation, self.reference, self.stock, rounded=self.rounded, first=self.first
        )
        if self.first is None and proven is not None and is_accounted_for(observation):
            self.first = observation
        return proven

    def batch_sizes(self) -> list[int]:
        """Batch sizes of the last pipeline repeat, for the loop to replay."""
        done = [repeat.batch_sizes for repeat in self.repeats if repeat.status == "succeeded"]
        return done[-1] if done else []

    def pairs(self, arm: ArmName) -> list[tuple[Repeat, Repeat]]:
        """Return the n-th pipeline repeat with the n-th of the other arm, where both count."""
        return counted_pairs(self.repeats, self.references, arm)

    def metrics(self) -> Metrics:
        """Compute the metrics of the run."""
        return self.metric_values().values

    def metric_values(self) -> MetricValues:
        """Compute the metrics of the run, and why some have no value."""
        combined = of_run(self.repeats, self.observations)
        if not self.is_single_threaded():
            return combined
        pairs = of_pairs({arm: self.pairs(arm) for arm in LOOPS})
        return MetricValues(combined.values | pairs.values, {**combined.unknown, **pairs.unknown})

    def is_single_threaded(self) -> bool:
        """Tell whether the pipeline had one thread, as the loop has; else they are no pair."""
        return all(
            observation.measured is None or observation.measured.threads == 1
            for observation in self.observations
        )

    def verification(self) -> Verification:
        return run_level(
            [repeat.verification for repeat in self.repeats if repeat.verification is not None],
            [
                (f"{repeat.arm} repeat {repeat.index + 1}", repeat.verification)
                for repeat in self.references
                if repeat.verification is not None
            ],
        )

    def noise(self) -> RunNoise:
        every = [*self.repeats, *self.references]
        counted = [repeat for repeat in self.repeats if repeat.counts]
        return RunNoise(
            **summarise([repeat.noise for repeat in every]),
            excluded_repeats=[at for at, one in enumerate(every) if one.excluded is not None],
            counted_repeats=len(counted),
            counted_disturbed=sum(repeat.is_disturbed for repeat in counted),
        )


def counted_pairs(
    repeats: Sequence[Repeat], references: Sequence[Repeat], arm: str
) -> list[tuple[Repeat, Repeat]]:
    """Return the n-th repeat of the pipeline with the n-th of a loop, where both count."""
    others = [repeat for repeat in references if repeat.arm == arm]
    pairs = zip(repeats, others, strict=False)
    return [(pipeline, other) for pipeline, other in pairs if pipeline.counts and other.counts]


def metrics_of(result: TaskResult, proven: Verification | None) -> MetricValues:
    """Compute the metrics of a worker's result."""
    if result.observation is None:
        return NOTHING
    return of_repeat(
        result.observation,
        run_time=result.duration,
        peak_rss=result.peak_rss,
        rss_samples=result.rss_samples,
        stock=proven.stock if proven is not None else {},
    )


def make_repeat(
    arm: ArmName,
    index: int,
    result: TaskResult,
    proven: Verification | None,
    max_failed: float,
    metrics: Metrics,
) -> Repeat:
    """Turn a worker's result into a repeat: its metrics, its verification, what went wrong."""
    observation = result.observation
    steps = observation.steps if observation is not None else {}
    flows = {name: step.flow for name, step in steps.items() if step.flow is not None}
    lost = problem_of(flows, max_failed)
    error = result.error or _verdict(proven, max_failed) or (_problem(lost) if lost else None)
    if error is None and proven is None and observation is not None:
        error = _unproven(observation)
    measured = observation.measured if observation is not None else None
    theirs, check = _beside(observation)
    return Repeat(
        index=index,
        arm=arm,
        status="failed" if error is not None and result.status == "succeeded" else result.status,
        started_at=result.started_at,
        finished_at=result.finished_at,
        metrics=metrics,
        verification=proven,
        noise=result.noise,
        devices=measured.devices if measured is not None else [],
        batch_sizes=_sizes(measured.batch_sizes) if measured is not None else [],
        batches_retried=measured.retried_batches if measured is not None else 0,
        retry_cause=measured.retry_cause if measured is not None else None,
        late_loads=measured.late_loads if measured is not None else None,
        steady_loads=measured.steady_loads if measured is not None else None,
        weights_cached=observation.weights_cached if observation is not None else None,
        runner=observation.runner if observation is not None else {},
        beam_metrics=theirs | dict(result.beam_metrics),
        cross_check=check,
        element_flows=flows,
        output_rows=observation.output_rows if observation is not None else None,
        usage=result.usage,
        error=error,
    )


def _beside(observation: Observation | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return Beam's own metrics and how ours agree; of several steps, each by its name."""
    if observation is None or observation.measured is None:
        return {}, {}
    if len(observation.steps) < 2:
        alone = next(iter(observation.steps.values()), observation)
        theirs = alone.beam_metrics
        gap = observation.latency_gap
        return theirs, cross_check(observation.measured, theirs, gap) if theirs else {}
    theirs = {name: step.beam_metrics for name, step in observation.steps.items()}
    checks = {
        name: cross_check(step.measured, step.beam_metrics, observation.latency_gap)
        for name, step in observation.steps.items()
    }
    agreements = [check["agrees"] for check in checks.values()]
    return theirs, {
        "agrees": None if None in agreements else all(agreements),
        "differences": [
            f"{name}: {difference}"
            for name, check in checks.items()
            for difference in check["differences"]
        ],
        "steps": checks,
    }


def _sizes(counts: Mapping[int, int]) -> list[int]:
    """Return batch sizes in ascending order, as Beam's batching grows them."""
    return [size for size in sorted(counts) for _ in range(counts[size])]


def _verdict(proven: Verification | None, max_failed: float) -> dict[str, Any] | None:
    """Return why a repeat that ran to its end still failed, or None."""
    if proven is None:
        return None
    failed = proven.elements_failed or 0
    share = failed / proven.elements_in if proven.elements_in else 0.0
    if share > max_failed:
        first = proven.failed[0] if proven.failed else None
        named = f": {first.id}: {first.stage}: {first.error}" if first is not None else ""
        return _problem(
            f"{failed} of {proven.elements_in} elements failed, "
            f"more than max_failed {max_failed:g}{named}"
        )
    if proven.problems:
        return _problem(f"verification: {proven.problems[0]}")
    return None


def _unproven(observation: Observation) -> dict[str, Any] | None:
    """Say that a benchmark must prove its work; a pipeline that exists already cannot."""
    if observation.task == "existing":
        return None
    return _problem("the worker gave no proof of its work")


def _problem(message: str) -> dict[str, Any]:
    return {"kind": "run", "message": message, "detail": ""}


def runner_record(requested: str, repeats: Sequence[Repeat]) -> RunnerRecord:
    """Say which runner ran, from what the repeats observed."""
    seen = next((repeat.runner for repeat in repeats if repeat.runner), None)
    if seen is None:
        return RunnerRecord(requested=requested, executed=None)
    return RunnerRecord(
        requested=requested,
        executed=seen["executed"],
        implementation=seen["implementation"],
        options=seen["options"],
        counters=seen["counters"],
    )


def input_record(observation: Observation | None, source: str, labels: str | None) -> InputRecord:
    prepared = observation.prepared if observation is not None else None
    if prepared is None:
        return InputRecord(kind="unknown", count=0, digest=None, source=source, labels=labels)
    return InputRecord(
        kind=prepared.input_kind,
        count=prepared.preparation["count"],
        digest=prepared.input_digest,
        bytes=prepared.input_bytes,
        source=prepared.input_source,
        labels=labels,
        class_folders=prepared.preparation.get("class_folders"),
    )


def model_record(observation: Observation | None, name: str, weights: Any) -> ModelRecord:
    prepared = observation.prepared if observation is not None else None
    size = prepared.weights_size if prepared is not None else None
    return ModelRecord(
        name=name,
        weights=weights,
        digest=prepared.weights_digest if prepared is not None else None,
        size_mib=size / MIB if size is not None else None,
    )


def status_of(repeats: Sequence[Repeat], expected: int) -> Status:
    """Return the status of the run: the worst of its repeats, failed if any is missing."""
    statuses = [repeat.status for repeat in repeats]
    for worst in ("cancelled", "timed_out", "failed"):
        if worst in statuses:
            return worst
    return "succeeded" if len(statuses) >= expected else "failed"


def warnings_of(execution: Execution, metrics: Metrics) -> list[str]:
    """Say what a reader of the numbers must know."""
    warnings = [
        warning for observation in execution.observations for warning in observation.warnings
    ]
    for repeat in [*execution.repeats, *execution.references]:
        where = f"{repeat.arm} repeat {repeat.index + 1}"
        if repeat.batches_retried:
            share = f"{repeat.batches_retried} of {len(repeat.batch_sizes)} batches"
            why = f" ({repeat.retry_cause})" if repeat.retry_cause is not None else ""
            warnings.append(
                f"{where}: {share} failed{why} and were run one element at a time, so throughput "
                "is not that of batch_sizes"
            )
        warnings += warnings_of_loads(where, repeat)
        warnings += warnings_of_flows(where, repeat.element_flows)
        for difference in repeat.cross_check.get("differences", []):
            warnings.append(f"{where}: Beam's own metrics differ: {difference}")
        for reason in repeat.noise.get("reasons", []):
            instead = f"; {repeat.excluded}" if repeat.excluded is not None else ""
            warnings.append(f"{where} was disturbed: {reason}{instead}")
    warnings += warnings_of_order(execution.repeats)
    warnings += _memory_that_grew(execution.observations)
    proofs = [each.verification for each in execution.repeats if each.verification is not None]
    warnings += dict.fromkeys(warning for proof in proofs for warning in proof.warnings)
    if execution.references and not execution.is_single_threaded():
        warnings.append("the pipeline had several workers, the loop one: no efficiency is given")
    if any(each.measured is not None and each.measured.folded for each in execution.observations):
        spread = f"latencies spread over more than {MAX_BUCKETS} buckets"
        warnings.append(f"{spread}: percentiles are withheld")
    warnings += labels_that_differ([*execution.repeats, *execution.references])
    warnings += warnings_of_unknown(execution.unknown, execution.metric_values().unknown)
    efficiency = metrics.get("pipeline_efficiency")
    if efficiency is not None and efficiency.value > EFFICIENCY_LIMIT:
        warnings.append(
            f"pipeline_efficiency {efficiency.value:.3f} is above {EFFICIENCY_LIMIT}: an error "
            "until explained, for a pipeline cannot do the same work faster than the bare loop"
        )
    return warnings


def _memory_that_grew(observations: Sequence[Observation]) -> list[str]:
    """Say in one line how memory grew with every batch, of the repeat where it grew fastest."""
    growths = [
        grown
        for observation in observations
        if (grown := growth([Reading(*reading) for reading in observation.memory])) is not None
    ]
    if not growths:
        return []
    most = max(growths, key=lambda grown: grown.per_batch)
    return [
        f"the worker's memory grew by {most.per_batch / 1e6:.3g} MB a batch over {most.batches} "
        f"batches, from {most.start / 1e9:.3g} to {most.end / 1e9:.3g} GB, in {len(growths)} of "
        f"{len(observations)} repeats: a leak, or a cache that never filled"
    ]


def error_of(execution: Execution, metrics: Metrics) -> str | None:
    """Return the first error of the run as one line, or None."""
    for repeat in [*execution.repeats, *execution.references]:
        if repeat.error is not None:
            return f"{repeat.arm} repeat {repeat.index + 1}: {repeat.error['message']}"
    ratios = ratios_of(PIPELINE_TO_LOOP, execution.pairs("loop"))
    least = min(ratios) if len(ratios) >= MIN_PAIRS else 0.0
    efficiency = metrics.get("pipeline_efficiency")
    if efficiency is not None and max(efficiency.ci_low or 0.0, least) > EFFICIENCY_LIMIT:
        return f"pipeline_efficiency is above {EFFICIENCY_LIMIT} beyond noise: measured wrongly"
    return None
