"""The database under the store: its address, its tables and its schema version.

All that is special to SQLite is in the second half of this file.

History of ``SCHEMA_VERSION``:

* 1 (beambench 0.1): runs.
* 2 (beambench 0.1): deliveries, the rows that go to other databases.
* 3 (beambench 0.1): comparisons.
* 4 (beambench 0.1): baselines.
"""

from __future__ import annotations

import functools
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import ExecutableDDLElement

from beambench.cancellation import Cancellation
from beambench.credentials.masking import MASK, masked_url, password_of
from beambench.errors import StoreError, UsageError
from beambench.printable import printable

SCHEMA_VERSION = 4
"""Version of the tables below; an older store is migrated, a newer one refused."""

BUSY_TIMEOUT_S = 30.0
"""How long to wait for another process that writes into the same store."""

CANCELLED_TIMEOUT_S = 3.0
"""The same once the run is cancelled: then the record is soon saved elsewhere."""

BUSY_STEP_S = 0.2

CONNECT_TIMEOUT_S = 10
"""How long to wait for a database server."""

LOCK_OF_SCHEMA = 0x6265616D62656E63  # "beambenc": a PostgreSQL advisory lock is a number
WRITES = {"beambench_writes": True}
"""Execution option of a connection whose transactions will write."""

_AT_ONCE = 500
_DIALECTS = {"sqlite": "sqlite://", "postgresql": "postgresql+psycopg://"}
Item = TypeVar("Item")

metadata = sa.MetaData()

# The check makes it one row, and a second process that creates the same store fail.
schema = sa.Table(
    "beambench_schema",
    metadata,
    sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
)

# The columns are what is searched for; the document is the run record, byte for byte.
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("benchmark", sa.Text, nullable=False),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    # UTC with microseconds in a fixed width, so that the order of the text is the order of time.
    sa.Column("started_at", sa.Text, nullable=False),
    sa.Column("finished_at", sa.Text, nullable=False),
    sa.Column("definition_hash", sa.Text, nullable=False),
    sa.Column("runner", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("runs_by_time", "benchmark", "started_at", "run_id"),
)

