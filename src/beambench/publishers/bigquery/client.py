"""BigQuery: rows through the streaming API, each with an insert id that depends on the row alone.

https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll

The server drops a row whose insert id it has seen, for about a minute and as best it can. So rows
of an attempt that ended without an answer, and those of runs that another store may have sent, are
looked up by a query before they are sent; the insert id covers the case that an attempt is still
under way.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from beambench.credentials.google import LOG_IN, VARIABLE, NoCredentialsError, application_default
from beambench.errors import UsageError
from beambench.publishers import beam_format, beambench_format
from beambench.publishers.base import (
    BEAM,
    Client,
    Outcome,
    UnavailableError,
    UnreachableError,
    age,
    name_of,
    portions,
    reason,
    seconds_left,
    shown,
)
from beambench.store.deliveries import Delivery

if TYPE_CHECKING:
    from google.cloud import bigquery

DEFAULT_DATASET = "beam_run_inference"
LARGEST_REQUEST = 4_000_000
"""Bytes of rows in one request; the server takes 10 MB."""

REMEMBERED_S = 30.0
"""Age of a run up to which a row that was not sent before can only have been sent by us."""

_SETTLES_WITH_OTHERS = ("stopped", "timeout", "backendError", "internalError", "rateLimitExceeded")
"""Reasons that do not blame the row: another row was refused, or the server had trouble."""


class BigQuery(Client):
    """Publishes rows into tables, which it makes and migrates."""

    def __init__(self) -> None:
        self._ready: set[tuple[str, ...]] = set()

    def targets(self, settings: Mapping[str, Any], benchmark: str) -> dict[str, dict[str, Any]]:
        where = {key: settings[key] for key in ("project", "location") if settings.get(key)}
        where["dataset"] = settings.get("dataset") or DEFAULT_DATASET
        table = settings.get("table") or name_of(benchmark)
        return {
            BEAM: {**where, "format": "beam", "table": table},
            **{
                name: {**where, "format": "beambench", "table": name}
                for name in beambench_format.COLUMNS
            },
        }

    def place(self, target: Mapping[str, Any]) -> str:
        return f"{target['dataset']}.{target['table']}"

    def check(self, target: Mapping[str, Any]) -> None:
        client_of(target)

    def send(self, rows: Sequence[Delivery], deadline: float) -> Outcome:
        client, target = client_of(rows[0].target), rows[0].target
        self._make_ready(client, target, deadline)
        outcome, left = Outcome(), list(rows)
        unsure = [row for row in left if row.attempts or age(row) > REMEMBERED_S]
        if unsure:
            outcome.delivered += self._find(unsure, deadline, only_keys=True)
            left = [row for row in left if row.row_id not in set(outcome.delivered)]
        try:
            for portion in portions(left, LARGEST_REQUEST):
                self._send(client, target, portion, deadline, outcome)
        except UnavailableError as error:
            if not outcome.delivered and not outcome.parked:
                raise
            outcome.problem = str(error)
        return outcome

    def _send(
        self,
        client: bigquery.Client,
        target: Mapping[str, Any],
        rows: list[Delivery],
        deadline: float,
        outcome: Outcome,
    ) -> None:
        """Send rows; set those aside that are to blame when the request is refused, and go on."""
        while rows:
            try:
                with _availability():
                    errors = client.insert_rows_json(
                        _table(client, target),
                        [row.content for row in rows],
                        row_ids=[row.row_id for row in rows],
                        retry=None,
                        timeout=seconds_left(deadline),
                    )
            except UnavailableError as error:
                if not _blames_rows(error.__cause__):
                    raise
                if len(rows) == 1:
                    outcome.parked[rows[0].row_id] = str(error)
                    return
                half = len(rows) // 2
                self._send(client, target, rows[:half], deadline, outcome)
                self._send(client, target, rows[half:], deadline, outcome)
                return
            refused, problem = _refused(rows, errors)
            outcome.parked |= refused
            if not errors:
                outcome.delivered += [row.row_id for row in rows]
                return
            if not refused:
                raise UnavailableError(problem)
            # One bad row stops all: the others have not been written.
            rows = [row for row in rows if row.row_id not in refused]

    def _make_ready(
        self, client: bigquery.Client, target: Mapping[str, Any], deadline: float
    ) -> None:
        """Make the dataset and the table if they are missing, and add columns that are new."""
        from google.api_core.exceptions import NotFound

        key = (client.project, str(target["dataset"]), str(target["table"]))
        if key in self._ready:
            return
        wanted = _table(client, target)
        options: dict[str, Any] = {"retry": None, "timeout": seconds_left(deadline)}
        with _availability():
            try:
                table = client.get_table(wanted, **options)
            except NotFound:
                # The right to make a table does not imply that to make its dataset.
                try:
                    table = client.create_table(wanted, exists_ok=True, **options)
                except NotFound:
                    client.create_dataset(_dataset(client, target), exists_ok=True, **options)
                    table = client.create_table(wanted, exists_ok=True, **options)
            present = {field.name for field in table.schema}
            missing = [field for field in wanted.schema if field.name not in present]
            if missing:
                # A column that is added to a table with rows cannot be required.
                added = [_nullable(field) for field in missing]
                table.schema = [*table.schema, *added]
                client.update_table(table, ["schema"], **options)
        self._ready.add(key)

    def read_back(self, rows: Sequence[Delivery], deadline: float) -> dict[str, dict[str, Any]]:
        return self._find(rows, deadline, only_keys=False)

    def history(
        self, target: Mapping[str, Any], table: str | None, deadline: float
    ) -> tuple[list[dict[str, Any]], str]:
        target = {**target, **(_parts_of(table) if table is not None else {})}
        client = client_of(target)
        wanted = _table(client, target)
        place = f"{wanted.project}.{wanted.dataset_id}.{wanted.table_id}"
        with _availability():
            result = _query(client, f"SELECT * FROM `{place}` ORDER BY timestamp", [], deadline)  # noqa: S608 - names of tables cannot be bound
        return result, place

    def doubled(self, rows: Sequence[Delivery], deadline: float) -> dict[str, int]:
        counts = Counter(
            _key(rows[0].target, entry) for entry in self._entries(rows, deadline, only_keys=True)
        )
        return {
            row.row_id: counts[key]
            for row in rows
            if counts[key := _key(row.target, {**row.content, "row_id": row.row_id})] > 1
        }

    def _find(
        self, rows: Sequence[Delivery], deadline: float, *, only_keys: bool
    ) -> dict[str, dict[str, Any]]:
        """Return what the server has of rows of one target, by row id."""
        entries = {
            _key(rows[0].target, entry): entry
            for entry in self._entries(rows, deadline, only_keys=only_keys)
        }
        return {
            row.row_id: entries[key]
            for row in rows
            if (key := _key(row.target, {**row.content, "row_id": row.row_id})) in entries
        }

    def _entries(
        self, rows: Sequence[Delivery], deadline: float, *, only_keys: bool
    ) -> list[dict[str, Any]]:
        """Return all that the server has of the runs of rows of one target."""
        from google.cloud import bigquery

        client, target = client_of(rows[0].target), rows[0].target
        wanted = _table(client, target)
        is_beam, table = target["format"] == "beam", str(target["table"])
        column = "test_id" if is_beam else "run_id"
        runs = sorted({row.run_id for row in rows})
        if only_keys:
            names = list(_keys(target))
        elif is_beam:
            names = [name for name, *_ in beam_format.SCHEMA]
        else:
            names = [column.name for column in beambench_format.COLUMNS[table]]
        columns = ", ".join(f"`{name}`" for name in names)
        query = (
            f"SELECT {columns} FROM `{wanted.project}.{wanted.dataset_id}.{wanted.table_id}` "  # noqa: S608 - names of tables cannot be bound
            f"WHERE {column} IN UNNEST(@runs)"
        )
        parameters = [bigquery.ArrayQueryParameter("runs", "STRING", runs)]
        with _availability():
            return _query(client, query, parameters, deadline)


def _keys(target: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns that tell rows of a target apart: Beam's carry no id of ours."""
    return ("test_id", "metric") if target["format"] == "beam" else ("row_id",)


