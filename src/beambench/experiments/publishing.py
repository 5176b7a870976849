"""Which runs go to which publishers, and the queue that takes them there."""

from __future__ import annotations

from collections.abc import Sequence

from beambench.errors import UsageError
from beambench.publishers import outbox
from beambench.record.run_record import RunRecord
from beambench.store.run_store import RunStore


def runs_named(store: RunStore, ids: Sequence[str]) -> list[RunRecord]:
    """Return stored runs by their ids, or the beginnings of them. Raises UsageError."""
    found = []
    for run_id in ids:
        record = store.get(run_id)
        if record is None:
            raise UsageError(
                f"no run {run_id!r} in this store: `beambench history NAME` lists them"
            )
        found.append(record)
    return found


def publishers_of(record: RunRecord, names: Sequence[str]) -> list[str]:
    """Return the publishers named, else those of a run's definition; UsageError without any."""
    chosen = outbox.check(names or outbox.publish_section(record).to)
    if not chosen:
        raise UsageError(
            f"run {record.run_id}: no publisher is chosen: give --publish "
            f"{' or --publish '.join(outbox.PUBLISHERS)}, or set publish.to of the benchmark"
        )
    return chosen


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
        rows = [row for name in wanted[record.run_id] for row in outbox.rows_of(record, name)]
        store.deliveries.add(rows, again=again)
    return wanted
