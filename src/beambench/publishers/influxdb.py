"""InfluxDB: the 1.x write API, as Beam's suite uses it, and that of 2.x where a token is given.

https://docs.influxdata.com/influxdb/v1/tools/api/#write-http-endpoint
https://docs.influxdata.com/influxdb/v2/api/v2/#operation/PostWrite

A point with the measurement, tags and time of one that is there replaces it. So a point that is
sent twice is there once, and points must differ in one of the three: rows in Beam's format do by
``test_id`` and ``metric``. beambench's own keep the run id a field, because every value of a tag is
a series that the server holds in memory; they differ by their time, which is the start of the run
in microseconds and, in the last three digits of the nanoseconds, a hash of its id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from beambench.errors import UsageError
from beambench.publishers import beam_format, beambench_format
from beambench.publishers.address import checked, place, reason, setting
from beambench.publishers.base import (
    Outcome,
    UnavailableError,
    UnreachableError,
    moment,
    name_of,
    portions,
    seconds_left,
    shown,
)
from beambench.store.deliveries import Delivery

if TYPE_CHECKING:
    import requests

LONGEST_STRING = 60_000
"""Bytes of a string field; the server takes 64 KiB. A longer one is cut into numbered fields."""

REFUSED = (400, 413, 422)
"""Answers that blame what was sent; all others leave it in the queue."""

LARGEST_REQUEST = 4_000_000
"""Bytes of rows in one request; the server takes 25 MB."""


@dataclass(frozen=True)
class InfluxServer:
    """Where points go. Of the definition, else of the environment; credentials only of the latter.

    Attributes:
        database: a database of 1.x, or a bucket of 2.x.
        token: given, the server is spoken to as a 2.x.
    """

    url: str
    database: str
    user: str | None = None
    password: str | None = None
    organization: str | None = None
    token: str | None = None

    @classmethod
    def of(cls, target: Mapping[str, Any]) -> InfluxServer:
        """Return the server of a target. Raises UsageError if the environment does not say it."""
        token = setting("INFLUXDB_TOKEN", secret=True)
        url, source = target.get("url"), "influxdb: publish.influxdb.url"
        if not url:
            url, source = setting("INFLUXDB_URL"), "influxdb: INFLUXDB_URL"
        if url:
            url = checked(url, source)
        database = target.get("database") or setting("INFLUXDB_DATABASE")
        if token and not database:
            database = setting("INFLUXDB_BUCKET")
        if not url or not database:
            missing = [] if url else ["INFLUXDB_URL"]
            missing += [] if database else ["INFLUXDB_DATABASE"]
            raise UsageError(
                f"influxdb: {' and '.join(missing)} not set: set "
                f"{'it' if len(missing) == 1 else 'them'}, or publish.influxdb of the benchmark"
            )
        organization = setting("INFLUXDB_ORG")
        if token and organization is None:
            raise UsageError("influxdb: INFLUXDB_ORG is not set: a token goes with an organization")
        return cls(
            url,
            database,
            target.get("user") or setting("INFLUXDB_USER", spaces=True),
            setting("INFLUXDB_USER_PASSWORD", secret=True, spaces=True),
            organization,
            token,
        )

    @property
    def secrets(self) -> list[str]:
        """What no message may hold, and the pair in which it is sent."""
        pair = f"{self.user}:{self.password}" if self.user and self.password else None
        return [one for one in (self.password, self.token, pair) if one]

    def post(self, lines: Sequence[str], precision: str, deadline: float) -> requests.Response:
        """Write points. Raises UnavailableError if there is no answer."""
        if self.token:
            where = {"org": self.organization or "", "bucket": self.database}
            return self._ask("/api/v2/write", {**where, "precision": precision}, deadline, lines)
        where = {"db": self.database, "precision": precision}
        return self._ask("/write", where, deadline, lines)

    def query(self, text: str, deadline: float) -> list[dict[str, Any]]:
        """Return the rows of an InfluxQL query, with times in nanoseconds."""
        where = {"db": self.database, "q": text, "epoch": "ns"}
        answer = self._ask("/query", where, deadline)
        if answer.status_code != 200:
            raise UnavailableError(self.words(answer))
        try:
            result = answer.json()["results"][0]
            series = result.get("series", ())
            rows = [
                dict(zip(one["columns"], values, strict=True))
                for one in series
                for values in one["values"]
            ]
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise UnavailableError(f"{place(self.url)} does not answer as InfluxDB does") from None
        if "error" in result:
            raise UnavailableError(shown(str(result["error"]), self.secrets))
        if any(one.get("partial") for one in [result, *series]):
            raise UnavailableError(f"{place(self.url)} cuts its answers: raise its max-row-limit")
        return rows

    def _ask(
        self,
        path: str,
        parameters: Mapping[str, str],
        deadline: float,
        lines: Sequence[str] | None = None,
    ) -> requests.Response:
        import requests

        headers: dict[str, str | bytes] = {"Content-Type": "text/plain; charset=utf-8"}
        if self.token:
            headers["Authorization"] = _bytes(f"Token {self.token}")
        basic: Any = None
        if self.user and not self.token:
            basic = (_bytes(self.user), _bytes(self.password or ""))
        try:
            return requests.request(
                "GET" if lines is None else "POST",
                self.url + path,
                params=dict(parameters),
                data=None if lines is None else "\n".join(lines).encode(),
                headers=headers,
                auth=basic,
                timeout=seconds_left(deadline),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            words = f"{place(self.url)}: {reason(error)}"
            raise UnreachableError(shown(words, self.secrets)) from None

    def words(self, answer: requests.Response) -> str:
        """Return what a server said when it did not accept something."""
        try:
            content = answer.json()
            said = str(content.get("error") or content.get("message") or content)
        except (ValueError, AttributeError):
            said = answer.text
        return shown(f"{place(self.url)}: HTTP {answer.status_code}: {said}", self.secrets)


class InfluxDB:
    """Publishes rows as points."""

    name: ClassVar[str] = "influxdb"

    def send(self, rows: Sequence[Delivery], deadline: float) -> Outcome:
        server, outcome = InfluxServer.of(rows[0].target), Outcome()
        refused: dict[str, requests.Response] = {}
        try:
            for some in portions(rows, LARGEST_REQUEST):
                self._send(server, some, deadline, outcome.delivered, refused)
        except UnavailableError as error:
            if not outcome.delivered and not refused:
                raise
            outcome.problem = str(error)
        for row_id, answer in refused.items():
            # A gateway's refusal of every row blames none of them: the address may be wrong.
            if outcome.delivered or _is_influxdb(answer):
                outcome.parked[row_id] = server.words(answer)
            else:
                outcome.problem = server.words(answer)
        return outcome

    def _send(
        self,
        server: InfluxServer,
        rows: list[Delivery],
        deadline: float,
        delivered: list[str],
        refused: dict[str, requests.Response],
    ) -> None:
        """Send rows; halve what is refused until the rows that are to blame stand alone."""
        precision = "s" if rows[0].target["format"] == "beam" else "ns"
        answer = server.post([line(row) for row in rows], precision, deadline)
        if answer.status_code == 204:
            delivered += [row.row_id for row in rows]
        elif answer.status_code not in REFUSED:
            raise UnavailableError(server.words(answer))
        elif len(rows) == 1:
            refused[rows[0].row_id] = answer
        else:
            half = len(rows) // 2
            self._send(server, rows[:half], deadline, delivered, refused)
            self._send(server, rows[half:], deadline, delivered, refused)

    def read_back(self, rows: Sequence[Delivery], deadline: float) -> dict[str, dict[str, Any]]:
        server, target = InfluxServer.of(rows[0].target), rows[0].target
        measurement, run_id = _identifier(target["measurement"]), rows[0].run_id
        tags = _tags(target)
        column = "test_id" if target["format"] == "beam" else "run_id"
        query = f"SELECT * FROM {measurement} WHERE {_identifier(column)} = {_literal(run_id)}"  # noqa: S608 - InfluxQL over HTTP binds no identifiers
        found = {
            (point["time"], *(str(point.get(tag) or "") for tag in tags)): point
            for point in server.query(query, deadline)
        }
        unit = 1_000_000_000 if target["format"] == "beam" else 1
        there = {}
        for row in rows:
            key = (_time(row) * unit, *(tag_value(row.content.get(tag)) for tag in tags))
            point = found.get(key)
            if point is not None:
                there[row.row_id] = _as_content(point, row.content)
        return there


def _is_influxdb(answer: requests.Response) -> bool:
    """Tell InfluxDB's answers from those of what stands before it: by a header or their form."""
    if "X-Influxdb-Version" in answer.headers:
        return True
    try:
        content = answer.json()
    except ValueError:
        return False
    keys = ("error", "message")  # of 1.x and of 2.x
    return isinstance(content, dict) and any(isinstance(content.get(key), str) for key in keys)


