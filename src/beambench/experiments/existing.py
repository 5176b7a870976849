"""`beambench run --pipeline`: the repeats of a pipeline that exists already, and their record."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from beambench.cancellation import Cancellation
from beambench.clock import Clock
from beambench.controller.execution import Execution
from beambench.controller.results import TaskResult, Trouble
from beambench.controller.session import Announce, Session, Step, silent
from beambench.definition.plan import ExistingPlan
from beambench.definition.runners import find_runner
from beambench.errors import UsageError
from beambench.experiments.experiment import Experiment, carry_out, failed_in_a_row
from beambench.experiments.records import Subject, trouble_or_first_error
from beambench.experiments.retries import Arm
from beambench.machine.environment import fingerprint
from beambench.record.run_record import InputRecord, ModelRecord, RunRecord, Verification
from beambench.request.existing import ExistingRequest

UNVERIFIED = (
    "the elements of a pipeline that exists already are not known, so that it did its work, and "
    "did it right, cannot be proven"
)
SLOT_US = 1_000_000
"""Width of a time slot, as in the local profile of the catalog's benchmarks."""


def execute_existing(
    request: ExistingRequest,
    cancelled: Cancellation,
    announce: Announce = silent,
    clock: Clock | None = None,
) -> RunRecord:
    """Run the pipeline in a worker of its own for each repeat; see `carry_out`.

    Raises:
        UsageError: the function cannot be called, or does not take its flags.
    """
    return carry_out(experiment_of(request), cancelled, announce, clock)


def experiment_of(request: ExistingRequest) -> Experiment:
    runner = find_runner(request.runner)

    def repeat(session: Session, step: Step, _: Execution) -> TaskResult:
        plan = ExistingPlan(
            **session.places(),
            function=str(runner.existing),
            pipeline=request.pipeline,
            argv=list(request.flags),
            seed=request.seed,
            slot_us=SLOT_US,
        )
        return _with_shown_flags(session.run(plan, step), request)

    return Experiment(
        request,
        prepare=prepare_nothing,
        schedule=[Arm("pipeline", "pipeline repeat", repeat)] * request.repeat_count,
        gives_up=failed_in_a_row(runner.failures),
        judge=trouble_or_first_error,
        subject=_subject,
        execution=Execution(request.failed_share),
        retries=request.retry_disturbed,
    )


def prepare_nothing(session: Session, execution: Execution) -> Trouble | None:
    """Prepare nothing."""
    return None


def _with_shown_flags(result: TaskResult, request: ExistingRequest) -> TaskResult:
    """Return a result with the flags as they may be shown.

    Raises:
        UsageError: only the user can fix what was wrong.
    """
    if result.error is not None and result.error["kind"] == "usage":
        raise UsageError(result.error["message"])
    if result.observation is None or not result.observation.runner:
        return result
    runner = {**result.observation.runner, "options": request.shown_flags}
    observation = result.observation.model_copy(update={"runner": runner})
    return dataclasses.replace(result, observation=observation)


def _subject(execution: Execution) -> Subject:
    first = execution.observations[0] if execution.observations else None
    handlers = sorted({step.handler for step in first.steps.values()}) if first else []
    torch: dict[str, Any] = {"torch": first.torch} if first else {}
    return Subject(
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
