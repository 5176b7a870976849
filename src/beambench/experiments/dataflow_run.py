"""`beambench run --runner dataflow`, and `--attach`: jobs as the repeats of a run."""

from __future__ import annotations

import functools
import json
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from beambench import __version__
from beambench.cancellation import Cancellation
from beambench.controller.assemble import Execution
from beambench.controller.worker_process import WorkerResult, run_task, utc_now
from beambench.credentials.masking import secret_values, without
from beambench.dataflow.client import (
    OBJECT,
    Client,
    Endpoints,
    JobPlace,
    ServiceError,
    check_access,
    flag_value,
)
from beambench.dataflow.flags import JobSettings, job_settings
from beambench.dataflow.follow import Clock, RealClock, look_at
from beambench.definition.library import Library
from beambench.definition.options_file.names import ACCELERATOR
from beambench.definition.plan import Plan
from beambench.definition.publish import Publish
from beambench.errors import BeambenchError, RunError, UsageError
from beambench.experiments.dataflow_job import Job, JobFacts, OnStop
from beambench.experiments.records import Subject, Trouble, make_record
from beambench.experiments.request import RunRequest, check_timeout, importable
from beambench.experiments.run import (
    Announce,
    Run,
    Step,
    cache_dir,
    silent,
)
from beambench.experiments.work_dir import work_dir
from beambench.record.observation import Observation
from beambench.record.run_record import RunRecord
from beambench.store.run_store import RunStore
from beambench.workloads.base import load_class

COLLECT_SECONDS = 600.0
"""Time to read a job back, whatever is left of the run's."""

JOB_FILE = "job.json"
FOLDER_OPTION = "beambench_folder"
"""Pipeline option in which a job says where its folder is."""

LEFT_OUT = (
    "the model runs on a GPU of the cluster: no reference sample was run here, so labels were not "
    "compared"
)
PROJECT_VARIABLES = ("GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")
REGION_VARIABLES = ("GOOGLE_CLOUD_REGION", "CLOUDSDK_COMPUTE_REGION")


def job_name_of(benchmark: str) -> str:
    """Return a new name for a job: what the service allows, at most 63 characters."""
    now = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
    return f"beambench-{benchmark[:28].strip('-')}-{now}-{secrets.token_hex(3)}"