def targets(publish: Mapping[str, Any], benchmark: str) -> dict[str, dict[str, Any]]:
    """Return the target of each kind of row: ``beam``, and the two of beambench's own."""
    own = publish.get("influxdb") or {}
    where = {key: own[key] for key in ("url", "database", "user") if own.get(key)}
    measurement = own.get("measurement") or name_of(benchmark)
    return {
        "beam": {**where, "format": "beam", "measurement": measurement},
        **{
            name: {**where, "format": "beambench", "measurement": name}
            for name in beambench_format.COLUMNS
        },
    }


def line(row: Delivery) -> str:
    """Return a row in line protocol: ``measurement,tags fields time``."""
    content, tags = row.content, _tags(row.target)
    pairs = [(tag, tag_value(content.get(tag))) for tag in tags]
    named = "".join(f",{_escape(tag)}={_escape(value)}" for tag, value in sorted(pairs) if value)
    time_column = "timestamp" if row.target["format"] == "beam" else "started_at"
    names = [name for name in content if name not in (*tags, time_column)]
    if row.target["format"] == "beam":
        names = ["value"]
    fields = ",".join(
        f"{_escape(key)}={_field(part)}"
        for name in names
        if content[name] is not None
        for key, part in _parts(name, content[name])
    )
    when = _time(row)
    return f"{_escape_measurement(row.target['measurement'])}{named} {fields} {when}"


