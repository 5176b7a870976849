"""The record of a run, made in one place for every kind of request."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from beambench.controller.execution import Execution
from beambench.controller.record_parts import runner_record
from beambench.controller.results import Trouble
from beambench.controller.run_warnings import warnings_of
from beambench.controller.status import error_of, status_of
from beambench.printable import storable
from beambench.record.run_record import (
    Choice,
    InputRecord,
    Metrics,
    ModelRecord,
    RunRecord,
    Status,
    Verification,
)
from beambench.version import __version__

if TYPE_CHECKING:
    from beambench.experiments.experiment import Request


@dataclass(frozen=True)
class Subject:
    """What was run, and where, as far as it is known.

    Attributes:
        verification: None: what the repeats proved.
        warnings: of the input and of what was run before the repeats.
        beambench_version: of the process that started the run.
    """

    input: InputRecord
    model: ModelRecord
    environment: Mapping[str, Any]
    choices: Sequence[Choice] = ()
    verification: Verification | None = None
    warnings: Sequence[str] = ()
    beambench_version: str = __version__


Judge = Callable[[Execution, Metrics, Trouble | None], str | None]
"""Says why a run failed, from repeats, metrics and what ended it early; None: it did not."""


def first_error(execution: Execution, metrics: Metrics, trouble: Trouble | None) -> str | None:
    """Say what ended the run; where that is a failure, an error of a repeat came first."""
    if trouble is not None and trouble.status != "failed":
        return trouble.message
    return error_of(execution, metrics) or (trouble.message if trouble else None)


def trouble_or_first_error(
    execution: Execution, metrics: Metrics, trouble: Trouble | None
) -> str | None:
    """Say what ended the run, or else the first error of a repeat."""
    return trouble.message if trouble is not None else error_of(execution, metrics)


def new_run_id(finished_at: str) -> str:
    """Return an id that sorts by time: UTC to the second and 8 random hex digits.

    Args:
        finished_at: when the run ended, ISO 8601 in UTC, as a clock says it.
    """
    seconds = finished_at[:19].replace("-", "").replace(":", "")
    return f"{seconds}Z-{uuid.uuid4().hex[:8]}"


def make_record(
    request: Request,
    subject: Subject,
    execution: Execution,
    trouble: Trouble | None,
    *,
    started_at: str,
    finished_at: str,
    expected: int,
    judge: Judge,
    added_config: Mapping[str, Any] | None = None,
) -> RunRecord:
    """Return the record of a run that has ended, whatever its status.

    Args:
        request: what was asked for.
        subject: what was run.
        execution: the repeats.
        trouble: why the run ended early, None if it did not.
        started_at: when the run began, in UTC.
        finished_at: when it ended.
        expected: how many repeats and references there are in a run that succeeded.
        judge: says why it failed.
        added_config: what stands in the configuration beside that of the request.
    """
    metrics = execution.metrics()
    error = judge(execution, metrics, trouble)
    status = _status(execution, trouble, expected)
    return RunRecord(
        run_id=new_run_id(finished_at),
        **request.identity(),
        beambench_version=subject.beambench_version,
        runner=runner_record(request.runner, execution.repeats),
        status="failed" if error is not None and status == "succeeded" else status,
        started_at=started_at,
        finished_at=finished_at,
        input=subject.input,
        model=subject.model,
        config={**request.configuration(), **(added_config or {})},
        choices=list(subject.choices),
        repeats=execution.repeats,
        references=execution.references,
        metrics=metrics,
        verification=subject.verification or execution.verification(),
        noise=execution.noise(),
        environment=dict(subject.environment),
        labels=dict(request.labels),
        command=[storable(word) for word in request.shown_command],
        warnings=list(
            dict.fromkeys(
                [*subject.warnings, *warnings_of(execution, metrics), *execution.warnings]
            )
        ),
        error=error,
    )


def _status(execution: Execution, trouble: Trouble | None, expected: int) -> Status:
    if trouble is not None:
        return trouble.status
    return status_of([*execution.repeats, *execution.references], expected)
