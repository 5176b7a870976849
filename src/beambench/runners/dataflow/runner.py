"""What is known of Dataflow, and what it needs here."""

from __future__ import annotations

import importlib.util

from beambench.credentials.google import LOG_IN, application_default
from beambench.definition.runners import Runner
from beambench.errors import RunError, UsageError

DATAFLOW = Runner(
    name="dataflow",
    beam_name="DataflowRunner",
    repeat="beambench.runners.dataflow.repeat:run_job",
    repeat_label="job",
    attach="beambench.runners.dataflow.attach:find_job",
    has_cluster=True,
    request_check="beambench.runners.dataflow.request:check_job",
    access_check="beambench.runners.dataflow.request:check_service",
    dry_run="beambench.runners.dataflow.dry_run:dry_run",
    doctor="beambench.runners.dataflow.runner:doctor",
    cost="usage",
    profile="full",
    repeats=1,
    failures=1,  # the next would cost as much
)


def doctor() -> tuple[bool, str]:
    """Look for what jobs and gs:// need; nothing is asked of Google."""
    try:
        installed = importlib.util.find_spec("google.cloud.dataflow") is not None
    except ModuleNotFoundError:
        installed = False
    if not installed:
        return False, "needed for Dataflow and gs://: pip install 'beambench[gcp]'"
    try:
        _, project = application_default()
    except UsageError:
        return False, f"no Google credentials: run `{LOG_IN}`"
    except RunError as error:
        return False, str(error)
    return True, f"credentials found, project {project or 'not said'}"