def _tags(target: Mapping[str, Any]) -> tuple[str, ...]:
    if target["format"] == "beam":
        return beam_format.TAGS
    columns = beambench_format.COLUMNS[target["measurement"]]
    return tuple(column.name for column in columns if column.is_tag)


def _time(row: Delivery) -> int:
    """Return the time of a point: whole seconds for Beam's rows, nanoseconds for ours."""
    if row.target["format"] == "beam":
        return int(_micros(row.content["timestamp"]) // 1_000_000)
    digest = hashlib.sha256(row.run_id.encode()).digest()
    return _micros(row.content["started_at"]) * 1000 + int.from_bytes(digest[:4], "big") % 1000


def _micros(text: str) -> int:
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


def _as_content(point: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return a point under the names of the row that it was sent as."""
    found: dict[str, Any] = {}
    for name, value in sent.items():
        parts = [key for key, _ in _parts(name, value)]
        if len(parts) > 1:
            found[name] = "".join(str(point.get(part) or "") for part in parts)
        elif name in point:
            found[name] = point[name]
    return found


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


def _identifier(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _bytes(text: str) -> bytes:
    """Return text as UTF-8, not as Latin-1 as the library would; what is no text stays as it is."""
    return text.encode("utf-8", "surrogateescape")


def rows_in(target: Mapping[str, Any], deadline: float) -> tuple[list[dict[str, Any]], str]:
    """Return all rows in Beam's format of a measurement, and the measurement's address.

    Raises:
        UnavailableError: the server cannot be asked.
        UsageError: the environment does not say where it is.
    """
    server, measurement = InfluxServer.of(target), str(target["measurement"])
    query = f"SELECT metric, test_id, value FROM {_identifier(measurement)}"  # noqa: S608 - InfluxQL over HTTP binds no identifiers
    rows = [{**point, "timestamp": point["time"] / 1e9} for point in server.query(query, deadline)]
    return rows, f"{place(server.url)}/{server.database}/{measurement}"