@dataclass
class DataflowRun(Run):
    """A run whose repeats are Dataflow jobs, one after the other."""

    on_stop: OnStop = "leave"
    jobs: list[Job] = field(default_factory=list)
    started_at: str = field(default_factory=utc_now)

    @property
    def clock(self) -> Clock:
        return RealClock(self.cancelled)

    @property
    def settings(self) -> JobSettings:
        """What the jobs are told; raises UsageError if something is missing."""
        return job_settings(self.request.resolved.definition, self.request.beam_flags)

    @property
    def endpoints(self) -> Endpoints:
        """Where the service is; raises UsageError if credentials may not go there."""
        return Endpoints.chosen(os.environ, self.request.beam_flags)

    def _repeat(self, execution: Execution) -> Trouble | None:
        """Run the jobs. One that failed ends the run: the next would cost as much."""
        for index in range(self.request.repeat_count):
            step = self._step(f"job {index + 1}", index + self._steps_before() + 1)
            trouble = self._job(execution, step)
            if trouble is not None or execution.repeats[-1].status != "succeeded":
                return trouble
        return None

    def _job(self, execution: Execution, step: Step) -> Trouble | None:
        name = job_name_of(self.request.name)
        folder = f"{self.settings.folder}/{name}"
        kept = self._kept(execution)
        submitted_at = utc_now()
        result = self._task("submit", step, None, folder=folder, job_name=name, kept=kept)
        found = result.observation.runner if result.observation is not None else {}
        if result.status != "succeeded" or "job_id" not in found:
            return self._not_submitted(result, step, name)
        place = JobPlace(found["project"], found["region"], found["job_id"])
        job = Job(
            Client(place, self.endpoints, pause=self.clock.wait),
            self.clock,
            JobFacts(folder, kept["pcollection"], kept["has_accelerator"]),
            runner=dict(found),
            masked=self.request.without_secrets,
        )
        self.jobs.append(job)
        on_progress = self.announce(step, self.prepared_count)
        try:
            job.watch(self.deadline, self.on_stop, on_progress)
        except BeambenchError as error:  # whatever it is, there is a job, and a record of it
            job.followed.ending, job.followed.lost = "lost", str(error)
        collected = None
        if job.followed.is_over:
            on_progress({"line": f"job {place.job_id}: reading its metrics"})
            job.read_metrics()
        if job.followed.state == "DONE":
            try:
                collected = self._collect(job, folder, name)
            except OSError as error:
                job.unread = f"{self.work_dir}: {error.strerror or error}"
            except RunError as error:
                job.unread = str(error)
        repeat = job.add_to(execution, collected, submitted_at)
        return Trouble.of_repeat(repeat)

    @property
    def prepared_count(self) -> int:
        assert self.preparation is not None
        return self.preparation.count

    def _not_submitted(self, result: WorkerResult, step: Step, name: str) -> Trouble:
        """Say why there is no job; one that was interrupted may have been made all the same."""
        trouble = Trouble.of(step.label, result)
        if trouble.status == "failed":
            return trouble
        warning = f"it may be that a job named {name} was made: look at the console of Dataflow"
        return Trouble(trouble.status, f"{trouble.message} while it was submitted: {warning}")

    def _collect(self, job: Job, folder: str, name: str) -> WorkerResult:
        metrics = self.work_dir / "job-metrics.json"
        metrics.write_text(job.document(), "utf-8")
        step = self._step("collect", self._steps_before() + self.request.repeat_count)
        limit = self.deadline  # which is for the job: one that is done is read all the same
        self.deadline = max(limit, time.monotonic() + COLLECT_SECONDS)
        try:
            return self._task(
                "collect", step, None, folder=folder, job_name=name, job_metrics=str(metrics)
            )
        finally:
            self.deadline = limit

    def _kept(self, execution: Execution) -> dict[str, Any]:
        """Return all that another process needs to take the job up and make the run's record."""
        definition = self.request.resolved.definition
        unfinished = Trouble("failed", "the run was not taken up again")
        draft = super()._record(Execution(execution.max_failed), self.started_at, unfinished)
        with importable(self.request.resolved):
            pcollection = load_class(definition.workload).pcollection()
        return {
            "record": draft.model_dump(mode="json"),
            "reference": _dumped(execution.reference),
            "stock": _dumped(execution.stock),
            "rounded": execution.rounded,
            "pcollection": pcollection,
            "has_accelerator": any(ACCELERATOR in flag for flag in self.settings.flags),
        }

    def _prepare(self, execution: Execution) -> Trouble | None:
        _ = self.settings
        check_access(self.endpoints)  # before anything is started
        return super()._prepare(execution)

    def _sample(self, execution: Execution) -> Trouble | None:
        """Run the sample here, unless the model is for a GPU, which this machine may not have."""
        device = self.request.resolved.definition.model.device
        return None if device == "gpu" else super()._sample(execution)

    def _record(self, execution: Execution, started_at: str, trouble: Trouble | None) -> RunRecord:
        record = super()._record(execution, started_at, trouble)
        left_out = [LEFT_OUT] if execution.reference is None and execution.repeats else []
        said = [warning for job in self.jobs for warning in job.warnings]
        return record.model_copy(update={"warnings": [*record.warnings, *left_out, *said]})


def _dumped(observation: Observation | None) -> dict[str, Any] | None:
    return None if observation is None else observation.model_dump(mode="json")


def execute_on_dataflow(
    request: RunRequest,
    cancelled: Cancellation,
    announce: Announce = silent,
    on_stop: OnStop = "leave",
) -> RunRecord:
    """Run a benchmark as Dataflow jobs; see `Run.execute`."""
    return DataflowRun(request, cancelled, announce, on_stop=on_stop).execute()


