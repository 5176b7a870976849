"""`beambench run --pipeline`: the repeats of a pipeline that exists already, and their record."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

from beambench.cancellation import Cancellation
from beambench.controller.assemble import (
    Execution,
)
from beambench.controller.worker_process import WorkerResult, run_task, utc_now
from beambench.definition.plan import ExternalPlan
from beambench.errors import RunError, UsageError
from beambench.experiments.external_request import ExternalRequest, search_path
from beambench.experiments.records import Subject, Trouble, make_record
from beambench.experiments.run import (
    GIVE_UP_AFTER,
    Announce,
    Step,
    silent,
    without_secrets,
)
from beambench.experiments.work_dir import work_dir
from beambench.machine.environment import fingerprint
from beambench.record.run_record import InputRecord, ModelRecord, RunRecord, Verification

UNVERIFIED = (
    "the elements of a pipeline that exists already are not known, so that it did its work, and "
    "did it right, cannot be proven"
)
SLOT_US = 1_000_000
"""Width of a time slot, as in the local profile of the catalog's benchmarks."""


def execute_external(
    request: ExternalRequest, cancelled: Cancellation, announce: Announce = silent
) -> RunRecord:
    """Run the pipeline in a worker of its own for each repeat; return the record of the run.

    Raises:
        UsageError: the function cannot be called, or does not take its flags.
        RunError: there is no room to work in.
    """
    started_at, deadline = utc_now(), time.monotonic() + request.time_limit
    execution = Execution(max_failed=request.failed_share)
    trouble: Trouble | None = None
    with work_dir() as folder:
        try:
            for index in range(request.repeat_count):
                step = Step(f"pipeline repeat {index + 1}", index + 1, request.repeat_count)
                result = run_task(
                    _plan(request, folder),
                    deadline=deadline,
                    cancelled=cancelled,
                    search_path=search_path(),
                    on_progress=announce(step, None),
                )
                trouble = _add(execution, request, step, result)
                if trouble is not None or _has_given_up(execution):
                    break
        except OSError as error:
            trouble = Trouble("failed", f"{folder}: {error.strerror or error}")
        except RunError as error:  # a worker could not be started; others did before it
            trouble = Trouble("failed", str(error))
    return _record(execution, request, started_at, trouble)


def _plan(request: ExternalRequest, folder: Path) -> ExternalPlan:
    return ExternalPlan(
        pipeline=request.pipeline,
        argv=list(request.flags),
        seed=request.seed,
        work_dir=str(folder),
        project_dir=os.getcwd(),  # noqa: PTH109
        epoch_ns=time.time_ns(),
        slot_us=SLOT_US,
    )


def _add(
    execution: Execution, request: ExternalRequest, step: Step, result: WorkerResult
) -> Trouble | None:
    """Add a repeat, without secrets; return what ends the run."""
    result = without_secrets(result, request)
    if result.error is not None and result.error["kind"] == "usage":
        raise UsageError(result.error["message"])
    if result.observation is not None:
        runner = {**result.observation.runner, "options": request.shown_flags}
        observation = result.observation.model_copy(
            update={"runner": runner if result.observation.runner else {}}
        )
        result = dataclasses.replace(result, observation=observation)
    repeat = execution.add("pipeline", result)
    return Trouble.of(step.label, result) if repeat.status in ("cancelled", "timed_out") else None


def _has_given_up(execution: Execution) -> bool:
    latest = [repeat.status for repeat in execution.repeats[-GIVE_UP_AFTER:]]
    return len(latest) == GIVE_UP_AFTER and "succeeded" not in latest


def _record(
    execution: Execution, request: ExternalRequest, started_at: str, trouble: Trouble | None
) -> RunRecord:
    first = execution.observations[0] if execution.observations else None
    handlers = sorted({step.handler for step in first.steps.values()}) if first else []
    torch: dict[str, Any] = {"torch": first.torch} if first else {}
    subject = Subject(
        input=InputRecord(kind="unknown", count=None, digest=None),
        model=ModelRecord(name=", ".join(handlers) or "unknown", weights="unknown"),
        environment={**fingerprint(Path.cwd()), **torch},
        verification=Verification(
            elements_in=None,
            elements_out=None,
            elements_failed=None,
            duplicates=None,
            missing=None,
            unverified=UNVERIFIED,
        ),
    )
    return make_record(
        request,
        subject,
        execution,
        trouble,
        started_at=started_at,
        expected=request.repeat_count,
        error=trouble.message if trouble is not None else None,
    )
