"""Following a job until it ends, or until we are told to stop looking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from beambench.clock import Clock
from beambench.runners.dataflow.service.client import JobClient, ServiceError
from beambench.runners.dataflow.service.messages import Messages
from beambench.times import parse_time

POLL_SECONDS = 10.0
REASON_SECONDS = 50.0
"""How long a failed job is asked for the message that says why; it takes about 30 s to come."""
REASON_POLL_SECONDS = 5.0
OUTAGE_SECONDS = 600.0
"""How long the service may be out of reach before we give up: not the job, which goes on."""
CANCEL_SECONDS = 180.0
"""How long a job that we cancelled is waited for."""

STATE = "JOB_STATE_"
TERMINAL = frozenset({"DONE", "FAILED", "CANCELLED", "UPDATED", "DRAINED"})
WAITING = frozenset({"UNKNOWN", "STOPPED", "PENDING", "QUEUED"})
"""States before the job runs. All others are between: RUNNING, DRAINING, CANCELLING, PAUSING,
PAUSED, RESOURCE_CLEANING_UP, and what the service may add."""

Ending = Literal["ended", "interrupted", "timed_out", "lost"]


@dataclass(frozen=True)
class Look:
    """A job at one moment, for whoever shows progress."""

    state: str
    workers: int | None
    elapsed: float | None


@dataclass
class Followed:
    """A job as far as it was seen.

    Attributes:
        ending: ended: the job reached a terminal state; else why we stopped looking, also if we
            then cancelled it.
        job: the last summary that the service gave.
        states: [time, state] for each change that was seen.
        lost: for `lost`: what the service or the network said.
        cancelled_by_us: we asked the service to cancel it.
    """

    ending: Ending = "ended"
    job: dict[str, Any] = field(default_factory=dict)
    states: list[tuple[str, str]] = field(default_factory=list)
    messages: Messages = field(default_factory=Messages)
    lost: str | None = None
    cancelled_by_us: bool = False

    @property
    def state(self) -> str:
        return self.states[-1][1] if self.states else "UNKNOWN"

    @property
    def is_over(self) -> bool:
        return self.state in TERMINAL

    @property
    def created(self) -> str | None:
        return self.job.get("createTime")

    @property
    def started(self) -> str | None:
        return self.job.get("startTime")

    @property
    def finished(self) -> str | None:
        """When it reached its terminal state; None as long as it has not."""
        return self.job.get("currentStateTime") if self.is_over else None

    @property
    def seconds(self) -> float | None:
        """Seconds from its creation to its terminal state."""
        return between(self.created, self.finished)

    def see(self, job: dict[str, Any]) -> None:
        """Take in a summary of the job."""
        state = str(job.get("currentState") or f"{STATE}UNKNOWN").removeprefix(STATE)
        self.job = job
        if state != self.state or not self.states:
            self.states.append((str(job.get("currentStateTime", "")), state))


def between(begin: str | None, end: str | None) -> float | None:
    """Return the seconds between two times of the service, None if one is unknown."""
    if not begin or not end:
        return None
    return (parse_time(end) - parse_time(begin)).total_seconds()


def follow(
    client: JobClient,
    clock: Clock,
    deadline: float,
    on_look: Callable[[Look], None] = lambda _: None,
    followed: Followed | None = None,
) -> Followed:
    """Look at a job until it has ended, or until the deadline on the clock; return what was seen.

    `on_look` is called after each look; `followed` is what was seen of it before.

    Raises:
        ServiceError: the first look was refused: there is no such job, or it is not ours to see.
    """
    followed = followed or Followed()
    reached = clock.now()
    while True:
        try:
            look_at(client, followed)
            reached = clock.now()
        except ServiceError as error:
            if not followed.states and not error.may_pass:
                raise
            if not error.may_pass or clock.now() - reached > OUTAGE_SECONDS:
                followed.ending, followed.lost = "lost", str(error)
                return followed
        on_look(Look(followed.state, followed.messages.workers, _elapsed(followed)))
        if followed.is_over:
            followed.ending = "ended"
            _await_reason(client, clock, followed)
            return followed
        left = deadline - clock.now()
        if left <= 0:
            followed.ending = "timed_out"
            return followed
        if clock.wait(min(POLL_SECONDS, left)):
            followed.ending = "interrupted"
            return followed


def look_at(client: JobClient, followed: Followed) -> None:
    """Ask for the state and the newest messages, in this order: none comes after the last state."""
    followed.see(client.state())
    for page in client.message_pages(followed.messages.latest):
        followed.messages.add(page)


def cancel(client: JobClient, clock: Clock, followed: Followed) -> None:
    """Cancel a job and wait, with a limit, until it is cancelled.

    The clock must be one that Ctrl-C does not end: it was pressed already.

    Raises:
        ServiceError: the service refused.
    """
    if followed.is_over:
        return
    client.cancel()
    followed.cancelled_by_us = True
    why_stopped = followed.ending
    follow(client, clock, clock.now() + CANCEL_SECONDS, followed=followed)
    followed.ending = why_stopped


def _await_reason(client: JobClient, clock: Clock, followed: Followed) -> None:
    """Wait for the message that says why a job failed: it comes after the state."""
    if followed.state != "FAILED":
        return
    end = clock.now() + REASON_SECONDS
    while followed.messages.error is None and clock.now() < end:
        if clock.wait(REASON_POLL_SECONDS):
            return
        try:
            look_at(client, followed)
        except ServiceError:
            return


def _elapsed(followed: Followed) -> float | None:
    now = datetime.now(timezone.utc).isoformat()
    return between(followed.created, followed.finished or now)
