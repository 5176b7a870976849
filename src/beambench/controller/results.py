"""What became of a task, whoever carried it out, and why a run ended early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from beambench.record.observation import InferenceStep, Measured, Observation
from beambench.record.run_record import Status, Usage

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class TaskResult:
    """How one task went, seen from inside (observation) and from outside.

    Attributes:
        error: kind, message and detail of what went wrong.
        duration: seconds that it took; None if nobody knows.
        noise: of this machine meanwhile.
        peak_rss: bytes that its processes held at most; None if they were not seen.
        rss_samples: how often they were looked at.
        usage: what a service says that the task used.
        beam_metrics: Beam's own that a service has, beside those of the observation.
        ending: for one that was cancelled or timed out: what became of it, if more than that.
        warnings: what a reader of the run must know, however the task went.
    """

    status: Status
    observation: Observation | None
    error: dict[str, Any] | None
    duration: float | None
    started_at: str
    finished_at: str
    noise: dict[str, Any]
    peak_rss: int | None
    rss_samples: int
    usage: Usage | None = None
    beam_metrics: Mapping[str, Any] = field(default_factory=dict)
    ending: str | None = None
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Trouble:
    """Why a run ended before all its repeats were done."""

    status: Status
    message: str

    @classmethod
    def of(cls, step: str, result: TaskResult) -> Trouble:
        """Return what became of a task that did not succeed in a step."""
        if result.status in ("cancelled", "timed_out"):
            cut = f"{result.status.replace('_', ' ')} in {step}"
            return cls(result.status, result.ending or cut)
        message = result.error["message"] if result.error is not None else "no result"
        return cls("failed", message)


def without_secrets(result: TaskResult, masked: Callable[[str], str]) -> TaskResult:
    """Mask what error and warnings of a result quote of what a worker was told."""
    observation, error = result.observation, result.error
    if observation is not None:
        observation = observation.model_copy(
            update={
                "warnings": [masked(text) for text in observation.warnings],
                "measured": _measured_without_secrets(observation.measured, masked),
                "steps": {
                    name: _step_without_secrets(step, masked)
                    for name, step in observation.steps.items()
                },
            }
        )
    if error is not None:
        error = {key: masked(text) for key, text in error.items()}
    return replace(result, observation=observation, error=error)


def _measured_without_secrets(
    measured: Measured | None, masked: Callable[[str], str]
) -> Measured | None:
    if measured is None or measured.retry_cause is None:
        return measured
    return measured.model_copy(update={"retry_cause": masked(measured.retry_cause)})


def _step_without_secrets(step: InferenceStep, masked: Callable[[str], str]) -> InferenceStep:
    if step.flow is None:
        return step
    flow = step.flow.model_copy(update={"causes": [masked(text) for text in step.flow.causes]})
    return step.model_copy(update={"flow": flow})
