"""A job that was submitted before, as its folder and the service know it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from beambench.controller.execution import Execution
from beambench.controller.results import TaskResult
from beambench.controller.session import OnStop, Session, Step
from beambench.credentials.masking import secret_values, without
from beambench.definition.beam_flags import BeamFlags
from beambench.definition.options_file.names import FOLDER
from beambench.definition.publish import Publish
from beambench.errors import RunError, UsageError
from beambench.record.configuration import Limits
from beambench.record.run_record import RunRecord
from beambench.runners.dataflow.plans import JOB_FILE, SubmitPlan
from beambench.runners.dataflow.repeat import follow_and_collect
from beambench.runners.dataflow.service.client import (
    OBJECT,
    Endpoints,
    JobClient,
    JobPlace,
    ServiceError,
)
from beambench.version import __version__

PROJECT_VARIABLES = ("GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")
REGION_VARIABLES = ("GOOGLE_CLOUD_REGION", "CLOUDSDK_COMPUTE_REGION")


@dataclass(frozen=True)
class SubmittedJob:
    """A job to follow again.

    Attributes:
        client: of the job.
        plan: what it was submitted with, and with it all that makes the record.
        submitted: what the submitting process said of the runner.
    """

    client: JobClient
    plan: SubmitPlan
    submitted: Mapping[str, Any]

    @property
    def job_id(self) -> str:
        return self.client.place.job_id

    @property
    def draft(self) -> RunRecord:
        return self.plan.origin.record

    @property
    def publish(self) -> Publish:
        return self.plan.definition.publish

    def masked(self, text: str) -> str:
        """Return a text without the secrets of the definition."""
        return without(secret_values(self.plan.definition.model_dump()), text)

    def execution(self) -> Execution:
        """Return what was known of the run before its job."""
        origin = self.plan.origin
        return Execution(
            Limits.model_validate(origin.record.config).max_failed,
            rounded=origin.rounded,
            reference=origin.reference,
            stock=origin.stock,
        )

    def follow(self, session: Session, step: Step, on_stop: OnStop, *, cancel: bool) -> TaskResult:
        """Follow the job to its end, or cancel it, and read it back."""
        return follow_and_collect(
            self.client,
            {**self.submitted, "attached": True},
            self.plan,
            session,
            step,
            on_stop,
            submitted_at=self.draft.started_at,
            is_resumed=True,
            cancel=cancel,
        )


def find_job(
    job_id: str, flags: Sequence[str], stored: Sequence[Mapping[str, Any]]
) -> SubmittedJob:
    """Look at a job and read what its run needs from its folder.

    Args:
        job_id: of the service.
        flags: Beam flags, which may say where the job is.
        stored: what stored runs of the job say of their runner.

    Raises:
        UsageError: it was not made by beambench, or nothing says where it is.
        RunError: it cannot be read.
    """
    place = place_of(job_id, flags, os.environ, stored)
    client = JobClient(place, Endpoints.chosen(os.environ, flags))
    folder = _folder_of_job(client.job(), place)
    document = _job_file(client, folder, place)
    try:
        plan = SubmitPlan.model_validate(current_form(document["plan"]))
    except (ValidationError, TypeError, AttributeError, KeyError) as error:
        version = document.get("beambench")
        raise RunError(
            f"{folder}/{JOB_FILE}: beambench {version} wrote it, {__version__} cannot read it: "
            f"resume the job with that version ({type(error).__name__})"
        ) from None
    plan = plan.model_copy(update={"folder": folder})
    return SubmittedJob(client, plan, dict(document.get("runner") or {}))


def current_form(plan: Any) -> Any:
    """Return the plan of a job file as it is written today, if it is one of the first form."""
    if not isinstance(plan, dict) or "kept" not in plan:
        return plan
    origin = plan["kept"]
    own = {name: value for name, value in plan.items() if name in SubmitPlan.model_fields}
    named = {name: origin["record"][name] for name in ("variant", "profile")}
    return {**own, **named, "runs_here": False, "origin": origin}


def place_of(
    job_id: str,
    flags: Sequence[str],
    environment: Mapping[str, str],
    stored: Sequence[Mapping[str, Any]],
) -> JobPlace:
    """Find project and region of a job: in flags, a stored run of it, or the environment.

    Raises:
        UsageError: nothing says where it is.
    """
    known = next(iter(stored), {})
    place = {}
    for part, names in (("project", PROJECT_VARIABLES), ("region", REGION_VARIABLES)):
        given = (environment.get(name) for name in names)
        place[part] = (
            BeamFlags(flags).value(part) or known.get(part) or next(filter(None, given), None)
        )
        if not place[part]:
            raise UsageError(
                f"job {job_id}: no {part}: give `-- --project=… --region=…` or set {names[0]}"
            )
    return JobPlace(str(place["project"]), str(place["region"]), job_id)


def _folder_of_job(job: Mapping[str, Any], place: JobPlace) -> str:
    """Return the folder that a job of ours names among its options."""
    sdk = (job.get("environment") or {}).get("sdkPipelineOptions") or {}
    folder = (sdk.get("options") or {}).get(FOLDER)
    if not isinstance(folder, str) or not OBJECT.fullmatch(folder):
        raise _not_ours(place)
    return folder


def _job_file(client: JobClient, folder: str, place: JobPlace) -> dict[str, Any]:
    try:
        document = json.loads(client.read_object(f"{folder}/{JOB_FILE}"))
    except ServiceError as error:
        if error.status == 404:
            raise _not_ours(place) from None
        raise
    except ValueError:
        raise _not_ours(place) from None
    if not isinstance(document, dict) or "beambench" not in document or "plan" not in document:
        raise _not_ours(place)
    return document


def _not_ours(place: JobPlace) -> UsageError:
    return UsageError(
        f"job {place.job_id} was not started by this beambench: it has no {JOB_FILE} of its own "
        "to make a run of"
    )
