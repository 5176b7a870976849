"""The client of a publisher: takes rows of one target and says what became of each."""

from __future__ import annotations

import errno
import importlib
import re
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from beambench.credentials.masking import without_any_form
from beambench.definition.entry_points import load
from beambench.definition.publishers import find_publisher
from beambench.errors import RunError, UsageError
from beambench.times import parse_time

if TYPE_CHECKING:  # slow to import, and the settings of a publisher may stand beside its client
    from beambench.record.run_record import RunRecord
    from beambench.store.deliveries import Delivery

REQUEST_SECONDS = 10.0
"""Longest wait for one answer of a server."""

BEAM = "beam"
"""Kind of the rows of Beam's own suite, which carry no id of ours."""

UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)

LONGEST_WORDS = 500
"""Characters of a server's answer that are kept."""


class UnavailableError(Exception):
    """Nothing is known to be wrong with the rows: they are to be sent again, later."""


class UnreachableError(UnavailableError):
    """The server gave no answer at all."""


@dataclass
class Outcome:
    """What became of rows; what is in neither is still to be sent.

    Attributes:
        delivered: ids of the rows that the server has.
        parked: what the server says of rows that it will never accept, by id.
        problem: why others were not sent, None if all were settled.
    """

    delivered: list[str] = field(default_factory=list)
    parked: dict[str, str] = field(default_factory=dict)
    problem: str | None = None


class Row(NamedTuple):
    """A row before it is queued.

    Attributes:
        kind: whose rows it belongs to; says the target.
        key: what tells it from the other rows of its kind and run.
        content: its columns, JSON values, among them the time as `timestamp` or `started_at`.
    """

    kind: str
    key: str
    content: dict[str, Any]


class Client(ABC):
    """The half of a publisher that makes rows, sends them and reads them back.

    One is made for each pass over the queue. What it needs of the environment it reads when it is
    asked for something, and no sooner.
    """

    @abstractmethod
    def targets(
        self, settings: Mapping[str, Any], benchmark: str
    ) -> Mapping[str, Mapping[str, Any]]:
        """Return where each kind of row goes: JSON, without credentials, kept with each row.

        Args:
            settings: the section of the definition, {} if there is none.
            benchmark: its name.
        """

    @abstractmethod
    def place(self, target: Mapping[str, Any]) -> str:
        """Return what a target is called in messages, without the server."""

    def rows(self, record: RunRecord) -> list[Row]:
        """Return the rows of a run: those of Beam's suite, and beambench's own.

        Kinds are ``beam``, ``beambench_metrics`` and ``beambench_runs``.
        """
        from beambench.publishers import beam_format, beambench_format

        return [
            *(Row(BEAM, row["metric"], row) for row in beam_format.rows(record)),
            *(
                Row(beambench_format.METRICS, row["metric"], row)
                for row in beambench_format.metric_rows(record)
            ),
            Row(beambench_format.RUNS, "", beambench_format.run_row(record)),
        ]

    @abstractmethod
    def check(self, target: Mapping[str, Any]) -> None:
        """Check, without asking a server, that rows for a target can be sent from here.

        Raises:
            UsageError: the environment does not say where the server is, or lacks credentials.
        """

    @abstractmethod
    def send(self, rows: Sequence[Delivery], deadline: float) -> Outcome:
        """Send rows of one target. Rows that arrived before (attempts > 0) must not be doubled.

        Args:
            rows: in their order; all have the same target.
            deadline: until when to go on, by ``time.monotonic``.

        Raises:
            UnavailableError: nothing was settled.
            UsageError: the environment does not say where the server is, or lacks credentials.
        """

    @abstractmethod
    def read_back(self, rows: Sequence[Delivery], deadline: float) -> dict[str, dict[str, Any]]:
        """Return what the server has of rows of one target and run, by row id.

        Raises:
            UnavailableError: the server cannot be asked.
            UsageError: the environment does not say where the server is, or lacks credentials.
        """

    def doubled(self, rows: Sequence[Delivery], deadline: float) -> dict[str, int]:
        """Return how often the server has each row that it has more than once, by row id.

        Only of publishers whose server can hold a row twice.

        Raises:
            UnavailableError: the server cannot be asked.
        """
        return {}

    def is_same_text(self, sent: str, stored: str) -> bool:
        """Tell whether a text that was read back is the one that was sent."""
        return sent == stored

    def history(
        self, target: Mapping[str, Any], table: str | None, deadline: float
    ) -> tuple[list[dict[str, Any]], str]:
        """Return the rows that Beam's own suite has published, and where they are.

        Only of publishers with `has_history`.

        Args:
            target: of the kind ``beam``.
            table: what is read in place of the target's; None: that.
            deadline: until when to go on, by ``time.monotonic``.

        Raises:
            UnavailableError: the server cannot be asked.
            UsageError: `table` is no name, or the environment does not say where the server is.
        """
        raise NotImplementedError


