"""Which runs go to which publishers, and the queue that takes them there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from beambench.cancellation import Cancellation
from beambench.definition.publish import Publish
from beambench.definition.publishers import publisher_names
from beambench.errors import UsageError
from beambench.publishers import outbox
from beambench.record.run_record import RunRecord
from beambench.store.deliveries import Delivery
from beambench.store.run_store import RunStore

ATTEMPT_SECONDS = 9.0
"""One bounded attempt after a run: with the grace of ``deliver`` it stays below ten seconds."""


@dataclass(frozen=True)
class Attempt:
    """What one publisher has of some runs after an attempt to deliver their rows.

    Attributes:
        delivered, queued, parked: rows of these runs: arrived, still to be sent, refused for good.
        problem: why rows are still queued, None if none is.
        refusal: what the server said of a row that it refused in this attempt, if it did.
    """

    publisher: str
    delivered: int
    queued: int
    parked: int
    problem: str | None
    refusal: str | None

    @property
    def messages(self) -> list[str]:
        """What a user must know: rows that are not delivered, a line for each reason."""
        lines = []
        if self.queued:
            left = undelivered(self.publisher, self.queued, self.problem)
            lines.append(f"{left}: send them later with `beambench publish --pending`")
        if self.parked:
            words = self.refusal or "see `beambench publish --status`"
            lines.append(f"{self.publisher}: rows refused and set aside: {words}")
        return lines


def undelivered(publisher: str, rows: int, problem: str | None) -> str:
    """Say how many rows are still queued, and why."""
    counted = f"{rows} row{'s' if rows != 1 else ''}"
    return f"{publisher}: {counted} not delivered, kept in the queue: {problem}"


def check_publishers(names: Sequence[str], publish: Publish, benchmark: str) -> list[str]:
    """Return the publishers of a run that is about to begin, without repetition.

    Raises:
        UsageError: one is unknown, or the environment does not say where it is.
        RunError: a library that it needs is missing.
    """
    chosen = outbox.check(names)
    for name in chosen:
        outbox.check_settings(name, publish, benchmark)
    return chosen


def runs_named(store: RunStore, ids: Sequence[str]) -> list[RunRecord]:
    """Return stored runs by their ids, or the beginnings of them. Raises UsageError."""
    records = []
    for run_id in ids:
        record = store.get(run_id)
        if record is None:
            raise UsageError(
                f"no run {run_id!r} in this store: `beambench history NAME` lists them"
            )
        records.append(record)
    return records


def publishers_of(record: RunRecord, names: Sequence[str]) -> list[str]:
    """Return the publishers named, else those of a run's definition; UsageError without any."""
    chosen = outbox.check(names or outbox.publish_section(record).to)
    if not chosen:
        raise UsageError(
            f"run {record.run_id}: no publisher is chosen: give --publish "
            f"{' or --publish '.join(publisher_names())}, or set publish.to of the benchmark"
        )
    return chosen


def rows_of(record: RunRecord, publishers: Sequence[str]) -> list[Delivery]:
    """Return every row of a run for some publishers."""
    return [row for name in publishers for row in outbox.rows_of(record, name)]


def queue(
    store: RunStore, records: Sequence[RunRecord], names: Sequence[str], *, again: bool = False
) -> dict[str, list[str]]:
    """Queue the rows of stored runs; return the publishers of each.

    Args:
        store: that keeps the queue.
        records: runs of this store.
        names: of the publishers; none: those of each run's definition.
        again: queue also what was delivered.

    Raises:
        UsageError: no publisher is chosen, or the environment does not say where it is.
    """
    wanted = {record.run_id: publishers_of(record, names) for record in records}
    for record in records:
        for name in wanted[record.run_id]:
            outbox.check_settings(name, outbox.publish_section(record), record.benchmark)
    for record in records:
        store.deliveries.add(rows_of(record, wanted[record.run_id]), again=again)
    return wanted


def attempt(
    store: RunStore, runs: Sequence[str], publishers: Sequence[str], cancelled: Cancellation
) -> list[Attempt]:
    """Make one bounded attempt to deliver the rows of fresh runs, and older rows that are due.

    A cancellation ends it, and where one came before, nothing is sent: all stays in the queue.

    Args:
        store: that keeps the queue.
        runs: ids of the fresh runs, which the answer is about.
        publishers: names of those to try.
        cancelled: ends the attempt before its time is over.

    Raises:
        StoreError: the store cannot be read or written.
    """
    reports = outbox.deliver(
        store.deliveries, publishers, seconds=ATTEMPT_SECONDS, due=True, cancelled=cancelled
    )
    counts = store.deliveries.counts(runs)
    return [
        Attempt(
            publisher=report.publisher,
            **counts[report.publisher],
            problem=report.problem if counts[report.publisher]["queued"] else None,
            refusal=next(iter(report.parked.values()), None),
        )
        for report in reports
    ]
