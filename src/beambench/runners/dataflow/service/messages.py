"""What the messages of a job tell: when its workers began and ended, how many, what went wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STARTED = "All workers have finished the startup processes and began to receive work requests"
STOPPED = "Stopping worker pool"
ERROR = "JOB_MESSAGE_ERROR"
MAX_ERRORS = 20
LONGEST_ERROR = 2000

RAISED = re.compile(r"[A-Za-z_][\w.]*(?:: \S.*|$)")
"""The line of a traceback that says what was raised; it is not indented."""
STEP = re.compile(r"\s*\[while running '[^']*'\]")
OURS = "beambench.errors.RunError: "
"""In front of a line that is meant to be read as it is."""
TRACEBACK = "Traceback (most recent call last):"
ATTEMPTS = "work item was attempted"
ROOT_CAUSE = "Root cause:"


@dataclass
class Messages:
    """The messages of a job so far.

    Attributes:
        latest: time of the newest message, from which on the next are asked for.
        workers_started: when the first pool of workers was ready for work.
        workers_stopped: when the last pool was stopped. With several pools each says both.
        workers: machines at the moment; None if the service has not said.
        most_workers: machines at most.
        errors: the newest error messages, each cut to 2000 characters.
    """

    latest: str | None = None
    workers_started: str | None = None
    workers_stopped: str | None = None
    workers: int | None = None
    most_workers: int | None = None
    errors: list[str] = field(default_factory=list)
    error_count: int = 0
    _scaled_at: str = ""
    _worst: tuple[int, str] | None = None
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def add(self, page: Mapping[str, Any]) -> None:
        """Take in one answer of the service; what was seen before counts once."""
        for message in page.get("jobMessages", []):
            time, text = str(message.get("time", "")), str(message.get("messageText", ""))
            key = (time, str(message.get("id") or text))
            if key not in self._seen:
                self._seen.add(key)
                self._read(time, text, str(message.get("messageImportance", "")))
        for event in page.get("autoscalingEvents", []):
            self._scale(event)

    def _read(self, time: str, text: str, importance: str) -> None:
        if time and (self.latest is None or instant(time) > instant(self.latest)):
            self.latest = time
        if STARTED in text:
            known = filter(None, (self.workers_started, time))
            self.workers_started = min(known, key=instant, default=None)
        if STOPPED in text:
            known = filter(None, (self.workers_stopped, time))
            self.workers_stopped = max(known, key=instant, default=None)
        if importance == ERROR:
            self.error_count += 1
            self.errors = [*self.errors, text[:LONGEST_ERROR]][-MAX_ERRORS:]
            if self._worst is None or rank(text) >= self._worst[0]:
                self._worst = rank(text), text

    def _scale(self, event: Mapping[str, Any]) -> None:
        time, count = str(event.get("time", "")), event.get("currentNumWorkers")
        if count is None or (self._scaled_at and instant(time) < instant(self._scaled_at)):
            return
        self._scaled_at, self.workers = time, int(count)
        self.most_workers = max(self.most_workers or 0, self.workers)

    @property
    def error(self) -> str | None:
        """The message that says most about why the job failed, as one line."""
        return None if self._worst is None else one_line(self._worst[1])


def rank(text: str) -> int:
    """Order errors: what was raised in a worker says most, that an item was retried the least."""
    if TRACEBACK in text:
        return 2
    return 0 if ATTEMPTS in text and ROOT_CAUSE not in text else 1


def one_line(text: str) -> str:
    """Return what was raised, or the root cause that the service names, or all on one line."""
    if TRACEBACK in text:
        lines = text.rpartition(TRACEBACK)[2].splitlines()
        raised = [line for line in lines if RAISED.match(line)]
        text = (raised[-1] if raised else text).removeprefix(OURS)
    elif ROOT_CAUSE in text:
        head, _, cause = text.partition(ROOT_CAUSE)
        text = cause if cause.strip() else head
    return " ".join(STEP.sub("", text).split())[:LONGEST_ERROR]


def instant(time: str) -> tuple[str, str]:
    """Return a key by which times of the service sort: its fractions have 0 to 9 digits."""
    seconds, _, fraction = time.rstrip("Z").partition(".")
    return seconds, fraction.ljust(9, "0")
