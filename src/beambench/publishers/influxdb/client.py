"""Sends rows to InfluxDB as points, and reads them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from beambench.publishers import beambench_format
from beambench.publishers.base import (
    BEAM,
    Client,
    Outcome,
    UnavailableError,
    name_of,
    portions,
)
from beambench.publishers.influxdb.address import place
from beambench.publishers.influxdb.points import (
    as_content,
    identifier,
    line,
    literal,
    tag_value,
    tags_of,
    time_of,
)
from beambench.publishers.influxdb.server import InfluxServer
from beambench.store.deliveries import Delivery

if TYPE_CHECKING:
    import requests

REFUSED = (400, 413, 422)
"""Answers that blame what was sent; all others leave it in the queue."""

LARGEST_REQUEST = 4_000_000
"""Bytes of rows in one request; the server takes 25 MB."""


class InfluxDB(Client):
    """Publishes rows as points."""

    def targets(self, settings: Mapping[str, Any], benchmark: str) -> dict[str, dict[str, Any]]:
        where = {key: settings[key] for key in ("url", "database", "user") if settings.get(key)}
        measurement = settings.get("measurement") or name_of(benchmark)
        return {
            BEAM: {**where, "format": "beam", "measurement": measurement},
            **{
                name: {**where, "format": "beambench", "measurement": name}
                for name in beambench_format.COLUMNS
            },
        }

    def place(self, target: Mapping[str, Any]) -> str:
        return str(target["measurement"])

    def check(self, target: Mapping[str, Any]) -> None:
        InfluxServer.of(target)

    def send(self, rows: Sequence[Delivery], deadline: float) -> Outcome:
        server, outcome = InfluxServer.of(rows[0].target), Outcome()
        refused: dict[str, requests.Response] = {}
        try:
            for portion in portions(rows, LARGEST_REQUEST):
                self._send(server, portion, deadline, outcome.delivered, refused)
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
        measurement, run_id = identifier(target["measurement"]), rows[0].run_id
        tags = tags_of(target)
        column = "test_id" if target["format"] == "beam" else "run_id"
        query = f"SELECT * FROM {measurement} WHERE {identifier(column)} = {literal(run_id)}"  # noqa: S608 - InfluxQL over HTTP binds no identifiers
        contents = {
            (point["time"], *(str(point.get(tag) or "") for tag in tags)): point
            for point in server.query(query, deadline)
        }
        unit = 1_000_000_000 if target["format"] == "beam" else 1
        there = {}
        for row in rows:
            key = (time_of(row) * unit, *(tag_value(row.content.get(tag)) for tag in tags))
            point = contents.get(key)
            if point is not None:
                there[row.row_id] = as_content(point, row)
        return there

    def is_same_text(self, sent: str, stored: str) -> bool:
        return stored in (sent, tag_value(sent))

    def history(
        self, target: Mapping[str, Any], table: str | None, deadline: float
    ) -> tuple[list[dict[str, Any]], str]:
        server, measurement = InfluxServer.of(target), table or str(target["measurement"])
        query = f"SELECT metric, test_id, value FROM {identifier(measurement)}"  # noqa: S608 - InfluxQL over HTTP binds no identifiers
        points = server.query(query, deadline)
        rows = [{**point, "timestamp": point["time"] / 1e9} for point in points]
        return rows, f"{place(server.url)}/{server.database}/{measurement}"


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