def make_client(name: str) -> Client:
    """Return the client of a publisher.

    Raises:
        UsageError: there is no publisher of this name, or its distribution is broken.
    """
    publisher = find_publisher(name)
    made = load(publisher.client, name)()
    if not isinstance(made, Client):
        raise UsageError(f"{name}: {publisher.client} is no Client")
    return made


def check_requirement(name: str) -> None:
    """Raise RunError if a package that a publisher needs is not installed."""
    needed = find_publisher(name).requirement
    if needed is None:
        return
    try:
        importlib.import_module(needed.module)
    except ImportError:
        raise RunError(
            f"{name}: {needed.package} is not installed: pip install '{needed.install}'"
        ) from None


def seconds_left(deadline: float) -> float:
    """Return the time limit of the next request. Raises UnavailableError when time is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise UnreachableError("no answer in time")
    return min(left, REQUEST_SECONDS)


def name_of(benchmark: str) -> str:
    """Return the table or measurement of a benchmark that names none, whatever it is called."""
    return re.sub(r"[^A-Za-z0-9_]", "_", benchmark)[:200]


def moment(value: str | datetime) -> datetime:
    """Return a time of a record, or as a server gives it back; without an offset it is in UTC."""
    if isinstance(value, str):
        return parse_time(value)
    return value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)


def age(row: Delivery) -> float:
    """Return seconds since the time that a row carries."""
    text = row.content.get("timestamp") or row.content["started_at"]
    return (datetime.now(timezone.utc) - moment(text)).total_seconds()


def portions(rows: Sequence[Delivery], largest: int) -> Iterator[list[Delivery]]:
    """Yield rows in as few requests as their sizes in bytes allow."""
    portion: list[Delivery] = []
    size = 0
    for row in rows:
        length = sum(len(str(value).encode()) for value in row.content.values())
        if portion and size + length > largest:
            yield portion
            portion, size = [], 0
        portion.append(row)
        size += length
    if portion:
        yield portion


def shown(text: str, secrets: Sequence[str]) -> str:
    """Return a server's words in one line, without secrets, cut to what is worth keeping."""
    text = without_any_form(secrets, text)
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(line) > LONGEST_WORDS:  # InfluxDB gives its reason after the whole row
        line = f"{line[: LONGEST_WORDS // 2]} … {line[-LONGEST_WORDS // 2 :]}"
    return line


def reason(error: Exception) -> str:
    """Say why there was no answer to a request."""
    import requests

    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    proxy = isinstance(error, requests.exceptions.ProxyError)
    if isinstance(cause, socket.gaierror):
        server = "the name of the proxy (HTTP_PROXY, HTTPS_PROXY)" if proxy else "its name"
        return f"{server} does not resolve ({cause.strerror})"
    if proxy:
        return "the proxy (HTTP_PROXY, HTTPS_PROXY) refused or cut the connection"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "the secure connection failed"
    if isinstance(cause, OSError) and cause.errno in UNREACHABLE:
        return str(cause.strerror).lower()
    if isinstance(error, requests.ConnectionError):
        return "refused or cut the connection"
    if isinstance(error, requests.exceptions.InvalidProxyURL):
        return "the address of the proxy (HTTP_PROXY, HTTPS_PROXY) is none"
    if isinstance(error, requests.exceptions.InvalidURL):
        return "no name of a host"
    return type(error).__name__
