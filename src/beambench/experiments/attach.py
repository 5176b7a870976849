"""`beambench run --attach`: a job that another process started, as the one repeat of its run."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from beambench.cancellation import Cancellation
from beambench.clock import Clock
from beambench.controller.execution import Execution
from beambench.controller.results import TaskResult
from beambench.controller.session import Announce, OnStop, Session, Step, silent
from beambench.definition.entry_points import load
from beambench.definition.library import Library
from beambench.definition.publish import Publish
from beambench.definition.runners import lookup, runner_with_jobs
from beambench.errors import UsageError
from beambench.experiments.existing import prepare_nothing
from beambench.experiments.experiment import Experiment, carry_out, failed_in_a_row
from beambench.experiments.records import Subject, first_error
from beambench.experiments.retries import Arm
from beambench.record.configuration import Limits, read_configuration
from beambench.record.run_record import RunRecord
from beambench.request.checks import check_timeout


class StartedJob(Protocol):
    """A job of a runner that goes on without beambench, as its runner finds it again."""

    @property
    def job_id(self) -> str: ...

    @property
    def draft(self) -> RunRecord:
        """The run as it was known when the job was started."""
        ...

    @property
    def publish(self) -> Publish: ...

    def masked(self, text: str) -> str:
        """Return a text without secrets."""
        ...

    def execution(self) -> Execution:
        """Return what was known of the run before its job."""
        ...

    def follow(self, session: Session, step: Step, on_stop: OnStop, *, cancel: bool) -> TaskResult:
        """Follow the job to its end, or cancel it, and read it back."""
        ...


@dataclass(frozen=True)
class AttachRequest:
    """A job to follow that was started before.

    Attributes:
        cancel: end the job instead of waiting for it.
        time_limit: seconds to follow it.
    """

    job: StartedJob
    cancel: bool
    on_stop: OnStop
    time_limit: float
    labels: Mapping[str, str]
    shown_command: Sequence[str]

    @property
    def name(self) -> str:
        return self.job.draft.benchmark

    @property
    def publish(self) -> Publish:
        return self.job.publish

    @property
    def runner(self) -> str:
        return self.job.draft.runner.requested

    @property
    def interpreter(self) -> str:
        return sys.executable

    @property
    def search_path(self) -> list[str]:
        return []

    def without_secrets(self, text: str) -> str:
        return self.job.masked(text)

    def configuration(self) -> dict[str, Any]:
        """Return that of the run which made the job, with what is otherwise for this record."""
        return {
            **self.job.draft.config,
            "repeats": 1,
            "timeout": self.time_limit,
            "attached": self.job.job_id,
        }

    def identity(self) -> dict[str, str]:
        draft = self.job.draft
        return {
            "benchmark": draft.benchmark,
            "variant": draft.variant,
            "profile": draft.profile,
            "definition_hash": draft.definition_hash,
        }


def make_attach_request(
    job_id: str,
    *,
    flags: Sequence[str] = (),
    runs: Sequence[RunRecord] = (),
    library: Library | None = None,
    name: str | None = None,
    cancel: bool = False,
    on_stop: OnStop = "leave",
    timeout: float | None = None,
    labels: Mapping[str, str] | None = None,
    command: Sequence[str] = (),
) -> AttachRequest:
    """Find a job again, by Beam flags, the environment and the stored runs of it.

    Raises:
        UsageError: it was not made by beambench, or from another definition than `name` has.
        RunError: it cannot be read.
    """
    if timeout is not None:
        check_timeout(timeout)
    stored = [repeat.runner for run in runs for repeat in run.repeats if repeat.runner]
    runners = (lookup(run.runner.requested) for run in runs)
    with_jobs = (runner for runner in runners if runner is not None and runner.has_jobs)
    runner = next(with_jobs, runner_with_jobs())
    job: StartedJob = load(str(runner.attach))(job_id, flags, stored)
    if name is not None:
        _check_definition(library or Library(), name, job)
    return AttachRequest(
        job=job,
        cancel=cancel,
        on_stop=on_stop,
        time_limit=timeout or Limits.model_validate(job.draft.config).timeout,
        labels={**job.draft.labels, **(labels or {})},
        shown_command=command,
    )


def _check_definition(library: Library, name: str, job: StartedJob) -> None:
    """Check that a definition is still what the job was made from."""
    draft = job.draft
    resolved = library.resolve(
        library.add_if_file(name),
        variant=draft.variant,
        profile=draft.profile,
        overrides=read_configuration(draft.config).overrides,
    )
    if resolved.definition_hash != draft.definition_hash:
        raise UsageError(
            f"job {job.job_id} is of {draft.benchmark} with definition hash "
            f"{draft.definition_hash[:12]}, not of {name} as it is now "
            f"({resolved.definition_hash[:12]}): leave NAME out to resume it as it was"
        )


def execute_attached(
    request: AttachRequest,
    cancelled: Cancellation,
    announce: Announce = silent,
    clock: Clock | None = None,
) -> RunRecord:
    """Follow a job that was started before, read it back, and return the record of its run.

    A job that cannot be seen any more ends in a record, too.

    Raises:
        RunError: there is no room to work in.
    """
    job = request.job

    def repeat(session: Session, step: Step, _: Execution) -> TaskResult:
        return job.follow(session, step, request.on_stop, cancel=request.cancel)

    experiment = Experiment(
        request,
        prepare=prepare_nothing,
        schedule=[Arm("pipeline", "job", repeat)],
        gives_up=failed_in_a_row(1),
        judge=first_error,
        subject=lambda _: _subject(job.draft),
        execution=job.execution(),
        steps_before=1,  # reading it back comes after it
        started_at=job.draft.started_at,
    )
    return carry_out(experiment, cancelled, announce, clock)


def _subject(draft: RunRecord) -> Subject:
    return Subject(
        input=draft.input,
        model=draft.model,
        environment=draft.environment,
        choices=draft.choices,
        warnings=draft.warnings,
        beambench_version=draft.beambench_version,
    )
