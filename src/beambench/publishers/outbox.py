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
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import ValidationError

from beambench.cancellation import POLL, Cancellation
from beambench.definition.schema import Publish
from beambench.errors import BeambenchError, StoreError, UsageError, nearest
from beambench.publishers import beam_format, beambench_format, bigquery, influxdb
from beambench.publishers.base import (
    Outcome,
    Publisher,
    UnavailableError,
    UnreachableError,
    age,
    moment,
)
from beambench.record.run_record import RunRecord
from beambench.store.deliveries import Delivery, DeliveryQueue, IsHeld

PUBLISHERS: dict[str, type[Publisher]] = {
    "influxdb": influxdb.InfluxDB,
    "bigquery": bigquery.BigQuery,
}
TARGETS: dict[str, Callable[[Mapping[str, Any], str], dict[str, dict[str, Any]]]] = {
    "influxdb": influxdb.targets,
    "bigquery": bigquery.targets,
}
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
    """Return publisher names without repetition. Raises UsageError for an unknown one."""
    known = list(PUBLISHERS)
    chosen = list(dict.fromkeys(names))
    for name in chosen:
        if name not in known:
            raise UsageError(
                f"no publisher {name!r}{nearest(name, known)}: choose {' or '.join(known)}"
            )
    return chosen


def publish_section(record: RunRecord) -> Publish:
    """Return where a run says that it is to be published. Raises UsageError for what cannot be."""
    definition = record.config.get("definition") or {}
    try:
        return Publish.model_validate(definition.get("publish") or {})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, ("publish", *first["loc"])))
        raise UsageError(f"run {record.run_id}: {key}: {first['msg']}") from None


def check_settings(publisher: str, publish: Publish, benchmark: str) -> None:
    """Raise UsageError or RunError if the environment does not say where rows go."""
    target = TARGETS[publisher](publish.model_dump(), benchmark)["beam"]
    if publisher == "influxdb":
        influxdb.InfluxServer.of(target)
    else:
        bigquery.client_of(target)


def rows_of(record: RunRecord, publisher: str) -> list[Delivery]:
    """Return every row of a run for one publisher: Beam's and beambench's own.

    Raises UsageError if the run names a target that cannot be one.
    """
    targets = TARGETS[publisher](publish_section(record).model_dump(), record.benchmark)
    found = [("beam", row["metric"], row) for row in beam_format.rows(record)]
    found += [
        (beambench_format.METRICS, row["metric"], row)
        for row in beambench_format.metric_rows(record)
    ]
    found.append((beambench_format.RUNS, "", beambench_format.run_row(record)))
    return [
        _delivery(record.run_id, publisher, kind, key, position, targets[kind], row)
        for position, (kind, key, row) in enumerate(found)
    ]


def _delivery(
    run_id: str,
    publisher: str,
    kind: str,
    key: str,
    position: int,
    target: dict[str, Any],
    content: dict[str, Any],
) -> Delivery:
    named = "\0".join((publisher, kind, run_id, key))
    row_id = hashlib.sha256(named.encode()).hexdigest()[:32]
    if kind != "beam":
        content = {"row_id": row_id, **content}
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
    passes = [_Pass(queue, PUBLISHERS[name](), deadline, due, runs) for name in names]
    if not cancelled.is_set():
        for one in passes:
            one.thread.start()
    for one in passes:
        one.join(deadline + GRACE_S, cancelled)
    for one in passes:
        if one.error is not None:
            raise one.error
    counts = queue.counts(runs)
    for one in passes:
        report = one.report
        report.queued = counts.get(report.publisher, {}).get("queued", 0)
        if not report.queued:
            report.problem = None
        elif report.problem is None:
            report.problem = "not due yet" if due else "time was over"
    return [one.report for one in passes]


class _Pass:
    """One pass over a publisher's queue."""

    def __init__(
        self,
        queue: DeliveryQueue,
        publisher: Publisher,
        deadline: float,
        due: bool,
        runs: Collection[str] | None,
    ) -> None:
        self.report = Report(publisher.name)
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
            with self._queue.lock(self._publisher.name, self._deadline) as is_held:
                if is_held():
                    self._run(is_held)
                else:
                    self.report.problem = "another process is publishing"
        except BaseException as error:
            self.error = error

    def _run(self, is_held: IsHeld) -> None:
        batches = self._queue.queued(
            self._publisher.name, ROWS_AT_ONCE, due=self._due, runs=self._runs
        )
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
                outcome, failed = self._send(rows)
                if self.abandoned.is_set():
                    return  # the caller has reported; the next attempt finds out what arrived
                failures[target] = failures[target] + failed if failed else 0
                self._settle(rows, outcome)

    def _send(self, rows: Sequence[Delivery]) -> tuple[Outcome, int]:
        """Return what became of rows, and by how much the target's failures grow."""
        try:
            return self._publisher.send(rows, self._deadline), 0
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
        rows, found, equal: how many rows there should be, are there, and hold what was sent.
        differences: what is missing or differs, a line each.
        age: seconds since the time that the rows carry, None if none is there.
    """

    run_id: str
    publisher: str
    target: str
    rows: int
    found: int
    equal: int
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
    publisher = PUBLISHERS[name]()
    by_target: dict[str, list[Delivery]] = {}
    for row in rows_of(record, name):
        by_target.setdefault(str(sorted(row.target.items())), []).append(row)
    return [_verified(publisher, rows, deadline) for rows in by_target.values()]


def _verified(publisher: Publisher, rows: Sequence[Delivery], deadline: float) -> Verified:
    found = publisher.read_back(rows, deadline)
    differences: dict[str, list[str]] = {}
    for row in rows:
        there = found.get(row.row_id)
        what = str(row.content.get("metric") or "run")
        if there is None:
            differences[row.row_id] = [f"{what}: not there"]
            continue
        differences[row.row_id] = [
            f"{what}: {key}: {there.get(key)!r:.60} instead of {value!r:.60}"
            for key, value in row.content.items()
            if not _same(value, there, key)
        ]
    return Verified(
        run_id=rows[0].run_id,
        publisher=publisher.name,
        target=rows[0].place,
        rows=len(rows),
        found=len(found),
        equal=sum(not lines for lines in differences.values()),
        age=age(rows[0]) if found else None,
        differences=[line for lines in differences.values() for line in lines],
    )


_TIMES = ("timestamp", "started_at", "finished_at")


def _same(sent: Any, row: Mapping[str, Any], key: str) -> bool:
    """Tell whether a row that was read back has a value as it was sent.

    InfluxDB has neither null fields nor, but for the time of the point, times: `read_back` has
    found the point by its time.
    """
    there = row.get(key)
    if sent is None or there is None:
        return sent is there or (key in _TIMES and key not in row)
    if key in _TIMES:
        return moment(there) == moment(sent)
    if isinstance(sent, int | float) and not isinstance(sent, bool):
        return math.isclose(sent, float(there), rel_tol=TOLERANCE)
    return str(sent) == str(there) or influxdb.tag_value(sent) == str(there)
