"""What a publisher is: something that takes rows of one target and says what became of each."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, ClassVar, Protocol

from beambench.credentials.masking import without_any_form
from beambench.store.deliveries import Delivery
from beambench.times import parse_time

REQUEST_SECONDS = 10.0
"""Longest wait for one answer of a server."""

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


class Publisher(Protocol):
    """A database that others read."""

    name: ClassVar[str]

    def send(self, rows: Sequence[Delivery], deadline: float) -> Outcome:
        """Send rows of one target. Rows that arrived before (attempts > 0) must not be doubled.

        Args:
            rows: in their order; all have the same target.
            deadline: until when to go on, by ``time.monotonic``.

        Raises:
            UnavailableError: nothing was settled.
        """

    def read_back(self, rows: Sequence[Delivery], deadline: float) -> dict[str, dict[str, Any]]:
        """Return what the server has of rows of one target, by row id.

        Raises:
            UnavailableError: the server cannot be asked.
        """


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
    some: list[Delivery] = []
    size = 0
    for row in rows:
        length = sum(len(str(value).encode()) for value in row.content.values())
        if some and size + length > largest:
            yield some
            some, size = [], 0
        some.append(row)
        size += length
    if some:
        yield some


def shown(text: str, secrets: Sequence[str]) -> str:
    """Return a server's words in one line, without secrets, cut to what is worth keeping."""
    text = without_any_form(secrets, text)
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(line) > LONGEST_WORDS:  # InfluxDB gives its reason after the whole row
        line = f"{line[: LONGEST_WORDS // 2]} … {line[-LONGEST_WORDS // 2 :]}"
    return line