@dataclass(frozen=True)
class AttachRequest:
    """A job to take up again.

    Attributes:
        client: of the job.
        folder: its gs:// folder.
        plan: what the job was submitted with, and with it all that makes the record.
        submitted: what the submitting process said of the runner.
        cancel: end the job instead of waiting for it.
        time_limit: seconds to follow it.
    """

    client: Client
    folder: str
    plan: Plan
    draft: RunRecord
    submitted: Mapping[str, Any]
    cancel: bool
    on_stop: OnStop
    time_limit: float
    labels: Mapping[str, str]
    shown_command: Sequence[str]

    @property
    def name(self) -> str:
        return self.draft.benchmark

    @property
    def publish(self) -> Publish:
        return self.plan.definition.publish

    @property
    def runner(self) -> str:
        return self.draft.runner.requested

    def configuration(self) -> dict[str, Any]:
        """Return that of the run which made the job, with what is otherwise for this record."""
        return {
            **self.draft.config,
            "repeats": 1,
            "timeout": self.time_limit,
            "attached": self.client.place.job_id,
        }

    def identity(self) -> dict[str, str]:
        draft = self.draft
        return {
            "benchmark": draft.benchmark,
            "variant": draft.variant,
            "profile": draft.profile,
            "definition_hash": draft.definition_hash,
        }


def place_of(
    job_id: str,
    flags: Sequence[str],
    environment: Mapping[str, str],
    store: RunStore | None,
) -> JobPlace:
    """Find project and region of a job: in flags, the environment, or a stored run of it.

    Raises:
        UsageError: nothing says where it is.
    """
    runs = store.of_job(job_id) if store is not None else []
    stored = next((one.runner for run in runs for one in run.repeats if one.runner), {})
    found = {}
    for what, names in (("project", PROJECT_VARIABLES), ("region", REGION_VARIABLES)):
        given = (environment.get(name) for name in names)
        found[what] = (
            flag_value(flags, f"--{what}") or stored.get(what) or next(filter(None, given), None)
        )
        if not found[what]:
            raise UsageError(
                f"job {job_id}: no {what}: give `-- --project=… --region=…` or set {names[0]}"
            )
    return JobPlace(str(found["project"]), str(found["region"]), job_id)


def make_attach_request(
    place: JobPlace,
    *,
    flags: Sequence[str] = (),
    library: Library | None = None,
    name: str | None = None,
    cancel: bool = False,
    on_stop: OnStop = "leave",
    timeout: float | None = None,
    labels: Mapping[str, str] | None = None,
    command: Sequence[str] = (),
) -> AttachRequest:
    """Look at a job and read what its run needs from its folder.

    Raises:
        UsageError: it was not made by beambench, or from another definition than `name` has.
        RunError: it cannot be read.
    """
    if timeout is not None:
        check_timeout(timeout)
    client = Client(place, Endpoints.chosen(os.environ, flags))
    folder = _folder_of_job(client.job(), place)
    document = _job_file(client, folder, place)
    try:
        plan = Plan.model_validate(document["plan"])
        draft = RunRecord.model_validate(plan.kept["record"])
    except (KeyError, ValidationError) as error:
        version = document.get("beambench")
        raise RunError(
            f"{folder}/{JOB_FILE}: beambench {version} wrote it, {__version__} cannot read it: "
            f"take the job up with that version ({type(error).__name__})"
        ) from None
    if name is not None:
        _check_definition(library or Library(), name, draft, place)
    return AttachRequest(
        client=client,
        folder=folder,
        plan=plan,
        draft=draft,
        submitted=dict(document.get("runner") or {}),
        cancel=cancel,
        on_stop=on_stop,
        time_limit=timeout or float(draft.config["timeout"]),
        labels={**draft.labels, **(labels or {})},
        shown_command=command,
    )


