"""From a stored run to rows in other databases, through a queue that loses and doubles nothing.

A row's id depends on the run, the publisher and the row alone. So queueing a run twice queues it
once, and a row that is sent again after a crash is one that the server knows.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import ValidationError

from beambench.cancellation import POLL, Cancellation
from beambench.definition.publish import Publish, recorded
from beambench.definition.publishers import find_publisher, lookup
from beambench.errors import BeambenchError, StoreError, UsageError
from beambench.publishers.base import (
    BEAM,
    Client,
    Outcome,
    Row,
    UnavailableError,
    UnreachableError,
    age,
    check_requirement,
    make_client,
    moment,
)
from beambench.record.configuration import definition_in
from beambench.record.run_record import RunRecord
from beambench.store.deliveries import Delivery, DeliveryQueue, IsHeld

ROWS_AT_ONCE = 500
FAILURES_IN_A_ROW = 3
"""After so many requests without any answer a server is left alone until the next pass."""

GRACE_S = 0.5
TOLERANCE = 1e-9
"""Relative difference up to which a value that was read back is the one that was sent."""


@dataclass
class Report:
    """What one pass over a publisher's queue did.

    Attributes:
        problem: why rows are still queued, None if none is.
        queued: how many rows, of those that the pass was about, are left.
    """

    publisher: str
    delivered: int = 0
    parked: dict[str, str] = field(default_factory=dict)
    problem: str | None = None
    queued: int = 0


def check(names: Iterable[str]) -> list[str]:
    """Return publisher names without repetition. Raises UsageError for one that cannot be had."""
    chosen = list(dict.fromkeys(names))
    for name in chosen:
        find_publisher(name)
    return chosen


def publish_section(record: RunRecord) -> Publish:
    """Return where a run says that it is to be published. Raises UsageError for what cannot be."""
    definition = definition_in(record.config)
    try:
        section: Publish = recorded(definition.get("publish") or {})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, ("publish", *first["loc"])))
        raise UsageError(f"run {record.run_id}: {key}: {first['msg']}") from None
    return section


def check_settings(name: str, publish: Publish, benchmark: str) -> None:
    """Check that rows of a benchmark can be sent from here; no server is asked.

    Raises:
        UsageError: the environment does not say where rows go, or lacks credentials.
        RunError: a package that the publisher needs is missing.
    """
    check_requirement(name)
    client = make_client(name)
    target = next(iter(client.targets(publish.section(name) or {}, benchmark).values()))
    client.check(target)


def place_of(row: Delivery) -> str:
    """Return what the target of a row is called, also if its publisher cannot be had any more."""
    if lookup(row.publisher) is None:
        return ", ".join(f"{key} {value}" for key, value in row.target.items())
    return make_client(row.publisher).place(row.target)


def rows_of(record: RunRecord, name: str) -> list[Delivery]:
    """Return every row of a run for one publisher.

    Raises UsageError if the run names a target that cannot be one.
    """
    client = make_client(name)
    targets = client.targets(publish_section(record).section(name) or {}, record.benchmark)
    return [
        _delivery(record.run_id, name, row, position, dict(targets[row.kind]))
        for position, row in enumerate(client.rows(record))
    ]


def _delivery(
    run_id: str, publisher: str, row: Row, position: int, target: dict[str, Any]
) -> Delivery:
    named = "\0".join((publisher, row.kind, run_id, row.key))
    row_id = hashlib.sha256(named.encode()).hexdigest()[:32]
    content = row.content if row.kind == BEAM else {"row_id": row_id, **row.content}
    return Delivery(row_id, run_id, publisher, target, position, content)


def deliver(
    queue: DeliveryQueue,
    names: Iterable[str],
    *,
    seconds: float,
    due: bool = False,
    runs: Collection[str] | None = None,
    cancelled: Cancellation | None = None,
) -> list[Report]:
    """Try queued rows of some publishers once, at the same time, and return within the limit.

    The work goes on in threads that are left behind if a server keeps them busy; what they had
    under way stays queued, and counts as sent without an answer.

    Args:
        queue: of the store.
        names: of the publishers.
        seconds: time limit.
        due: leave out rows whose back-off is not over.
        runs: only rows of these runs.
        cancelled: ends the attempt before the limit; nothing is sent if it is set already.

    Raises:
        StoreError: the store cannot be read or written.
    """
    deadline = time.monotonic() + seconds
    cancelled = cancelled or Cancellation()
    passes = [_Pass(queue, name, deadline, due, runs) for name in names]
    if not cancelled.is_set():
        for attempt in passes:
            attempt.thread.start()
    for attempt in passes:
        attempt.join(deadline + GRACE_S, cancelled)
    for attempt in passes:
        if attempt.error is not None:
            raise attempt.error
    counts = queue.counts(runs)
    for attempt in passes:
        report = attempt.report
        report.queued = counts.get(report.publisher, {}).get("queued", 0)
        if not report.queued:
            report.problem = None
        elif report.problem is None:
            report.problem = "not due yet" if due else "time was over"
    return [attempt.report for attempt in passes]


class _Pass:
    """One pass over a publisher's queue."""

    def __init__(
        self,
        queue: DeliveryQueue,
        publisher: str,
        deadline: float,
        due: bool,
        runs: Collection[str] | None,
    ) -> None:
        self.report = Report(publisher)
        self.abandoned = threading.Event()
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self.guarded, daemon=True)
        self._queue, self._publisher, self._deadline = queue, publisher, deadline
        self._due, self._runs = due, runs

    def join(self, deadline: float, cancelled: Cancellation) -> None:
        """Wait for the thread; leave it behind at the deadline or when cancelled."""
        while self.thread.is_alive() and not cancelled.is_set():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self.thread.join(min(left, POLL))
        if self.thread.is_alive():
            self.abandoned.set()
            self.report.problem = "no answer in time"
        if cancelled.is_set():
            self.report.problem = "interrupted"

    def guarded(self) -> None:
        """Run, and keep what is raised for the thread that waits."""
        try:
            client = self._client()
            if client is None:
                return
            with self._queue.lock(self._publisher, self._deadline) as is_held:
                if is_held():
                    self._run(client, is_held)
                else:
                    self.report.problem = "another process is publishing"
        except BaseException as error:
            self.error = error

    def _client(self) -> Client | None:
        """Return the client, or None if the publisher, or what it needs, is not installed here."""
        try:
            check_requirement(self._publisher)
            return make_client(self._publisher)
        except BeambenchError as error:
            self.report.problem = str(error)
            return None

    def _run(self, client: Client, is_held: IsHeld) -> None:
        batches = self._queue.queued(self._publisher, ROWS_AT_ONCE, due=self._due, runs=self._runs)
        failures: Counter[str] = Counter()
        for ids in batches:
            rows = self._queue.load(ids)
            if not rows:
                continue
            target = str(rows[0].target)
            if time.monotonic() > self._deadline or self.abandoned.is_set() or not is_held():
                return
            if failures[target] < FAILURES_IN_A_ROW:
                self._queue.begin(rows)
                outcome, failed = self._send(client, rows)
                if self.abandoned.is_set():
                    return  # the caller has reported; the next attempt finds out what arrived
                failures[target] = failures[target] + failed if failed else 0
                self._settle(rows, outcome)

    def _send(self, client: Client, rows: Sequence[Delivery]) -> tuple[Outcome, int]:
        """Return what became of rows, and by how much the target's failures grow."""
        try:
            return client.send(rows, self._deadline), 0
        except UnreachableError as error:
            return Outcome(problem=str(error)), 1
        except UnavailableError as error:
            return Outcome(problem=str(error)), 0
        except StoreError:
            raise
        except BeambenchError as error:  # the environment does not say where rows go
            return Outcome(problem=str(error)), FAILURES_IN_A_ROW
        except Exception as error:
            # A server, or a library, that nobody foresaw: it keeps no other row from being sent.
            return Outcome(problem=f"unexpected {type(error).__name__}"), FAILURES_IN_A_ROW

    def _settle(self, rows: Sequence[Delivery], outcome: Outcome) -> None:
        self._queue.delivered(outcome.delivered)
        for row_id, words in outcome.parked.items():
            self._queue.parked(row_id, words)
        done = {*outcome.delivered, *outcome.parked}
        left = [row for row in rows if row.row_id not in done]
        if left:
            self._queue.postpone(left, outcome.problem or "not sent")
            self.report.problem = outcome.problem
        self.report.delivered += len(outcome.delivered)
        self.report.parked |= outcome.parked


