"""What of a request a job on Dataflow needs, checked before anything is submitted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from beambench.definition.schema import KEYWORD_SOURCES
from beambench.definition.user_modules import importable
from beambench.errors import UsageError
from beambench.inputs.files import is_address
from beambench.inputs.text import read_lines
from beambench.request.benchmark import RunRequest
from beambench.runners.dataflow.flags import TEMPLATE, job_settings
from beambench.runners.dataflow.service.client import Endpoints, check_access
from beambench.workloads.registry import load_class


def check_job(request: RunRequest) -> None:
    """Check all that a job on Dataflow needs; a dry run says what of it is missing."""
    settings = job_settings(request.resolved.definition, request.beam_flags)
    if settings.template_location is not None and not request.dry_run:
        raise UsageError(f"--{TEMPLATE} after --: it goes with --dry-run")
    if request.reference:
        raise UsageError(
            "--reference loop runs on this machine and a job on others: their ratio says nothing: "
            "use --runner direct"
        )
    if request.resolved.definition.runner.processes > 1:
        raise UsageError("runner.processes is for the direct runner: set cluster.processes")
    problems = list(job_problems(request))
    if problems and not request.dry_run:
        raise UsageError(f"{request.name}: {'; '.join(problems)}")


def check_service(request: RunRequest) -> None:
    """Check that the service is where credentials may go, and that there are some.

    Raises:
        UsageError: a flag is missing, or credentials may not go there.
        RunError: there are no credentials.
    """
    job_settings(request.resolved.definition, request.beam_flags)
    check_access(Endpoints.chosen(os.environ, request.beam_flags))


def job_problems(request: RunRequest) -> Iterator[str]:
    """Yield what workers elsewhere could not read."""
    definition, source = request.placed_definition, request.effective_source
    if definition.input.type == "images" and not is_address(source):
        listed = (
            None
            if source in KEYWORD_SOURCES or Path(source).is_dir()
            else [text for _, text in read_lines(source, "a list of images")]
        )
        if listed is None or not all(is_address(entry) for entry in listed):
            yield (
                f"input {source}: workers cannot read images of this machine: name a list of "
                "gs:// addresses, or a gs:// folder, with --input"
            )
    if definition.model.weights != "none":
        with importable(request.search_path):
            try:
                load_class(definition.workload).weights_of_workers(definition)
            except UsageError as error:
                yield str(error)
