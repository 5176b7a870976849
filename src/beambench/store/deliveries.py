"""The queue of rows that go to other databases: it outlives crashes, as the runs beside it do.

A row is `queued` until a server has taken it (`delivered`) or refused it for good (`parked`).
An attempt is counted before anything is sent, so after a kill it is known which rows may have
arrived although nobody saw the answer: those with attempts and without an outcome.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import random
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from beambench.errors import StoreError
from beambench.store import tables
from beambench.store.tables import deliveries, store_errors

STATES = ("delivered", "queued", "parked")
FIRST_DELAY_S, LONGEST_DELAY_S = 15.0, 6 * 3600.0
KEEPALIVE_S = 60
DEADLOCKS, DEADLOCK_TRIES = ("40P01", "40001"), 5
_POLL_S = 0.05

IsHeld = Callable[[], bool]


@dataclass(frozen=True)
class Delivery:
    """A row on its way.

    Attributes:
        row_id: the same for the same row of the same run, however often it is queued.
        target: where it goes, as the publisher understands it; without server or credentials.
        content: the row; empty once it has been delivered.
        attempts: how often it was sent, or was about to be, without an answer that settled it.
    """

    row_id: str
    run_id: str
    publisher: str
    target: dict[str, Any]
    position: int
    content: dict[str, Any]
    state: str = "queued"
    attempts: int = 0
    problem: str = ""


class DeliveryQueue:
    """The deliveries of one store. Every method raises StoreError, in one line."""

    def __init__(self, engine: sa.Engine, url: str) -> None:
        """Use the database of a store that is ready. ``RunStore.deliveries`` makes one."""
        self._url = url
        self._reader = engine
        self._writer = engine.execution_options(**tables.WRITES)

    def add(self, rows: Sequence[Delivery], *, again: bool = False) -> None:
        """Queue rows. What is known already stays as it is; parked rows are queued once more.

        Args:
            rows: rows of any runs and publishers.
            again: queue also what was delivered.
        """
        self._transaction(lambda connection: self.add_within(connection, rows, again=again))

    def add_within(
        self, connection: sa.Connection, rows: Sequence[Delivery], *, again: bool = False
    ) -> None:
        """Do the same within a transaction that does more."""
        now = time_text()
        insert = tables.insert_of(self._writer)
        old = deliveries.c.state
        # One order for all processes, so that they wait for each other and not in a ring.
        once = sorted({row.row_id: row for row in rows}.items())
        for part in tables.slices([row for _, row in once]):
            values = [{**_columns(row), "next_attempt_at": now} for row in part]
            statement = insert(deliveries).values(values)
            new = statement.excluded
            changes = {"state": "queued", "next_attempt_at": now}
            statement = statement.on_conflict_do_update(
                index_elements=["row_id"],
                set_={**changes, "content": new.content, "target": new.target},
                where=old.in_(("parked", "delivered") if again else ("parked",)),
            )
            connection.execute(statement)

    def queued(
        self, publisher: str, limit: int, *, due: bool, runs: Collection[str] | None
    ) -> list[list[str]]:
        """Return the ids of queued rows in batches of one target, the least attempted first.

        Args:
            publisher: name of the publisher.
            limit: rows of a batch at most.
            due: only rows whose back-off is over.
            runs: only rows of these runs; None: of all.
        """
        wanted = sa.select(deliveries.c.row_id, deliveries.c.target).where(
            deliveries.c.publisher == publisher, deliveries.c.state == "queued"
        )
        if due:
            wanted = wanted.where(deliveries.c.next_attempt_at <= time_text())
        if runs is not None:
            wanted = wanted.where(deliveries.c.run_id.in_(list(runs)))
        order = (deliveries.c.attempts, deliveries.c.target, deliveries.c.run_id)
        batches: list[list[str]] = []
        target = None
        with store_errors(self._url), self._reader.connect() as connection:
            for row in connection.execute(wanted.order_by(*order, deliveries.c.position)):
                if row.target != target or len(batches[-1]) == limit:
                    batches.append([])
                    target = row.target
                batches[-1].append(row.row_id)
        return batches

    def load(self, row_ids: Sequence[str]) -> list[Delivery]:
        """Return those of some rows that are still queued."""
        query = sa.select(deliveries).where(
            deliveries.c.row_id.in_(row_ids), deliveries.c.state == "queued"
        )
        with store_errors(self._url), self._reader.connect() as connection:
            return [
                _delivery(row)
                for row in connection.execute(
                    query.order_by(deliveries.c.run_id, deliveries.c.position)
                )
            ]

    def begin(self, rows: Sequence[Delivery]) -> None:
        """Count an attempt, before anything is sent."""
        changes = {"attempts": deliveries.c.attempts + 1, "attempted_at": time_text()}
        self._update([row.row_id for row in rows], changes)

    def delivered(self, row_ids: Sequence[str]) -> None:
        self._update(row_ids, {"state": "delivered", "content": "{}", "problem": ""})

    def parked(self, row_id: str, words: str) -> None:
        """Set a row aside that can never be accepted, with the server's words."""
        self._update([row_id], {"state": "parked", "problem": words})

    def postpone(self, rows: Sequence[Delivery], problem: str) -> None:
        """Leave rows in the queue until their back-off is over: 15 s, doubled up to 6 hours."""
        attempts = min((row.attempts for row in rows), default=0)
        delay = min(FIRST_DELAY_S * 2.0 ** min(attempts, 20), LONGEST_DELAY_S)
        until = time_text(delay * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load, hides nothing
        changes = {"next_attempt_at": until, "problem": problem}
        self._update([row.row_id for row in rows], changes)

    def counts(self, runs: Collection[str] | None = None) -> dict[str, dict[str, int]]:
        """Return how many rows of each publisher are in each state, of all runs or of some."""
        query = sa.select(deliveries.c.publisher, deliveries.c.state, sa.func.count())
        if runs is not None:
            query = query.where(deliveries.c.run_id.in_(list(runs)))
        query = query.group_by(deliveries.c.publisher, deliveries.c.state)
        by_publisher: dict[str, dict[str, int]] = {}
        with store_errors(self._url), self._reader.connect() as connection:
            for publisher, state, count in connection.execute(query):
                by_publisher.setdefault(publisher, dict.fromkeys(STATES, 0))[state] = count
        return dict(sorted(by_publisher.items()))

    def rows(
        self, *, runs: Collection[str] | None = None, states: Collection[str] = STATES
    ) -> list[Delivery]:
        """Return the rows in some states, of all runs or of some."""
        query = sa.select(deliveries).where(deliveries.c.state.in_(list(states)))
        if runs is not None:
            query = query.where(deliveries.c.run_id.in_(list(runs)))
        query = query.order_by(
            deliveries.c.publisher, deliveries.c.run_id, deliveries.c.target, deliveries.c.position
        )
        with store_errors(self._url), self._reader.connect() as connection:
            return [_delivery(row) for row in connection.execute(query)]

    @contextlib.contextmanager
    def lock(self, publisher: str, deadline: float) -> Iterator[IsHeld]:
        """Hold a publisher alone, so that no two processes send the same row at once.

        The operating system or the database gives the lock back when its holder dies. A pooler
        between us and PostgreSQL must keep a session to one connection.

        Args:
            publisher: name of the publisher.
            deadline: until when to wait, by ``time.monotonic``.

        Yields:
            A function that tells whether the lock is held now.
        """
        dialect = self._writer.dialect.name
        of_database = self._lock_of_server if dialect == "postgresql" else self._lock_of_file
        with of_database(publisher, deadline) as held:
            yield held

    @contextlib.contextmanager
    def _lock_of_file(self, publisher: str, deadline: float) -> Iterator[IsHeld]:
        database = tables.sqlite_path(self._url)
        path = Path(f"{database.resolve()}.{publisher}.lock")
        with contextlib.ExitStack() as stack:
            with store_errors(self._url):
                file = stack.enter_context(path.open("a"))
            held = _wait(lambda: _flock(file.fileno()), deadline)
            yield lambda: held

    @contextlib.contextmanager
    def _lock_of_server(self, publisher: str, deadline: float) -> Iterator[IsHeld]:
        take = sa.select(sa.func.pg_try_advisory_lock(*_lock_numbers(publisher)))
        release = sa.select(sa.func.pg_advisory_unlock(*_lock_numbers(publisher)))
        with store_errors(self._url):
            connection = self._reader.execution_options(isolation_level="AUTOCOMMIT").connect()
        with connection:
            held = False
            with store_errors(self._url):
                # So that the server notices soon if this machine is gone.
                connection.execute(sa.text(f"SET tcp_keepalives_idle = {KEEPALIVE_S}"))
                held = _wait(lambda: bool(connection.scalar(take)), deadline)
            try:
                yield lambda: held and _is_alive(connection)
            finally:
                if held:
                    with contextlib.suppress(sa.exc.SQLAlchemyError):
                        connection.execute(release)

    def _update(self, row_ids: Sequence[str], changes: dict[str, Any]) -> None:
        for part in tables.slices(row_ids):
            statement = deliveries.update().where(deliveries.c.row_id.in_(part)).values(changes)
            self._transaction(partial(sa.Connection.execute, statement=statement))

    def _transaction(self, work: Callable[[sa.Connection], object]) -> None:
        """Do something in a transaction, again if PostgreSQL ended it for a deadlock."""
        for left in range(DEADLOCK_TRIES - 1, -1, -1):
            try:
                with store_errors(self._url), self._writer.begin() as connection:
                    work(connection)
                    return
            except StoreError as error:
                original = getattr(error.__cause__, "orig", None)
                if not left or getattr(original, "sqlstate", None) not in DEADLOCKS:
                    raise


def _lock_numbers(publisher: str) -> tuple[int, int]:
    """Return the two signed 32-bit numbers of an advisory lock."""
    first, second = tables.LOCK_OF_SCHEMA >> 32, zlib.crc32(publisher.encode()) - 2**31
    return first, second


def _is_alive(connection: sa.Connection) -> bool:
    try:
        return connection.scalar(sa.select(1)) == 1
    except sa.exc.SQLAlchemyError:
        return False


def _flock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(condition: Callable[[], bool], deadline: float) -> bool:
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def time_text(seconds: float = 0.0) -> str:
    """Return the time in so many seconds in the store's fixed width, so that it sorts."""
    then = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return then.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _columns(row: Delivery) -> dict[str, Any]:
    return {
        "row_id": row.row_id,
        "run_id": row.run_id,
        "publisher": row.publisher,
        "target": json.dumps(row.target, sort_keys=True),
        "position": row.position,
        "content": json.dumps(row.content),
        "state": row.state,
        "attempts": row.attempts,
        "attempted_at": "",
        "problem": row.problem,
    }


def _delivery(row: Any) -> Delivery:
    return Delivery(
        row_id=row.row_id,
        run_id=row.run_id,
        publisher=row.publisher,
        target=json.loads(row.target),
        position=row.position,
        content=json.loads(row.content),
        state=row.state,
        attempts=row.attempts,
        problem=row.problem,
    )
