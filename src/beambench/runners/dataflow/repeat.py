"""A job as one repeat of a run: submitted, followed, and read back."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from beambench.controller.results import TaskResult, Trouble
from beambench.controller.session import OnStop, PipelineRepeat, Session, Step
from beambench.definition.options_file.names import ACCELERATOR
from beambench.definition.user_modules import importable
from beambench.errors import BeambenchError, RunError
from beambench.runners.dataflow.flags import JobSettings, job_settings
from beambench.runners.dataflow.job import Job, JobFacts
from beambench.runners.dataflow.plans import CollectPlan, Origin, SubmitPlan, fields_of
from beambench.runners.dataflow.service.client import Endpoints, JobClient, JobPlace
from beambench.workloads.registry import load_class

COLLECT_SECONDS = 600.0
"""Time to read a job back: at least, of a run that has more left; at most, where it is resumed."""

LEFT_OUT = (
    "the model runs on a GPU of the cluster: no reference sample was run here, so labels were not "
    "compared"
)
NOT_RESUMED = Trouble("failed", "the run was not resumed")
"""What stands in the record of a job until it is read back."""


def job_name_of(benchmark: str) -> str:
    """Return a new name for a job: what the service allows, at most 63 characters."""
    now = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    return f"beambench-{benchmark[:28].strip('-')}-{now}-{secrets.token_hex(3)}"


def run_job(repeat: PipelineRepeat) -> TaskResult | Trouble:
    """Submit a job, follow it and read it back.

    Raises:
        UsageError: a flag that the job needs is missing or cannot be right.
    """
    session, step = repeat.session, repeat.step
    plan = repeat.plan
    settings = job_settings(plan.definition, plan.beam_flags)
    endpoints = Endpoints.chosen(os.environ, plan.beam_flags)
    submission = submission_of(repeat, settings)
    submitted_at = session.clock.utc_now()
    result = session.run(submission, step)
    submitted = result.observation.runner if result.observation is not None else {}
    if result.status != "succeeded" or "job_id" not in submitted:
        return _not_submitted(result, step, submission.job_name)
    place = JobPlace(submitted["project"], submitted["region"], submitted["job_id"])
    return follow_and_collect(
        JobClient(place, endpoints),
        submitted,
        submission,
        session,
        step,
        repeat.on_stop,
        submitted_at=submitted_at,
    )


def submission_of(repeat: PipelineRepeat, settings: JobSettings) -> SubmitPlan:
    """Return what submits the job, with all that another process needs to make the record."""
    plan, execution = repeat.plan, repeat.execution
    draft = repeat.draft(NOT_RESUMED)
    with importable(repeat.session.search_path):
        pcollection = load_class(plan.definition.workload).pcollection()
    name = job_name_of(plan.definition.name)
    return SubmitPlan(
        **fields_of(plan),
        folder=f"{settings.folder}/{name}",
        job_name=name,
        variant=draft.variant,
        profile=draft.profile,
        origin=Origin(
            record=draft,
            rounded=execution.rounded,
            reference=execution.reference,
            stock=execution.stock,
            pcollection=pcollection,
            has_accelerator=any(ACCELERATOR in flag for flag in settings.flags),
        ),
    )


def _not_submitted(result: TaskResult, step: Step, name: str) -> Trouble:
    """Say why there is no job; one that was interrupted may have been made all the same."""
    trouble = Trouble.of(step.label, result)
    if trouble.status == "failed":
        return trouble
    warning = f"it may be that a job named {name} was made: look at the console of Dataflow"
    return Trouble(trouble.status, f"{trouble.message} while it was submitted: {warning}")


def follow_and_collect(
    client: JobClient,
    submitted: Mapping[str, Any],
    plan: SubmitPlan,
    session: Session,
    step: Step,
    on_stop: OnStop,
    *,
    submitted_at: str,
    is_resumed: bool = False,
    cancel: bool = False,
) -> TaskResult:
    """Follow a job to its end, or cancel it; read it back if it is done; return how it went."""
    origin = plan.origin
    job = Job(
        replace(client, pause=session.clock.wait),
        session.clock,
        JobFacts(plan.folder, origin.pcollection, origin.has_accelerator),
        runner=dict(submitted),
        masked=session.masked,
    )
    on_progress = session.announce(step, plan.preparation.count)
    try:
        if cancel:
            job.cancel_now()
        else:
            job.watch(session.deadline, on_stop, on_progress)
    except BeambenchError as error:  # whatever it is, there is a job, and a record of it
        job.followed.ending, job.followed.lost = "lost", str(error)
    if job.followed.is_over:
        on_progress({"line": f"job {job.place.job_id}: reading its metrics"})
        job.read_metrics()
    collected = None
    if job.followed.state == "DONE":
        # The run's deadline is for the job: one that is done is read all the same.
        limit = session.clock.now() + COLLECT_SECONDS
        deadline = limit if is_resumed else max(session.deadline, limit)
        collected = _collected(job, plan, session, step, deadline)
    result = job.result(collected, submitted_at)
    left_out = [LEFT_OUT] if origin.reference is None else []
    return replace(result, warnings=[*left_out, *result.warnings])


def _collected(
    job: Job, plan: SubmitPlan, session: Session, step: Step, deadline: float
) -> TaskResult | None:
    """Let a worker read a job that is done; None, and why in the job, if none can."""
    metrics = session.work_dir / "job-metrics.json"
    try:
        metrics.write_text(job.document(), "utf-8")
        collecting = CollectPlan(**(fields_of(plan) | session.places()), job_metrics=str(metrics))
        return session.run(collecting, step.then("collect"), deadline=deadline)
    except OSError as error:
        job.unread = f"{session.work_dir}: {error.strerror or error}"
    except RunError as error:
        job.unread = str(error)
    return None
