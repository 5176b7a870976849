"""A repeat as it stands in the record: its metrics, its verification, what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from beambench.controller.metric_values import NOTHING, MetricValues, of_repeat
from beambench.controller.proof.cross_check import cross_check
from beambench.controller.proof.element_flow import problem_of
from beambench.controller.results import TaskResult
from beambench.record.observation import Observation
from beambench.record.run_record import Metrics, Repeat, Verification

ArmName = Literal["pipeline", "loop", "ceiling"]


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
