"""Rows as points of InfluxDB, and back.

A point with the measurement, tags and time of one that is there replaces it. So a point that is
sent twice is there once, and points must differ in one of the three: rows in Beam's format do by
``test_id`` and ``metric``. beambench's own keep the run id a field, because every value of a tag is
a series that the server holds in memory; they differ by their time, which is the start of the run
in microseconds and, in the last three digits of the nanoseconds, a hash of its id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from beambench.publishers import beam_format, beambench_format
from beambench.publishers.base import moment
from beambench.store.deliveries import Delivery

LONGEST_STRING = 60_000
"""Bytes of a string field; the server takes 64 KiB. A longer one is cut into numbered fields."""


def line(row: Delivery) -> str:
    """Return a row in line protocol: ``measurement,tags fields time``."""
    content, tags = row.content, tags_of(row.target)
    time_column = _time_column(row.target)
    names = [name for name in content if name not in (*tags, time_column)]
    if row.target["format"] == "beam":
        names = ["value"]
    return point(
        row.target["measurement"],
        {tag: content.get(tag) for tag in tags},
        {name: content[name] for name in names},
        time_of(row),
    )


def point(measurement: str, tags: Mapping[str, Any], fields: Mapping[str, Any], when: int) -> str:
    """Return a point in line protocol, without tags that are empty and fields that are null."""
    pairs = [(tag, tag_value(value)) for tag, value in tags.items()]
    named = "".join(f",{_escape(tag)}={_escape(value)}" for tag, value in sorted(pairs) if value)
    given = ",".join(
        f"{_escape(key)}={_field(part)}"
        for name, value in fields.items()
        if value is not None
        for key, part in _parts(name, value)
    )
    return f"{_escape_measurement(measurement)}{named} {given} {when}"


def tags_of(target: Mapping[str, Any]) -> tuple[str, ...]:
    if target["format"] == "beam":
        return beam_format.TAGS
    columns = beambench_format.COLUMNS[target["measurement"]]
    return tuple(column.name for column in columns if column.is_tag)


def _time_column(target: Mapping[str, Any]) -> str:
    """Return the column that is the time of the point and no field."""
    return "timestamp" if target["format"] == "beam" else "started_at"


def time_of(row: Delivery) -> int:
    """Return the time of a point: whole seconds for Beam's rows, nanoseconds for ours."""
    if row.target["format"] == "beam":
        return int(micros(row.content["timestamp"]) // 1_000_000)
    digest = hashlib.sha256(row.run_id.encode()).digest()
    return micros(row.content["started_at"]) * 1000 + int.from_bytes(digest[:4], "big") % 1000


def micros(text: str) -> int:
    """Return an ISO 8601 time in microseconds since 1970."""
    since = moment(text) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a field, or the numbered parts of one that is too long for the server."""
    if not isinstance(value, str) or len(value.encode()) <= LONGEST_STRING:
        yield name, value
        return
    step = LONGEST_STRING // 4  # a character has four bytes at most
    for number, start in enumerate(range(0, len(value), step)):
        yield (f"{name}_{number}", value[start : start + step])


def as_content(point: Mapping[str, Any], row: Delivery) -> dict[str, Any]:
    """Return a point, which was found by its time, under the names of the row that was sent."""
    time_column = _time_column(row.target)
    content: dict[str, Any] = {time_column: row.content[time_column]}
    for name, value in row.content.items():
        parts = [key for key, _ in _parts(name, value)]
        if len(parts) > 1:
            content[name] = "".join(str(point.get(part) or "") for part in parts)
        elif name in point:
            content[name] = point[name]
    return content


def _field(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(float(value))  # one type for a field, whatever the first value looked like
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def tag_value(value: Any) -> str:
    """Return a value as a tag can hold it: no line break, and no backslash, which has no escape."""
    text = "" if value is None else str(value)
    return " ".join(text.replace("\\", "/").split())


def _escape(text: str) -> str:
    """Escape a tag key, tag value or field key."""
    return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _escape_measurement(text: str) -> str:
    return text.replace("\\", "/").replace(",", "\\,").replace(" ", "\\ ")


def identifier(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
