"""The store of run records. See ``tables`` for the database under it.

``add`` returns when the run is safe: see ``tables._sqlite_engine`` for what that means on SQLite.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import timezone
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from uuid import uuid4

import sqlalchemy as sa
from platformdirs import user_data_dir
from pydantic import BaseModel, ConfigDict, ValidationError

from beambench.cancellation import Cancellation
from beambench.credentials.masking import masked_url
from beambench.errors import StoreError, UsageError
from beambench.printable import printable
from beambench.record.run_record import SCHEMA_VERSION as RECORD_VERSION
from beambench.record.run_record import RunRecord
from beambench.store import tables
from beambench.store.baselines import BaselineStore
from beambench.store.comparisons import ComparisonStore
from beambench.store.deliveries import Delivery, DeliveryQueue
from beambench.store.summaries import HistoryRun, RunSummary
from beambench.store.tables import runs, store_errors
from beambench.times import parse_time

SHORTEST_PREFIX = 4
"""Characters of a run id that are needed to name a run."""

CANDIDATES_SHOWN = 5
PROBE_CHARACTERS = 4 * 2**20
"""What ``check_writable`` writes: more than SQLite's page cache of 2 MiB, so some of it reaches the
disk although nothing is committed, and a full disk shows before the run instead of after it."""

_PARSED_AT_ONCE = 20  # documents in memory at a time; one has up to some hundred kilobytes
_log = logging.getLogger(__name__)


class RunIdError(StoreError, UsageError):
    """A beginning of a run id that is too short, or that several runs have (exit code 2)."""


class _Version(BaseModel):
    model_config = ConfigDict(extra="ignore")

    schema_version: int


_Parsed = TypeVar("_Parsed", RunRecord, RunSummary, HistoryRun)


class RunStore:
    """Immutable run records in a database. Every method raises StoreError, in one line."""

    def __init__(self, engine: sa.Engine, url: str) -> None:
        """Use a database that is ready. ``RunStore.open`` makes it so."""
        self._url = url
        self._reader = engine
        self._writer = engine.execution_options(**tables.WRITES)
        self.deliveries = DeliveryQueue(engine, url)
        self.comparisons = ComparisonStore(engine, url)
        self.baselines = BaselineStore(engine, url)

    @classmethod
    def open(cls, url: str) -> RunStore:
        """Open a store, with the folders, the file and the tables that are missing."""
        with store_errors(url):
            engine = tables.create_engine(url)
            try:
                tables.prepare(engine, url)
            except BaseException:
                engine.dispose()
                raise
            return cls(engine, url)

    @property
    def url(self) -> str:
        """Its address, with what credentials stand in it."""
        return self._url

    def hurry_when(self, cancelled: Cancellation) -> None:
        """Wait less long for other processes that write, once a run is cancelled."""
        self._writer = self._writer.execution_options(beambench_cancelled=cancelled)

    def close(self) -> None:
        """Close every connection to the database."""
        self._reader.dispose()

    def __enter__(self) -> RunStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, record: RunRecord, deliveries: Sequence[Delivery] = ()) -> None:
        """Keep a run for good, and with it the queue of what is to be published of it.

        Raises StoreError if its id is taken: a record never changes.
        """
        row = _row(record)
        with store_errors(self._url), self._writer.begin() as connection:
            try:
                connection.execute(runs.insert().values(row))
            except sa.exc.IntegrityError as error:
                problem = "is stored already, and a run record never changes"
                raise self._error(record.run_id, problem) from error
            self.deliveries.add_within(connection, deliveries)

    def add_missing(self, records: Iterable[RunRecord]) -> int:
        """Keep runs whose ids are not there yet; return how many. All are kept, or none."""
        rows = {record.run_id: _row(record) for record in records}
        insert = tables.insert_of(self._writer)
        added = 0
        with store_errors(self._url), self._writer.begin() as connection:
            for ids in tables.slices(sorted(rows)):
                statement = insert(runs).values([rows[run_id] for run_id in ids])
                done = connection.execute(
                    statement.on_conflict_do_nothing(),
                    execution_options={"preserve_rowcount": True},
                )
                added += done.rowcount
        return added

    def since(self, time: str) -> list[RunRecord]:
        """Return the runs that began at an ISO 8601 time or later, the oldest first.

        Raises UsageError for what is no such time.
        """
        query = sa.select(runs.c.run_id, runs.c.document).where(_from(time))
        return self._read(RunRecord, query.order_by(runs.c.started_at, runs.c.run_id), None)

    def of_job(self, job_id: str) -> list[RunRecord]:
        """Return the runs that a job of a service was a repeat of, the newest first."""
        named = runs.c.document.contains(job_id, autoescape=True)
        query = sa.select(runs.c.run_id, runs.c.document).where(named)
        ordered = query.order_by(runs.c.started_at.desc(), runs.c.run_id.desc())
        return [
            record
            for record in self._read(RunRecord, ordered, None)
            if any(repeat.job_id == job_id for repeat in record.repeats)
        ]

    def version(self) -> tuple[object, ...]:
        """Return what is another value once something was added, changed or removed."""
        with store_errors(self._url), self._reader.connect() as connection:
            return tables.content_version(connection)

    def check_writable(self) -> None:
        """Write as much as a large run record takes, and roll it back. Raises StoreError."""
        probe = dict.fromkeys(runs.c.keys(), "") | {
            "run_id": f"probe-{uuid4()}",
            "document": " " * PROBE_CHARACTERS,
        }
        with store_errors(self._url), self._writer.connect() as connection:
            connection.execute(runs.insert().values(probe))
            connection.rollback()

    def get(self, run_id: str) -> RunRecord | None:
        """Return the run with this id, or the only one whose id begins with it, or None.

        Raises RunIdError for a beginning of fewer than SHORTEST_PREFIX characters or of several
        ids, and StoreError for a document that cannot be read.
        """
        columns = sa.select(runs.c.run_id, runs.c.document)
        with store_errors(self._url), self._reader.connect() as connection:
            row = connection.execute(columns.where(runs.c.run_id == run_id)).one_or_none()
            if row is None:
                whole_id = self._find(connection, run_id)
                if whole_id is None:
                    return None
                row = connection.execute(columns.where(runs.c.run_id == whole_id)).one()
        return self._parse(RunRecord, row.run_id, row.document)

    def _find(self, connection: sa.Connection, prefix: str) -> str | None:
        """Return the only run id that begins with the prefix, or None if none does."""
        if len(prefix) < SHORTEST_PREFIX:
            raise RunIdError(
                f"run {printable(prefix)!r}: give at least {SHORTEST_PREFIX} characters of its id"
            )
        # Not LIKE, which ignores case on SQLite and has wildcards that would need escaping.
        candidates = connection.scalars(
            sa.select(runs.c.run_id)
            .where(sa.func.substr(runs.c.run_id, 1, len(prefix)) == prefix)
            .order_by(runs.c.started_at.desc(), runs.c.run_id.desc())
        ).all()
        if len(candidates) > 1:
            others = len(candidates) - CANDIDATES_SHOWN
            raise RunIdError(
                f"run {printable(prefix)!r}: {len(candidates)} runs begin so: "
                + ", ".join(map(printable, candidates[:CANDIDATES_SHOWN]))
                + (f" and {others} more" if others > 0 else "")
                + ": give more characters"
            )
        return candidates[0] if candidates else None

    def history(
        self,
        benchmark: str,
        *,
        limit: int | None = None,
        variant: str | None = None,
        profile: str | None = None,
    ) -> list[RunRecord]:
        """Return the runs of a benchmark, newest first; those that cannot be read are warned about.

        ``limit`` counts the runs that can be read. Raises UsageError for one below 1.
        """
        return self._read(RunRecord, _history(benchmark, variant, profile), limit)

    def summaries(
        self,
        benchmark: str,
        *,
        limit: int | None = None,
        variant: str | None = None,
        profile: str | None = None,
    ) -> list[RunSummary]:
        """Return what ``history`` does, without the repeats: much lighter for many runs."""
        return self._read(RunSummary, _history(benchmark, variant, profile), limit)

    def run_ids(self, benchmark: str, since: str | None = None) -> list[str]:
        """Return the ids of the runs of a benchmark, the oldest first, without reading them.

        Raises UsageError for a `since` that is no ISO 8601 time.
        """
        query = sa.select(runs.c.run_id).where(runs.c.benchmark == benchmark, _from(since))
        with store_errors(self._url), self._reader.connect() as connection:
            return list(connection.scalars(query.order_by(runs.c.started_at, runs.c.run_id)))

    def documents(
        self, benchmark: str, since: str | None = None
    ) -> Iterator[tuple[HistoryRun, str]]:
        """Yield the runs of a benchmark, the oldest first, each with its whole document as JSON.

        Those that cannot be read are warned about. Raises UsageError as `run_ids`.
        """
        query = sa.select(runs.c.run_id, runs.c.document).where(
            runs.c.benchmark == benchmark, _from(since)
        )
        ordered = query.order_by(runs.c.started_at, runs.c.run_id)
        options = {"yield_per": _PARSED_AT_ONCE}
        with store_errors(self._url), self._reader.connect() as connection:
            for row in connection.execute(ordered, execution_options=options):
                try:
                    yield self._parse(HistoryRun, row.run_id, row.document), row.document
                except StoreError as error:
                    _log.warning("skipped: %s", error)

    def history_runs(self, benchmark: str, *, limit: int | None = None) -> list[HistoryRun]:
        """Return what `history` does, without the repeats but with the environment of each run."""
        return self._read(HistoryRun, _history(benchmark, None, None), limit)

    def _read(
        self, model: type[_Parsed], query: sa.Select[Any], limit: int | None
    ) -> list[_Parsed]:
        if limit is not None and limit < 1:
            raise UsageError(f"limit {limit}: must be 1 or more")
        parsed: list[_Parsed] = []
        options = {"yield_per": _PARSED_AT_ONCE}
        with store_errors(self._url), self._reader.connect() as connection:
            # No LIMIT in the query: a document that cannot be read does not count.
            for row in connection.execute(query, execution_options=options):
                try:
                    parsed.append(self._parse(model, row.run_id, row.document))
                except StoreError as error:
                    _log.warning("skipped: %s", error)
                if len(parsed) == limit:
                    break
        return parsed

    def benchmarks(self) -> list[str]:
        """Return the names of the benchmarks that have runs, in alphabetical order."""
        with store_errors(self._url), self._reader.connect() as connection:
            # Sorted here, because every database has an order of its own.
            return sorted(connection.scalars(sa.select(runs.c.benchmark).distinct()))

    def _parse(self, model: type[_Parsed], run_id: str, document: str) -> _Parsed:
        try:
            parsed = model.model_validate_json(document)
        except ValidationError as error:
            version = _version(document)
            if version <= RECORD_VERSION:
                problem = f"its document cannot be read: {_first_problem(error)}"
                raise self._error(run_id, problem) from error
        else:
            version = parsed.schema_version
            if version <= RECORD_VERSION:
                return parsed
        raise self._error(
            run_id,
            f"record schema {version} is newer than this beambench knows ({RECORD_VERSION}): "
            "upgrade beambench",
        )

    def _error(self, run_id: str, problem: str) -> StoreError:
        return StoreError(f"{masked_url(self._url)}: run {printable(run_id)}: {problem}")


def default_url() -> str:
    """Return the address of the store if none is named: a file in the user's data folder."""
    return tables.sqlite_url(Path(user_data_dir("beambench", appauthor=False)) / "runs.db")


