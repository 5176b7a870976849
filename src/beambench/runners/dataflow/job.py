"""One Dataflow job as one repeat: following it, reading it back, and what the record says of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from beambench.cancellation import Cancellation
from beambench.clock import Clock, SystemClock
from beambench.controller.processes.worker_process import OnProgress
from beambench.controller.results import TaskResult
from beambench.controller.session import OnStop
from beambench.record.observation import Observation, Proof
from beambench.record.run_record import Status
from beambench.runners.dataflow.runner import DATAFLOW
from beambench.runners.dataflow.service.client import JobClient, JobPlace, ServiceError
from beambench.runners.dataflow.service.follow import (
    Followed,
    Look,
    between,
    cancel,
    follow,
    look_at,
)
from beambench.runners.dataflow.service.throughput import SERIES, read_throughput
from beambench.runners.dataflow.service.usage import (
    SETTLE_POLL_SECONDS,
    SETTLE_SECONDS,
    Settled,
    expected_metrics,
    inferences,
    service_metrics,
    settle,
    usage_of,
)

RUN_TIME = "JobRuntimeSeconds"
"""Beam's: from its workers' start to their stop. Our run_time is from creation to the end."""


@dataclass(frozen=True)
class JobFacts:
    """What is known of a job before it runs.

    Attributes:
        folder: gs:// folder of the job.
        pcollection: whose throughput Beam's suite would publish.
        has_accelerator: its workers have GPUs.
    """

    folder: str
    pcollection: str
    has_accelerator: bool


@dataclass
class Job:
    """A job that was submitted.

    Attributes:
        clock: waiting on it ends with Ctrl-C.
        patient: waiting on it does not.
        runner: what the submission observed, as the record has it.
        warnings: what a reader of its numbers must know.
        masked: takes secrets out of what was raised on the workers.
        unread: why no worker could read the job back.
    """

    client: JobClient
    clock: Clock
    facts: JobFacts
    runner: dict[str, Any] = field(default_factory=dict)
    followed: Followed = field(default_factory=Followed)
    settled: Settled | None = None
    beams: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    patient: Clock = field(default_factory=lambda: SystemClock(Cancellation()))
    masked: Callable[[str], str] = str
    unread: str = "nothing read it"

    @property
    def place(self) -> JobPlace:
        return self.client.place

    def watch(self, deadline: float, on_stop: OnStop, on_progress: OnProgress) -> None:
        """Follow the job; when told to stop before it has ended, leave or cancel it.

        Raises:
            ServiceError: there is no such job, or it is not ours to see.
        """
        on_progress({"line": f"job {self.place.job_id}: {self.place.console_url}"})
        show = self._shower(on_progress)
        follow(self.client, self.clock, deadline, show, self.followed)
        if on_stop == "cancel" and self.followed.ending in ("interrupted", "timed_out"):
            on_progress({"line": f"job {self.place.job_id}: cancelling it"})
            self.cancel()

    def cancel_now(self) -> None:
        """Cancel the job without following it, unless it has ended; also if it cannot be seen."""
        self.followed.ending = "interrupted"
        with contextlib.suppress(ServiceError):
            look_at(self.client, self.followed)
        self.cancel()

    def cancel(self) -> None:
        """Cancel the job, and wait for its end with a limit, which no Ctrl-C shortens."""
        self.clock, self.client = self.patient, replace(self.client, pause=self.patient.wait)
        try:
            cancel(self.client, self.clock, self.followed)
        except ServiceError as error:
            self.warnings.append(f"the job could not be cancelled: {error}")
            with contextlib.suppress(ServiceError):  # a job that has just ended refuses, too
                look_at(self.client, self.followed)

    def _shower(self, on_progress: OnProgress) -> Callable[[Look], None]:
        def show(look: Look) -> None:
            workers = "" if look.workers is None else f", {look.workers} workers"
            elapsed = "" if look.elapsed is None else f", {look.elapsed:.0f} s"
            state = look.state.lower().replace("_", " ")
            on_progress({"text": f"{state}{workers}{elapsed}", "done": self._done(look)})

        return show

    def _done(self, look: Look) -> int | None:
        if look.state != "RUNNING":
            return None
        try:
            return inferences(self.client.metrics())
        except ServiceError:
            return None  # only progress

    def read_metrics(self) -> None:
        """Read the metrics of a job that ended, once they are all there or the limit is over."""
        end = self.clock.now() + SETTLE_SECONDS
        expected = expected_metrics(self.facts.has_accelerator)
        self.settled = settle(self.client.metrics, self.clock, expected, self._proven())
        self._warn_of(self.settled)
        self.beams = service_metrics(self.settled.updates)
        if self.followed.state == "DONE":
            self.beams |= self._throughput(end)
        messages = self.followed.messages
        runtime = between(messages.workers_started, messages.workers_stopped)
        if runtime is not None:
            self.beams[RUN_TIME] = runtime

    def _proven(self) -> int:
        """Return how many elements came out by the proof that the job wrote; 0 if it wrote none."""
        try:
            content = self.client.read_object(f"{self.facts.folder}/proof.json")
            return Proof.model_validate_json(content).count
        except (ServiceError, ValueError):
            return 0

    def _throughput(self, end: float) -> dict[str, float]:
        """Return Beam's throughput once both series have come, or what has by the end."""
        series: dict[str, float] = {}
        while True:
            problem = "the service gave none"
            try:
                if self.followed.messages.workers_stopped is None:
                    problem = "the messages do not say when the workers began and ended"
                    look_at(self.client, self.followed)
                series = read_throughput(self.client, self.facts.pcollection, self.followed)
            except ServiceError as error:
                problem = str(error)
                if not error.may_pass:
                    break
            left = end - self.clock.now()
            if len(series) == len(SERIES) or left <= 0:
                break
            if self.clock.wait(min(SETTLE_POLL_SECONDS, left)):
                break
        missing = ", ".join(metric for metric in SERIES if metric not in series)
        if missing:
            self.warnings.append(f"{missing} of {self.facts.pcollection} unknown: {problem}")
        return series

    def _warn_of(self, settled: Settled) -> None:
        if settled.missing:
            names = ", ".join(settled.missing)
            self.warnings.append(f"the service did not give {names} within {settled.seconds:.0f} s")
        elif not settled.settled:
            self.warnings.append(f"metrics had not settled after {settled.seconds:.0f} s")
        if settled.problem is not None:
            self.warnings.append(f"metrics: {settled.problem}")

    def document(self) -> str:
        """Return the job and its metrics as JSON, for the worker that collects."""
        try:
            description = self.client.job()
        except ServiceError as error:
            self.warnings.append(f"names of transforms may be the service's: {error}")
            description = {}
        updates = self.settled.updates if self.settled is not None else []
        return json.dumps({"job": description, "updates": updates})

    def outcome(self) -> tuple[Status, str | None]:
        """Return how the job went, and why it did not go well."""
        followed, name = self.followed, f"job {self.place.job_id}"
        if followed.state == "DONE":
            return "succeeded", None
        if followed.state == "FAILED":
            raised = self.masked(followed.messages.error or "it does not say why")
            return "failed", f"{name} failed: {raised}"
        if followed.state == "UPDATED":
            other = followed.job.get("replacedByJobId") or "another one"
            return "failed", f"{name} was replaced by job {other}"
        if followed.state == "DRAINED":
            return "cancelled", f"{name} was drained elsewhere: not all of the input was read"
        if followed.state == "CANCELLED" and not followed.cancelled_by_us:
            return "cancelled", f"{name} was cancelled elsewhere"
        status: Status = "timed_out" if followed.ending == "timed_out" else "cancelled"
        why = "the time limit was reached" if status == "timed_out" else "interrupted"
        if followed.state == "CANCELLED":
            return status, f"{why}: {name} was cancelled"
        if followed.cancelled_by_us:
            return status, f"{why}: {name} is being cancelled, see {self.place.console_url}"
        if followed.ending == "lost":
            return "failed", f"lost sight of {name} ({followed.lost}): {self.hint()}"
        return status, f"{why}, but {name} goes on: {self.hint()}"

    def hint(self) -> str:
        """Say how to resume the job, and how to end it."""
        again = f"beambench run --attach {self.place.job_id}"
        flags = self.place.flags
        return f"resume it with `{again} -- {flags}`, or end it with `{again} --cancel -- {flags}`"

    def result(self, collected: TaskResult | None, submitted_at: str) -> TaskResult:
        """Return the job as the result of a repeat.

        Args:
            collected: of the worker that read the job back; None if there was nothing to read,
                or none could (`unread`).
            submitted_at: when the job was submitted, for one whose creation was never seen.
        """
        status, reason = self.outcome()
        observation, error, detail = None, None, "\n\n".join(self.errors)
        if reason is not None:
            error = {"kind": "run", "message": reason, "detail": detail}
        elif collected is not None:
            status, observation, error = collected.status, collected.observation, collected.error
            if status != "succeeded" and error is not None:
                error = {**error, "message": self._unread(error["message"])}
        else:
            status, error = "failed", {"kind": "run", "message": self._unread(self.unread)}
        if observation is None:
            observation = Observation(task="collect")
        self.warnings += observation.warnings  # those of a failed repeat must not be lost
        observation = observation.model_copy(
            update={"runner": self.described(observation), "warnings": []}
        )
        service = service_metrics(self.settled.updates) if self.settled is not None else None
        return TaskResult(
            status=status,
            observation=observation,
            error=error,
            duration=self.followed.seconds,
            started_at=self.followed.created or submitted_at,
            finished_at=self.followed.finished or self.clock.utc_now(),
            noise={},
            peak_rss=None,
            rss_samples=0,
            usage=usage_of(service) if service is not None else None,
            beam_metrics={
                name: {"namespace": "", "step": "", "value": value}
                for name, value in self.beams.items()
            },
            ending=error["message"] if error is not None else None,
            warnings=self.warnings,
        )

    def _unread(self, why: str) -> str:
        again = f"beambench run --attach {self.place.job_id} -- {self.place.flags}"
        return (
            f"reading job {self.place.job_id}, which is done: {why}: read it again with `{again}`"
        )

    @property
    def errors(self) -> list[str]:
        return [self.masked(text) for text in self.followed.messages.errors]

    def described(self, observation: Observation) -> dict[str, Any]:
        """Return all that the record says of the job."""
        followed, messages, settled = self.followed, self.followed.messages, self.settled
        given: dict[str, Any] = {
            "executed": DATAFLOW.name,
            "implementation": DATAFLOW.beam_name,
            "options": [],
            **self.runner,
            "counters": observation.runner.get("counters"),
        }
        return given | {
            "job_id": self.place.job_id,
            "job_name": followed.job.get("name") or given.get("job_name"),
            "project": self.place.project,
            "region": self.place.region,
            "console_url": self.place.console_url,
            "folder": self.facts.folder,
            "state": followed.state,
            "states": [list(change) for change in followed.states],
            "created": followed.created,
            "started": followed.started,
            "ended": followed.finished,
            "workers_started": messages.workers_started,
            "workers_stopped": messages.workers_stopped,
            "most_workers": messages.most_workers,
            "errors": self.errors,
            "error_count": messages.error_count,
            "following": followed.ending,
            "cancelled_by_us": followed.cancelled_by_us,
            "pcollection": self.facts.pcollection,
            "metrics": None
            if settled is None
            else {
                "settled": settled.settled,
                "seconds": round(settled.seconds, 3),
                "missing": settled.missing,
            },
        }
