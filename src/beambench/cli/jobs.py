"""What of `beambench run` is for jobs of a service: --on-stop, --attach and their dry run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from beambench.cli.settings import is_given, library, store_url
from beambench.credentials.masking import masked
from beambench.definition.entry_points import load
from beambench.definition.runners import find_runner
from beambench.errors import UsageError

if TYPE_CHECKING:
    from beambench.definition.library import Library
    from beambench.experiments.attach import AttachRequest
    from beambench.request.benchmark import RunRequest

WITH_ATTACH = (
    "names",
    "attach",
    "cancel",
    "on_stop",
    "timeout",
    "publishers",
    "store",
    "definitions",
    "label",
    "as_json",
)
"""Parameters of `run` that a job which was started before does not have of its own."""


def attached(
    context: typer.Context,
    job_id: str,
    names: Sequence[str],
    url: str,
    definitions: Sequence[Path] | None,
    **options: Any,
) -> AttachRequest:
    """Look at a job that was started before; the store may know where it is.

    Raises:
        UsageError: it is none of ours, or is given what a job that runs already has.
    """
    from beambench.experiments.attach import make_attach_request
    from beambench.store.run_store import RunStore

    if len(names) > 1:
        raise UsageError(f"--attach resumes one job: give one NAME or none, not {len(names)}")
    for parameter in context.command.params:
        name = str(parameter.name)
        if name not in WITH_ATTACH and is_given(context, name):
            raise UsageError(f"{parameter.opts[0]} does not go with --attach: the job has its own")
    with RunStore.open(url) as store:
        runs = store.of_job(job_id)
    return make_attach_request(
        job_id,
        flags=context.obj.beam_flags,
        runs=runs,
        library=library(definitions) if names else None,
        name=names[0] if names else None,
        command=masked(["beambench", *sys.argv[1:]]),
        **options,
    )


def job_of(known: Library, store: str | None, request: RunRequest) -> dict[str, Any]:
    """Return what a dry run finds out of a job on a service, and what that may cost."""
    runner = find_runner(request.runner)
    if runner.dry_run is None:
        return {}
    job: dict[str, Any] = load(runner.dry_run)(request)
    if not runner.has_cluster:
        return {"job": job}
    from beambench.experiments.cost import estimate_job_cost
    from beambench.store.run_store import RunStore

    resolved = request.resolved
    with RunStore.open(store_url(store)) as runs:
        cost = estimate_job_cost(
            resolved.definition, resolved.variant, request.effective_limit, known, runs
        )
    return {"job": {**job, "cost": cost.model_dump(mode="json")}}
