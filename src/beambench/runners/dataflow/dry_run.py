"""`run --runner dataflow --dry-run`: the template of a job, and all that would be made for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from beambench.cancellation import Cancellation
from beambench.clock import SystemClock
from beambench.controller.processes.work_dir import cache_dir, work_dir
from beambench.controller.processes.worker_process import run_task
from beambench.controller.session import Session, silent
from beambench.definition.plan import Preparation
from beambench.definition.user_modules import importable
from beambench.errors import RunError, UsageError
from beambench.record.run_record import Choice
from beambench.request.benchmark import RunRequest
from beambench.runners.dataflow.flags import JobSettings, job_settings
from beambench.runners.dataflow.plans import TemplatePlan
from beambench.runners.dataflow.request import job_problems
from beambench.workloads.base import Weights
from beambench.workloads.registry import load_class

SECONDS = 300.0
"""Time limit of a dry run: Beam and a framework are imported, nothing is computed."""

JOB_NAME = "beambench-dry-run"


def dry_run(request: RunRequest) -> dict[str, Any]:
    """Write the template of a benchmark's job; return where it is and what it says.

    Input and weights are not made ready: the template names where they would be.

    Raises:
        UsageError: the job cannot be built as it is asked for.
        RunError: it cannot be built here.
    """
    settings = job_settings(request.resolved.definition, request.beam_flags)
    folder = f"{settings.folder}/{JOB_NAME}"
    identity = request.identity()
    own = "-".join(identity[key] for key in ("benchmark", "variant", "profile"))
    template = settings.template_location or cache_dir() / "templates" / own / "template.json"
    preparation = _unprepared(request, settings, folder)
    with work_dir() as scratch:
        clock = SystemClock(Cancellation())
        session = Session(
            work_dir=scratch,
            deadline=clock.now() + SECONDS,
            clock=clock,
            cancelled=clock.cancelled,
            announce=silent,
            run_task=run_task,
            masked=request.without_secrets,
            steps=1,
            started_at=clock.utc_now(),
            interpreter=request.interpreter,
            search_path=request.search_path,
        )
        plan = TemplatePlan(
            **(session.places() | request.plan_fields()),
            preparation=preparation,
            folder=folder,
            job_name=JOB_NAME,
            variant=identity["variant"],
            profile=identity["profile"],
            template_path=str(template),
        )
        result = session.run(plan, session.next_step("template"))
    error = result.error
    if error is not None:
        kind = UsageError if error["kind"] == "usage" else RunError
        raise kind(f"{request.name}: {error['message']}")
    assert result.observation is not None, "a worker without an error has observed"
    return {
        **result.observation.runner,
        "uploads": [
            path for path in (preparation.ids_file, preparation.weights_path) if path is not None
        ],
        "missing": list(job_problems(request)),
    }


def _unprepared(request: RunRequest, settings: JobSettings, folder: str) -> Preparation:
    """Return where input and weights of a job would be, without making them."""
    definition = request.placed_definition
    weights = definition.model.path
    if definition.model.weights == "none" or _fetched(request):
        weights = None
    elif weights is None or "://" not in weights:
        weights = f"{settings.folder}/weights/{Path(weights or definition.model.name).name}"
    return Preparation(
        root="" if definition.input.type in ("images", "numbers") else None,
        ids_file=f"{folder}/ids.txt",
        count=request.effective_limit or 0,
        sample=[],
        weights_path=weights,
        choices=_choices(request),
    )


def _choices(request: RunRequest) -> list[Choice]:
    definition = request.placed_definition
    with importable(request.search_path):
        return load_class(definition.workload).choices(definition, Weights(None), here=False)


def _fetched(request: RunRequest) -> bool:
    definition = request.placed_definition
    with importable(request.search_path):
        try:
            return load_class(definition.workload).weights_of_workers(definition) == "fetched"
        except UsageError:  # it is among the problems
            return False