def _key(target: Mapping[str, Any], entry: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(entry[column] for column in _keys(target))


def _parts_of(table: str) -> dict[str, str]:
    """Return the parts of the name of a table."""
    parts = table.split(".")
    if len(parts) not in (2, 3) or not all(parts):
        raise UsageError(f"--table {table}: write DATASET.TABLE or PROJECT.DATASET.TABLE")
    return dict(zip(("project", "dataset", "table")[-len(parts) :], parts, strict=True))


def client_of(target: Mapping[str, Any]) -> bigquery.Client:
    """Return a client with the platform's credentials, or none for an emulator.

    Raises:
        UsageError: there are no credentials or no project.
    """
    return _client(target.get("project"), os.environ.get("BIGQUERY_EMULATOR_HOST"))


@cache
def _client(project: str | None, emulator: str | None) -> bigquery.Client:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    project = project or os.environ.get("GOOGLE_CLOUD_PROJECT") or None
    if emulator:
        endpoint = emulator if "://" in emulator else f"http://{emulator}"
        return bigquery.Client(
            project=project or "local",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": endpoint},
        )
    try:
        credentials, named = application_default(bigquery.Client.SCOPE)
    except NoCredentialsError as error:
        if os.environ.get(VARIABLE):
            raise UsageError(f"bigquery: {VARIABLE}: {shown(str(error), ())}") from None
        raise UsageError(f"bigquery: no credentials: run `{LOG_IN}`, or set {VARIABLE}") from None
    if not (project or named):
        raise UsageError(
            "bigquery: no project: set publish.bigquery.project or GOOGLE_CLOUD_PROJECT"
        )
    return bigquery.Client(project=project or named, credentials=credentials)


def _query(
    client: bigquery.Client, text: str, parameters: Sequence[Any], deadline: float
) -> list[dict[str, Any]]:
    """Return the rows of a query, tried once."""
    from google.cloud import bigquery

    configuration = bigquery.QueryJobConfig(query_parameters=parameters)
    once: dict[str, Any] = {"retry": None, "job_retry": None}
    limit = seconds_left(deadline)
    job = client.query(text, job_config=configuration, timeout=limit, **once)
    answer = job.result(timeout=seconds_left(deadline), **once)
    return [dict(row.items()) for row in answer]


def _dataset(client: bigquery.Client, target: Mapping[str, Any]) -> bigquery.Dataset:
    from google.cloud import bigquery

    dataset = bigquery.Dataset(f"{client.project}.{target['dataset']}")
    if target.get("location"):
        dataset.location = str(target["location"])
    return dataset


def _table(client: bigquery.Client, target: Mapping[str, Any]) -> bigquery.Table:
    """Return a table as we would make it."""
    from google.cloud import bigquery

    reference = _dataset(client, target).table(str(target["table"]))
    if target["format"] == "beam":
        columns = [bigquery.SchemaField(*column) for column in beam_format.SCHEMA]
        return bigquery.Table(reference, schema=columns)
    table = bigquery.Table(
        reference,
        schema=[
            bigquery.SchemaField(
                column.name, column.kind, column.mode, description=column.description
            )
            for column in beambench_format.COLUMNS[str(target["table"])]
        ],
    )
    table.time_partitioning = bigquery.TimePartitioning(field=beambench_format.PARTITIONED_BY)
    table.clustering_fields = list(beambench_format.CLUSTERED_BY)
    return table


def _nullable(field: bigquery.SchemaField) -> bigquery.SchemaField:
    from google.cloud import bigquery

    return bigquery.SchemaField(field.name, field.field_type, description=field.description)


def _blames_rows(error: BaseException | None) -> bool:
    """Tell whether an answer to a request says that what was sent is wrong."""
    code = getattr(error, "code", None)
    reasons = {
        problem.get("reason")
        for problem in getattr(error, "errors", ())
        if isinstance(problem, dict)
    }
    return code == 413 or (code == 400 and bool(reasons & {"invalid", "parseError"}))


def _refused(
    rows: Sequence[Delivery], errors: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, str], str]:
    """Return what is said of each row that is to blame, and what is said of the others."""
    refused: dict[str, str] = {}
    problem = ""
    for error in errors:
        row = rows[int(error["index"])]
        for entry in error.get("errors") or ():
            where = f" ({entry['location']})" if entry.get("location") else ""
            words = shown(f"{entry.get('reason')}: {entry.get('message')}{where}", ())
            # A column that was just added is not known everywhere for some minutes.
            is_new = "no such field" in str(entry.get("message")).lower()
            if is_new or entry.get("reason") in _SETTLES_WITH_OTHERS:
                problem = words
            else:
                refused.setdefault(row.row_id, words)
    return refused, problem or "the rows were not inserted, and no reason was given"


@contextmanager
def _availability() -> Iterator[None]:
    """Turn every error of a request into one that leaves the rows where they are."""
    import requests
    from google.api_core.exceptions import GoogleAPICallError, GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except UnavailableError:
        raise
    except GoogleAPICallError as error:
        raise UnavailableError(shown(f"HTTP {error.code}: {error.message}", ())) from error
    except (GoogleAPIError, GoogleAuthError) as error:
        raise UnavailableError(shown(str(error), ())) from None
    except requests.Timeout:
        raise UnreachableError("no answer in time") from None
    except requests.RequestException as error:
        raise UnreachableError(reason(error)) from None
    except OSError as error:
        raise UnreachableError(f"refused or cut the connection ({type(error).__name__})") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # The library trusts answers; one that was cut or changed on the way breaks it anywhere.
        raise UnavailableError(f"no answer of BigQuery's ({type(error).__name__})") from None
