"""A server of InfluxDB: the 1.x write API, as Beam's suite uses it, and that of 2.x with a token.

https://docs.influxdata.com/influxdb/v1/tools/api/#write-http-endpoint
https://docs.influxdata.com/influxdb/v2/api/v2/#operation/PostWrite
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from beambench.errors import UsageError
from beambench.publishers.base import (
    UnavailableError,
    UnreachableError,
    reason,
    seconds_left,
    shown,
)
from beambench.publishers.influxdb.address import checked, place, setting
from beambench.publishers.influxdb.points import identifier, literal

if TYPE_CHECKING:
    import requests

ALL_TIME = {"start": "1678-01-01T00:00:00Z", "stop": "2262-01-01T00:00:00Z"}
"""What times of points can be."""


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
        return [secret for secret in (self.password, self.token, pair) if secret]

    def post(self, lines: Sequence[str], precision: str, deadline: float) -> requests.Response:
        """Write points. Raises UnavailableError if there is no answer."""
        if self.token:
            where = {"org": self.organization or "", "bucket": self.database}
            return self._ask("/api/v2/write", {**where, "precision": precision}, deadline, lines)
        where = {"db": self.database, "precision": precision}
        return self._ask("/write", where, deadline, lines)

    def delete(self, measurement: str, tag: str, value: str, deadline: float) -> None:
        """Delete the points of a measurement that a tag has a value in. Raises UnavailableError."""
        if self.token:
            where = {"org": self.organization or "", "bucket": self.database}
            chosen = f"_measurement={identifier(measurement)} AND {tag}={identifier(value)}"
            body = json.dumps({**ALL_TIME, "predicate": chosen})
            answer = self._ask("/api/v2/delete", where, deadline, [body], "application/json")
        else:
            text = (
                f"DELETE FROM {identifier(measurement)} WHERE {identifier(tag)} = {literal(value)}"  # noqa: S608 - InfluxQL binds no identifiers
            )
            answer = self._ask("/query", {"db": self.database, "q": text}, deadline, [])
        if answer.status_code not in (200, 204) or '"error"' in answer.text:
            raise UnavailableError(self.words(answer))

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
                dict(zip(entry["columns"], values, strict=True))
                for entry in series
                for values in entry["values"]
            ]
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise UnavailableError(f"{place(self.url)} does not answer as InfluxDB does") from None
        if "error" in result:
            raise UnavailableError(shown(str(result["error"]), self.secrets))
        if any(entry.get("partial") for entry in [result, *series]):
            raise UnavailableError(f"{place(self.url)} cuts its answers: raise its max-row-limit")
        return rows

    def _ask(
        self,
        path: str,
        parameters: Mapping[str, str],
        deadline: float,
        lines: Sequence[str] | None = None,
        content_type: str = "text/plain; charset=utf-8",
    ) -> requests.Response:
        import requests

        headers: dict[str, str | bytes] = {"Content-Type": content_type}
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


def _bytes(text: str) -> bytes:
    """Return text as UTF-8, not as Latin-1 as the library would; what is no text stays as it is."""
    return text.encode("utf-8", "surrogateescape")
