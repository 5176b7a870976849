"""What workers reported of 100 elements, and executions of it."""

from __future__ import annotations

from typing import Any

from beambench.controller.execution import Execution
from beambench.controller.proof.verification import verification
from beambench.controller.repeats import make_repeat, metrics_of
from beambench.controller.results import TaskResult
from beambench.record.observation import (
    Distribution,
    Measured,
    Observation,
    Proof,
    SampledPrediction,
)
from beambench.record.run_record import FailedElement, MetricValue, Repeat

IDS = f"{7:032x}"
SAMPLE = [SampledPrediction(id=str(number), label=number) for number in range(8)]
REFERENCE = Observation(task="reference", sample=SAMPLE)
CRASH = {"kind": "run", "message": "the worker was killed by SIGKILL: out of memory?", "detail": ""}


def observe(
    rate: float = 10.0, *, failed: int = 0, count: int = 100, label: str = "a", **changes: Any
) -> Observation:
    """Return what a worker reports of 100 elements in batches of 10, 30 and 60."""
    out = count - failed
    sizes = {60: 1, 10: 1, 30: 1}
    proof = Proof(count=out, failed=failed, ids=IDS, failed_ids="0", labels=label)
    fields: dict[str, Any] = {
        "task": "pipeline",
        "measured": Measured(
            elements=out,
            batches=3,
            batch_sizes=sizes,
            batch_size=Distribution(count=3, sum=100, min=10, max=60),
            batch_latency=Distribution(count=3, sum=300_000, min=100_000, max=100_000),
            latencies={20: 3},
            first_read=0,
            last_output=round(out / rate * 1e6),
        ),
        "proof": proof,
        "expected": Proof(count=count, failed=0, ids=IDS, failed_ids="0", labels=""),
        "failed": [FailedElement(id="7.jpg", stage="preprocess", error="ValueError: bad")] * failed,
        "sample": SAMPLE,
        "runner": {
            "executed": "direct",
            "implementation": "FnApiRunner (in_memory)",
            "counters": "committed",
            "options": ["--x=1"],
        },
    }
    return Observation(**(fields | changes))


def result_of(observation: Observation | None = None, **changes: Any) -> TaskResult:
    error = observation.error if observation is not None else None
    fields: dict[str, Any] = {
        "status": "succeeded" if observation is not None and error is None else "failed",
        "observation": observation,
        "error": CRASH if observation is None else error and error.model_dump(),
        "duration": 12.5,
        "started_at": "2026-01-01T00:00:00.000Z",
        "finished_at": "2026-01-01T00:00:13.000Z",
        "noise": {"reasons": [], "disturbed": False},
        "peak_rss": 1000,
        "rss_samples": 9,
    }
    return TaskResult(**(fields | changes))


def execute(*results: tuple[str, Any], max_failed: float = 0.01) -> Execution:
    """Return an execution of (arm, rate or result); a rate of None is a crash."""
    execution = Execution(max_failed, reference=REFERENCE)
    for arm, what in results:
        observation = observe(what) if isinstance(what, int | float) else None
        execution.add(arm, what if isinstance(what, TaskResult) else result_of(observation))
    return execution


def judged(arm: Any, index: int, result: TaskResult, max_failed: float) -> Repeat:
    """Return the repeat of a worker's result."""
    seen = result.observation
    proven = verification(seen, REFERENCE) if seen is not None else None
    metrics = metrics_of(result, proven).values
    return make_repeat(arm, index, result, proven, max_failed, metrics)


def changed(**changes: Any) -> Observation:
    """Return an observation whose measurements differ in something."""
    observation = observe()
    assert observation.measured is not None
    measured = observation.measured.model_copy(update=changes)
    return observation.model_copy(update={"measured": measured})


def efficiency_of(value: float, ci_low: float | None = None) -> dict[str, MetricValue]:
    high = None if ci_low is None else value + 1
    metric_value = MetricValue(
        value=value, unit="1", direction="higher", n=6, ci_low=ci_low, ci_high=high
    )
    return {"pipeline_efficiency": metric_value}
