"""Where fresh runs go: into the store with their rows queued, else to a file; then to publishers.

The command line, the Python API and every experiment save their runs here. Nothing is printed: what
happened is returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from beambench.cancellation import Cancellation
from beambench.errors import StoreError
from beambench.record.run_record import RunRecord
from beambench.store.deliveries import Delivery
from beambench.store.run_store import RunStore

if TYPE_CHECKING:
    from beambench.experiments.publishing import Attempt


@dataclass(frozen=True)
class Saved:
    """What became of a fresh run.

    Attributes:
        queued: rows that were queued with it for publishers.
        rows_error: why its rows could not be made, None if they were or none were wanted.
        store_error: why the store did not take it, None if it is stored.
        file: where it was to be written instead, None if it is stored.
        file_error: why that failed too, None if it did not.
    """

    record: RunRecord
    queued: int = 0
    rows_error: str | None = None
    store_error: str | None = None
    file: Path | None = None
    file_error: str | None = None

    @property
    def is_stored(self) -> bool:
        return self.store_error is None

    @property
    def messages(self) -> list[str]:
        """What a user must know, a line for each thing that went wrong."""
        lines = []
        if self.rows_error is not None:
            run_id, why = self.record.run_id, self.rows_error
            lines.append(f"run {run_id}: its rows could not be made ({why})")
        if self.file_error is not None:
            failure = f"saving it as {self.file} failed too: {self.file_error}"
            lines.append(f"{self.store_error}; {failure}")
        elif not self.is_stored:
            lines.append(f"{self.store_error}; the record was saved as {self.file}")
        return lines


class NotStoredError(StoreError):
    """The store failed after the run, whose record ``saved`` has."""

    def __init__(self, saved: Saved) -> None:
        super().__init__("; ".join(saved.messages))
        self.saved = saved


class RunSaver:
    """Saves fresh runs in a store, and makes one attempt to deliver the rows that it queued."""

    def __init__(self, store: RunStore, cancelled: Cancellation) -> None:
        """Check that the store can be written, before anything is run.

        Args:
            store: that keeps the runs and the queue of their rows.
            cancelled: once it is set, the store is not waited for as long, and nothing is sent.

        Raises:
            StoreError: the store cannot be written.
        """
        store.hurry_when(cancelled)
        store.check_writable()
        self._store, self._cancelled = store, cancelled
        self._queued: dict[str, set[str]] = {}

    def save(self, record: RunRecord, publishers: Sequence[str]) -> Saved:
        """Store a run and queue its rows with it, at once.

        If its rows cannot be made, it is stored without. If the store fails, the record is written
        to a file of the current folder, so that nothing measured is lost.
        """
        rows, rows_error = _rows_of(record, publishers)
        try:
            self._store.add(record, rows)
        except StoreError as error:
            file = Path(f"beambench-{record.run_id}.json")
            failure = _write(record, file)
            return Saved(record, 0, rows_error, str(error), file, failure)
        if rows:
            self._queued[record.run_id] = {row.publisher for row in rows}
        return Saved(record, len(rows), rows_error)

    def deliver(self) -> list[Attempt]:
        """Make one bounded attempt for the rows of the saved runs, and for older rows that are due.

        Raises:
            StoreError: the queue cannot be read or written; what was saved stays in it.
        """
        if not self._queued:
            return []
        from beambench.experiments.publishing import attempt

        publishers = sorted(set().union(*self._queued.values()))
        return attempt(self._store, list(self._queued), publishers, self._cancelled)


def _rows_of(record: RunRecord, publishers: Sequence[str]) -> tuple[list[Delivery], str | None]:
    """Return the rows of a fresh run, or why they cannot be made."""
    if not publishers:
        return [], None
    from beambench.experiments.publishing import rows_of  # most runs are not published

    try:
        return rows_of(record, publishers), None
    except Exception as error:
        return [], f"{type(error).__name__}: {error}"


def _write(record: RunRecord, file: Path) -> str | None:
    """Write a record to a file; return why that failed, or None."""
    try:
        file.write_text(record.model_dump_json(indent=2), "utf-8")
    except OSError as error:
        return error.strerror or str(error)
    return None