# One row for each row that goes to another database: what is to be sent, and how far it came.
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("row_id", sa.Text, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False, index=True),
    sa.Column("publisher", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    # Emptied when the row has arrived: the run record has all of it.
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    # Times as in `runs`; "" before the first attempt.
    sa.Column("attempted_at", sa.Text, nullable=False),
    sa.Column("next_attempt_at", sa.Text, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Index("deliveries_by_state", "publisher", "state", "next_attempt_at"),
)

# Documents as in `runs`; they name the runs that they compare.
comparisons = sa.Table(
    "comparisons",
    metadata,
    sa.Column("comparison_id", sa.Text, primary_key=True),
    sa.Column("benchmark", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("comparisons_by_time", "benchmark", "created_at"),
)

# Documents that name their runs. A baseline can be removed: it says no more than its runs do.
baselines = sa.Table(
    "baselines",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)


class StoreUrlError(StoreError, UsageError):
    """An address that cannot be that of a store (exit code 2)."""


def slices(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Yield items in portions small enough for the parameters of one statement."""
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]


def insert_of(engine: sa.Engine) -> Callable[..., Any]:
    """Return the insert of a database that can say what happens to rows which are there."""
    return postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert


@contextmanager
def store_errors(url: str) -> Iterator[None]:
    """Turn what the database, its driver or the file system raises into one line of StoreError."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, sqlite3.Error, OSError, ValueError, ImportError) as error:
        raise StoreError(f"{masked_url(url)}: {_reason(error, url)}") from error


def _reason(error: Exception, url: str) -> str:
    if isinstance(error, ImportError):
        return f"{error}: pip install 'beambench[postgresql]'"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        if isinstance(error, FileExistsError | NotADirectoryError):
            return printable(f"{where}is a file, not a folder: name another store with --store")
        return printable(f"{where}{error.strerror or error}: name another store with --store")
    # `orig` is the driver's own message, without the statement and its parameters.
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    for part, advice in _SQLITE_ADVICE.items():
        if part in text:
            return advice
    for secret in filter(None, {password_of(url), unquote(password_of(url) or "")}):
        text = text.replace(secret, MASK)
    return printable(text)


def create_engine(url: str) -> sa.Engine:
    """Return an engine for a store URL, without connecting to the database yet."""
    if url != url.strip():
        raise StoreUrlError(f"{masked_url(url)!r}: begins or ends with a space or line break")
    if re.match(r"sqlite\b", url):
        return _sqlite_engine(url)
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
    except (sa.exc.ArgumentError, ValueError):
        # Without its cause: the text of some versions shows the password.
        raise StoreUrlError(f"{masked_url(url)}: not a store URL: write {_EXAMPLES}") from None
    if backend != "postgresql":
        raise StoreUrlError(
            f"{masked_url(url)}: unknown kind of store {backend!r}: write {_EXAMPLES}"
        )
    if parsed.drivername == backend:
        parsed = parsed.set(drivername=f"{backend}+psycopg")
    # A server that went away and came back costs a connection, not a run.
    return sa.create_engine(
        parsed, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_TIMEOUT_S}
    )


_EXAMPLES = "sqlite:///relative.db, sqlite:////absolute.db or postgresql://user@host/database"


def prepare(engine: sa.Engine, url: str) -> None:
    """Create the tables where they are missing; migrate a store of an older version.

    Any number of processes may do so at once. A store that is complete is not written to.
    """
    with engine.connect() as connection:
        version = _version(connection, url)
    if version == SCHEMA_VERSION:
        return
    if version is None and engine.dialect.name == "sqlite":
        _switch_to_wal(engine)
    with engine.execution_options(**WRITES).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK_OF_SCHEMA)))
        version = _version(connection, url)  # another process may have been faster
        if version is None:
            for statement in _statements(_DIALECTS[connection.dialect.name]):
                connection.exec_driver_sql(statement)
            connection.execute(schema.insert().values(id=1, version=SCHEMA_VERSION))
        elif version < SCHEMA_VERSION:
            metadata.create_all(connection)  # versions have only added tables so far
            connection.execute(schema.update().values(version=SCHEMA_VERSION))


@functools.cache
def _statements(url: str) -> list[str]:
    """Return what creates the tables and their indexes where there are none."""
    statements: list[str] = []

    def compiled(element: ExecutableDDLElement, *_: object, **__: object) -> None:
        statements.append(str(element.compile(dialect=mock.dialect)))

    mock = sa.create_mock_engine(url, compiled)
    metadata.create_all(mock, checkfirst=False)
    return statements


def _version(connection: sa.Connection, url: str) -> int | None:
    """Return the schema version, None without tables. Raises StoreError if it cannot be used."""
    present = sa.inspect(connection).get_table_names()
    if schema.name not in present:
        foreign = sorted({*metadata.tables} & set(present))
        if foreign:
            raise StoreError(
                f"{masked_url(url)}: has a table {foreign[0]!r} that is not beambench's: "
                "name another store with --store"
            )
        return None
    version = connection.execute(sa.select(schema.c.version)).scalar_one_or_none()
    if version is None:
        raise StoreError(
            f"{masked_url(url)}: holds no schema version: name another store with --store"
        )
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{masked_url(url)}: schema {version} is newer than this beambench knows "
            f"({SCHEMA_VERSION}): upgrade beambench or name another store with --store"
        )
    return int(version)


def content_version(connection: sa.Connection) -> tuple[object, ...]:
    """Return what is another value once a run, a comparison or a baseline is another one."""
    version = [connection.scalar(sa.select(sa.func.count(runs.c.run_id)))]  # which never change
    for table in (comparisons, baselines):
        created, size = table.c.created_at, sa.func.length(table.c.document)
        columns = sa.func.count(), sa.func.max(created), sa.func.sum(size)
        version += connection.execute(sa.select(*columns).select_from(table)).one()
    return tuple(version)


# --- SQLite ---------------------------------------------------------------------------------------