@dataclass(frozen=True)
class Verified:
    """What a server has of a run in one table or measurement.

    Attributes:
        run_id: of the run.
        rows, found, equal: how many rows there should be, are there, and are there once with what
            was sent.
        doubled: how many are there more than once.
        differences: what is missing, differs or is doubled, a line each.
        age: seconds since the time that the rows carry, None if none is there.
    """

    run_id: str
    publisher: str
    target: str
    rows: int
    found: int
    equal: int
    doubled: int
    age: float | None
    differences: list[str]

    def as_document(self) -> dict[str, Any]:
        return asdict(self)


def verify(record: RunRecord, name: str, *, seconds: float) -> list[Verified]:
    """Read the rows of a run back from a server and compare them with the record.

    Raises:
        UnavailableError: the server cannot be asked.
        BeambenchError: the environment does not say where it is.
    """
    deadline = time.monotonic() + seconds
    check_requirement(name)
    client = make_client(name)
    by_target: dict[str, list[Delivery]] = {}
    for row in rows_of(record, name):
        by_target.setdefault(str(sorted(row.target.items())), []).append(row)
    return [_verified(client, rows, deadline) for rows in by_target.values()]


def _verified(client: Client, rows: Sequence[Delivery], deadline: float) -> Verified:
    entries, doubled = client.read_back(rows, deadline), client.doubled(rows, deadline)
    differences: dict[str, list[str]] = {}
    for row in rows:
        there = entries.get(row.row_id)
        what = str(row.content.get("metric") or "run")
        if there is None:
            differences[row.row_id] = [f"{what}: not there"]
            continue
        differences[row.row_id] = [
            f"{what}: {key}: {there.get(key)!r:.60} instead of {value!r:.60}"
            for key, value in row.content.items()
            if not _same(client, key, value, there.get(key))
        ]
        if row.row_id in doubled:
            differences[row.row_id].append(f"{what}: there {doubled[row.row_id]} times")
    return Verified(
        run_id=rows[0].run_id,
        publisher=rows[0].publisher,
        target=client.place(rows[0].target),
        rows=len(rows),
        found=len(entries),
        equal=sum(not lines for lines in differences.values()),
        doubled=len(doubled),
        age=age(rows[0]) if entries else None,
        differences=[line for lines in differences.values() for line in lines],
    )


_TIMES = ("timestamp", "started_at", "finished_at")


def _same(client: Client, key: str, sent: Any, stored: Any) -> bool:
    """Tell whether a value that was read back is the one that was sent."""
    if sent is None or stored is None:
        return sent is stored
    if key in _TIMES:
        return moment(stored) == moment(sent)
    if isinstance(sent, int | float) and not isinstance(sent, bool):
        return math.isclose(sent, float(stored), rel_tol=TOLERANCE)
    return client.is_same_text(str(sent), str(stored))
