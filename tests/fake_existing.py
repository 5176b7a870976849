"""What the workers of a pipeline that exists already give, for `fake_workers.Workers`."""

from __future__ import annotations

from typing import Any

from beambench.analysis.histogram import bucket
from beambench.controller.results import TaskResult
from beambench.record.observation import Distribution, InferenceStep, Measured
from beambench.record.run_record import ElementFlow
from fake_workers import measured as measured_worker

MEASURED = Measured(
    elements=60,
    batches=6,
    batch_sizes={10: 6},
    batch_size=Distribution(count=6, sum=60, min=10, max=10),
    batch_latency=Distribution(count=6, sum=1_200_000, min=200_000, max=200_000),
    latencies={bucket(200_000): 6},
    cpu=600_000,
    inference_window=(1_000_000, 3_000_000),
    inference_elements=50,
)


def beam(count: int = 6) -> dict[str, Any]:
    sizes = {"step": "s", "count": count, "sum": 60, "min": 10, "max": 10}
    return {"num_inferences": {"step": "s", "value": 60}, "inference_request_batch_size": sizes}


def step(count: int = 6, handler: str = "SomeHandler", **flow: Any) -> InferenceStep:
    element_flow = ElementFlow(**flow) if flow else None
    return InferenceStep(
        handler=handler, measured=MEASURED, beam_metrics=beam(count), flow=element_flow
    )


def flowed(out: int, failed: int = 0, **changes: Any) -> TaskResult:
    """Return a repeat of whose 100 elements so many came out of its RunInference."""
    counts = {"elements_in": 100, "elements_out": out, "elements_failed": failed}
    return existing(steps={"Infer": step(**(counts | changes))})


def existing(**changes: Any) -> TaskResult:
    """Return what the worker of a repeat gives."""
    nothing: dict[str, Any] = {"proof": None, "expected": None, "sample": []}
    parts = {"task": "existing", "measured": MEASURED, "steps": {"Infer": step()}}
    return measured_worker(**(nothing | parts | changes))
