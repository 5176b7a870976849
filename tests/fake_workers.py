"""Workers that take no time: scripted results for the tasks of a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from beambench.cancellation import Cancellation
from beambench.controller.processes.worker_process import OnProgress
from beambench.controller.results import TaskResult
from beambench.definition.plan import WorkerPlan
from beambench.record.observation import (
    BatchSizeRates,
    Distribution,
    Measured,
    Observation,
    Prepared,
    Proof,
    SampledPrediction,
    WorkerError,
)

COUNT = 100
BEST_BATCH_SIZE = 16
RATES = BatchSizeRates(rates={8: 40.0, BEST_BATCH_SIZE: 50.0})
KILLED = "the worker was killed by SIGKILL: out of memory?"
IDS = f"{7:032x}"
SAMPLE = [SampledPrediction(id=str(number), label=number) for number in range(8)]

Response = TaskResult | Exception | Callable[[Any], TaskResult]


def finished(observation: Observation) -> TaskResult:
    """Return the result of a worker that wrote this."""
    error = observation.error.model_dump() if observation.error is not None else None
    return _result("failed" if error else "succeeded", observation, error)


def gave_up(task: str, kind: str, message: str) -> TaskResult:
    """Return the result of a worker that wrote an error."""
    return finished(Observation(task=task, error=WorkerError(kind=kind, message=message)))


def crashed(status: str = "failed", message: str = KILLED) -> TaskResult:
    """Return the result of a worker that was killed, timed out or cancelled."""
    return _result(status, None, {"kind": "run", "message": message, "detail": ""})


def _result(status: Any, observation: Observation | None, error: Any) -> TaskResult:
    return TaskResult(
        status=status,
        observation=observation,
        error=error,
        duration=12.5,
        started_at="2026-01-01T00:00:00.000Z",
        finished_at="2026-01-01T00:00:12.500Z",
        noise={"disturbed": False, "reasons": []},
        peak_rss=1 << 30,
        rss_samples=60,
    )


def prepared(**changes: Any) -> TaskResult:
    fields: dict[str, Any] = {
        "preparation": {
            "root": "",
            "ids_file": "ids.txt",
            "count": COUNT,
            "sample": [prediction.id for prediction in SAMPLE],
        },
        "input_kind": "synthetic",
        "input_digest": "d" * 64,
        "input_bytes": None,
        "input_source": "synthetic",
        "weights_digest": None,
        "weights_size": None,
        "environment": {"machine": {"cores": 2}},
        "warnings": ["left out 1 file"],
    }
    return finished(Observation(task="prepare", prepared=Prepared(**(fields | changes))))


def measured(
    rate: float = 10.0,
    *,
    failed: int = 0,
    sizes: Sequence[int] = (10, 30, 60),
    task: str = "pipeline",
    **changes: Any,
) -> TaskResult:
    """Return what a repeat of 100 elements at this rate gives, some of which failed."""
    out = COUNT - failed
    fields: dict[str, Any] = {
        "task": task,
        "measured": Measured(
            elements=out,
            batches=len(sizes),
            batch_sizes={size: list(sizes).count(size) for size in sizes},
            batch_size=Distribution(
                count=len(sizes), sum=sum(sizes), min=min(sizes), max=max(sizes)
            ),
            batch_latency=Distribution(count=len(sizes), sum=600_000, min=200_000, max=200_000),
            latencies={20: len(sizes)},
            first_read=1_000_000,
            last_output=1_000_000 + round(out / rate * 1e6),
        ),
        "proof": Proof(count=out, failed=failed, ids=IDS, failed_ids="0", labels="a" * 32),
        "expected": Proof(count=COUNT, failed=0, ids=IDS, failed_ids="0", labels=""),
        "sample": SAMPLE,
        "runner": {
            "executed": "direct",
            "implementation": "FnApiRunner, in_memory",
            "counters": "committed",
            "options": [],
        },
    }
    return finished(Observation(**(fields | changes)))


DEFAULTS: dict[str, Callable[[], TaskResult]] = {
    "prepare": prepared,
    "reference": lambda: finished(Observation(task="reference", sample=SAMPLE)),
    "calibrate": lambda: finished(Observation(task="calibrate", batch_size_rates=RATES)),
    "pipeline": measured,
    "loop": lambda: measured(task="loop", rate=20.0),
}


def run_task(plan: WorkerPlan, **options: Any) -> TaskResult:
    """Stand in for ``run_task`` of a runner: give the result that a task has if all is well."""
    return DEFAULTS[plan.task]()


class Workers:
    """Stands in for ``run_task``: gives the scripted responses of a task in turn, then success."""

    def __init__(self) -> None:
        self.plans: list[Any] = []
        self.options: list[dict[str, Any]] = []
        self._script: dict[str, list[Response]] = {}

    def script(self, task: str, *responses: Response) -> None:
        """Set what the next workers of a task do."""
        self._script[task] = list(responses)

    @property
    def tasks(self) -> list[str]:
        """The tasks that were started, in order."""
        return [plan.task for plan in self.plans]

    def __call__(
        self,
        plan: WorkerPlan,
        *,
        deadline: float,
        cancelled: Cancellation,
        interpreter: str = sys.executable,
        search_path: Sequence[str] = (),
        on_progress: OnProgress | None = None,
    ) -> TaskResult:
        document = json.loads(json.dumps(plan.model_dump(mode="json")))  # as a worker reads it
        self.plans.append(type(plan).model_validate(document))
        self.options.append(
            {"deadline": deadline, "cancelled": cancelled, "search_path": list(search_path)}
        )
        if on_progress is not None:
            on_progress({"done": COUNT})
        waiting = self._script.get(plan.task)
        response = waiting.pop(0) if waiting else DEFAULTS[plan.task]()
        if isinstance(response, Exception):
            raise response
        return response if isinstance(response, TaskResult) else response(plan)