def _history(benchmark: str, variant: str | None, profile: str | None) -> sa.Select[Any]:
    query = (
        sa.select(runs.c.run_id, runs.c.document)
        .where(runs.c.benchmark == benchmark)
        .order_by(runs.c.started_at.desc(), runs.c.run_id.desc())
    )
    if variant is not None:
        query = query.where(runs.c.variant == variant)
    if profile is not None:
        query = query.where(runs.c.profile == profile)
    return query


def _row(record: RunRecord) -> dict[str, str]:
    """Return the record as a row. Raises StoreError if it could not be read back."""
    try:
        document = record.model_dump_json()
        # JSON has no NaN: a number that is one becomes null, and the document no longer parses.
        RunRecord.model_validate_json(document)
        started_at, finished_at = _utc(record.started_at), _utc(record.finished_at)
    except (ValueError, OverflowError) as error:
        problem = _first_problem(error)
        raise StoreError(
            f"run {printable(record.run_id)}: cannot be stored, it could not be read back: "
            f"{problem}"
        ) from error
    return {
        "run_id": record.run_id,
        "benchmark": record.benchmark,
        "variant": record.variant,
        "profile": record.profile,
        "status": record.status,
        "started_at": started_at,
        "finished_at": finished_at,
        "definition_hash": record.definition_hash,
        "runner": record.runner.requested,
        "document": document,
    }


def _from(time: str | None) -> sa.ColumnElement[bool]:
    """Return the condition that a run began at a time or later; None: at any time."""
    if time is None:
        return sa.true()
    try:
        return runs.c.started_at >= _utc(time)
    except ValueError:
        raise UsageError(f"{time!r}: not a date or time: write 2026-01-31") from None


def _utc(time: str) -> str:
    """Return an ISO 8601 time in UTC and in one fixed width, so that text sorts as time does.

    A time without an offset is taken as UTC. Raises ValueError for what is no such time.
    """
    utc = parse_time(time).astimezone(timezone.utc).replace(tzinfo=None)
    return utc.isoformat(timespec="microseconds") + "Z"


def _version(document: str) -> int:
    """Return the schema version of a document that is no record for us, 0 if it has none."""
    try:
        return _Version.model_validate_json(document).schema_version
    except ValidationError:
        return 0


def _first_problem(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return printable(str(error))
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return printable(f"{where}: {first['msg']}" if where else first["msg"])