def _folder_of_job(job: Mapping[str, Any], place: JobPlace) -> str:
    """Return the folder that a job of ours names among its options."""
    sdk = (job.get("environment") or {}).get("sdkPipelineOptions") or {}
    folder = (sdk.get("options") or {}).get(FOLDER_OPTION)
    if not isinstance(folder, str) or not OBJECT.fullmatch(folder):
        raise _not_ours(place)
    return folder


def _job_file(client: Client, folder: str, place: JobPlace) -> dict[str, Any]:
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


def _check_definition(library: Library, name: str, draft: RunRecord, place: JobPlace) -> None:
    """Check that a definition is still what the job was made from."""
    resolved = library.resolve(
        library.add_if_file(name),
        variant=draft.variant,
        profile=draft.profile,
        overrides=draft.config["overrides"],
    )
    if resolved.definition_hash != draft.definition_hash:
        raise UsageError(
            f"job {place.job_id} is of {draft.benchmark} with definition hash "
            f"{draft.definition_hash[:12]}, not of {name} as it is now "
            f"({resolved.definition_hash[:12]}): leave NAME out to take it up as it was"
        )


def execute_attached(
    request: AttachRequest,
    cancelled: Cancellation,
    announce: Announce = silent,
    clock: Clock | None = None,
) -> RunRecord:
    """Follow a job that was started before, read it back, and return the record of its run.

    Raises:
        RunError: the job cannot be seen, or there is no room to work in.
    """
    kept, clock = request.plan.kept, clock or RealClock(cancelled)
    job = Job(
        replace(request.client, pause=clock.wait),
        clock,
        JobFacts(request.folder, str(kept["pcollection"]), bool(kept["has_accelerator"])),
        runner={**request.submitted, "attached": True},
        masked=functools.partial(without, secret_values(request.plan.definition.model_dump())),
    )
    execution = Execution(
        float(request.draft.config["max_failed"]),
        rounded=bool(kept["rounded"]),
        reference=_loaded(kept["reference"]),
        stock=_loaded(kept["stock"]),
    )
    on_progress = announce(Step("job", 1, 2), request.draft.input.count)
    if request.cancel:
        job.followed.ending = "interrupted"
        look_at(job.client, job.followed)
        job.cancel()
    else:
        job.watch(clock.now() + request.time_limit, request.on_stop, on_progress)
    if job.followed.is_over:
        job.read_metrics()
    collected = None
    if job.followed.state == "DONE":
        announce(Step("collect", 2, 2), None)
        collected = _collect_elsewhere(request, job, cancelled)
    job.add_to(execution, collected, request.draft.started_at)
    return _attached_record(request, job, execution)


def _loaded(document: object) -> Observation | None:
    return None if document is None else Observation.model_validate(document)


def _collect_elsewhere(request: AttachRequest, job: Job, cancelled: Cancellation) -> WorkerResult:
    """Read a job back in a folder of this process."""
    with work_dir() as folder:
        metrics = folder / "job-metrics.json"
        metrics.write_text(job.document(), "utf-8")
        plan = request.plan.model_copy(
            update={
                "task": "collect",
                "folder": request.folder,
                "job_metrics": str(metrics),
                "work_dir": str(folder),
                "cache_dir": str(cache_dir()),
                "project_dir": str(Path.cwd()),
                "kept": {},
            }
        )
        deadline = time.monotonic() + COLLECT_SECONDS
        return run_task(plan, deadline=deadline, cancelled=cancelled)


def _attached_record(request: AttachRequest, job: Job, execution: Execution) -> RunRecord:
    """Complete the record that the submitting process began."""
    draft = request.draft
    record = make_record(
        request,
        Subject(
            input=draft.input,
            model=draft.model,
            environment=draft.environment,
            choices=draft.choices,
            warnings=draft.warnings,
            beambench_version=draft.beambench_version,
        ),
        execution,
        Trouble.of_repeat(execution.repeats[0]),
        started_at=draft.started_at,
        expected=1,
    )
    left_out = [LEFT_OUT] if execution.reference is None else []
    return record.model_copy(update={"warnings": [*record.warnings, *left_out, *job.warnings]})