_SQLITE_ADVICE = {
    "file is not a database": "is not a SQLite database: name another store with --store",
    "database disk image is malformed": "is damaged: restore it from a copy, "
    "or name another store with --store",
    "database is locked": "another process held it too long: try again when that has finished",
    "database or disk is full": "the disk is full: free some space, "
    "or name another store with --store",
    "readonly database": "cannot be written: change its permissions, "
    "or name another store with --store",
    "unable to open database file": "cannot be opened: check the path and its permissions, "
    "or name another store with --store",
    "disk I/O error": "cannot be read or written (disk I/O error): check the disk and its quota, "
    "or name another store with --store",
}


def sqlite_url(path: Path) -> str:
    """Return the store URL of a SQLite file; percent and question mark are encoded."""
    return f"sqlite:///{path}".replace("%", "%25").replace("?", "%3F")


def sqlite_path(url: str) -> Path:
    """Return the absolute path of the file that a SQLite URL names. Raises StoreError.

    The rules of SQLAlchemy 2.1 (percent-encoded, options after a question mark) also with 2.0,
    which does not decode; and ~ is the home folder. Options are refused, not ignored: SQLAlchemy
    would open a file of a shorter name. A store in memory is refused, it would lose its runs.
    """
    match = re.fullmatch(r"sqlite(?:\+pysqlite)?:///([^?]+)(\?.*)?", url, flags=re.DOTALL)
    if not match:
        raise StoreError(f"{masked_url(url)}: not a SQLite file: write {_EXAMPLES}")
    if match[2]:
        raise StoreError(
            f"{masked_url(url)}: a SQLite store takes no options: "
            "write %3F for a question mark that belongs to the path"
        )
    path = unquote(match[1])
    if path == ":memory:":
        raise StoreError(f"{masked_url(url)}: runs in memory would be lost: name a file")
    if "\0" in path:
        raise StoreError(f"{masked_url(url)}: a path cannot hold a null character")
    return (Path(path).expanduser() if path.startswith("~/") else Path(path)).absolute()


def _sqlite_engine(url: str) -> sa.Engine:
    """Return an engine that keeps what it committed, whatever happens to the process afterwards.

    A commit is in the write-ahead log before it returns, so a SIGKILL loses nothing: the next
    process to open the file replays the log. ``synchronous=FULL`` also flushes that log to the
    disk, so neither does a power cut; it costs one fsync a run.
    """
    path = sqlite_path(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Opening a pipe would block for ever, and /dev/null would take every run and keep none.
    if path.exists() and not path.is_file():
        kind = "is a folder" if path.is_dir() else "is not a regular file"
        raise StoreError(f"{masked_url(url)}: {kind}: name a file, as in sqlite:////folder/runs.db")
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_TIMEOUT_S}
    )
    sa.event.listen(engine, "connect", _on_connect)
    sa.event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver begins no transactions: _on_begin does
    connection.execute("PRAGMA synchronous=FULL")


def _on_begin(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later fails at once if another one wrote in between:
    # the busy timeout only helps those that ask for the write lock at the start.
    options = connection.get_execution_options()
    if options.get("beambench_writes"):
        _begin_writing(connection, options.get("beambench_cancelled") or Cancellation())
    else:
        connection.exec_driver_sql("BEGIN")


def _begin_writing(connection: sa.Connection, cancelled: Cancellation) -> None:
    """Take the lock for writing, in short waits: SQLite hears no signal while it waits."""
    began = time.monotonic()
    connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_STEP_S * 1000:.0f}")
    try:
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except sa.exc.OperationalError as error:
                limit = CANCELLED_TIMEOUT_S if cancelled.is_set() else BUSY_TIMEOUT_S
                if "locked" not in str(error.orig) or time.monotonic() - began >= limit:
                    raise
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000:.0f}")


def _switch_to_wal(engine: sa.Engine) -> None:
    """Switch the file to write-ahead logging, which readers do not block; it stays so for good.

    The log needs shared memory, so the file has to be on a disk of this machine. SQLite answers
    "locked" at once, whatever the busy timeout, to all but one of several processes that switch at
    the same time, so wait here.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    connection = engine.raw_connection()  # the mode cannot change inside a transaction
    try:
        cursor = connection.cursor()
        while cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            try:
                cursor.execute("PRAGMA journal_mode=WAL")
                break
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
    finally:
        connection.close()
