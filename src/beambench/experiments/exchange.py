"""Runs that come from elsewhere and go elsewhere: files of records, and rows of the old suite."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from beambench.definition.publishers import lookup, publisher_names
from beambench.definition.runners import runner_with_jobs
from beambench.definition.schema import Definition
from beambench.definition.text_encoding import decoded
from beambench.errors import RunError, UsageError
from beambench.metrics import Sample
from beambench.metrics.registry import OF_BEAM
from beambench.publishers import beam_format
from beambench.publishers.base import BEAM, UnavailableError, check_requirement, make_client
from beambench.record.run_record import (
    SCHEMA_VERSION,
    Imported,
    InputRecord,
    MetricValue,
    ModelRecord,
    Repeat,
    RunnerRecord,
    RunRecord,
    Verification,
)
from beambench.times import parse_time

CSV = ".csv"
MARKDOWN = (".md", ".markdown")
OWN_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
"""A ``test_id`` of this form is beambench's own: its record says more than the row."""

PREFIX = "beam-"
"""Run ids of imported rows are this and the ``test_id``, so that importing twice adds nothing."""


@dataclass
class ReadFile:
    """What was read of a file.

    Attributes:
        records: runs, marked as imported.
        left_out: what was not taken, and why, a line each.
    """

    records: list[RunRecord] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def read_file(path: Path, benchmark: str | None, now: str) -> ReadFile:
    """Read records that `beambench export` wrote, or Beam's rows as JSON, JSON lines or CSV.

    Args:
        path: of the file.
        benchmark: whose history Beam's rows are; records know it.
        now: time of the import.

    Raises:
        UsageError: the file is none of these, or rows come without a benchmark.
    """
    if path.suffix.lower() in MARKDOWN:
        raise UsageError(f"{path}: Markdown leaves most of a run out: export it with --format json")
    items = _items(path)
    if not items:
        raise UsageError(f"{path}: holds neither records nor rows")
    first = next((item for _, item in items if item), {})
    if "run_id" in first and path.suffix.lower() == CSV:
        raise UsageError(
            f"{path}: `beambench export --format csv` leaves most of a run out: "
            "export it with --format json"
        )
    if "run_id" in first:
        result = ReadFile()
        for where, item in items:
            result.records.append(_imported_record(item, f"{path}:{where}", str(path), now))
        return result
    if set(beam_format.TAGS) <= set(first):
        if benchmark is None:
            raise UsageError(f"{path}: rows of Beam's suite: say whose with --benchmark NAME")
        return from_rows((item for _, item in items), benchmark, str(path), now)
    raise UsageError(
        f"{path}: neither records of beambench (run_id, …) nor rows of Beam's suite "
        f"({', '.join(name for name, _, _ in beam_format.SCHEMA)})"
    )


def _items(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Return the objects in a file, each with the number of its line or of itself."""
    try:
        text = decoded(path.read_bytes(), str(path))
        if "\0" in text:
            raise UsageError(f"{path}: is not text: it holds NUL characters")
        items = _csv_rows(text) if path.suffix.lower() == CSV else _json_items(path, text)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except csv.Error as error:
        raise UsageError(f"{path}: not CSV: {error}") from None
    except RecursionError:
        raise UsageError(f"{path}: not JSON of beambench: nested too deeply") from None
    for number, item in items:
        if not isinstance(item, dict):
            kind = type(item).__name__
            raise UsageError(f"{path}:{number}: expected an object, not a value of type {kind}")
    return items


def _csv_rows(text: str) -> list[tuple[int, dict[str, Any]]]:
    """Return rows by the names in the first line; one with more or fewer cells is empty."""
    reader = csv.DictReader(io.StringIO(text), strict=True)
    return [(reader.line_num, {} if None in row or None in row.values() else row) for row in reader]


def _json_items(path: Path, text: str) -> list[tuple[int, Any]]:
    """Return what a JSON list, a JSON value or lines of JSON hold."""
    try:
        content = json.loads(text)
    except ValueError as error:
        whole = error
    else:
        return list(enumerate(content if isinstance(content, list) else [content], 1))
    items: list[tuple[int, Any]] = []
    for number, line in enumerate(text.split("\n"), 1):  # splitlines() would split strings
        if not line.strip():
            continue
        try:
            items.append((number, json.loads(line)))
        except ValueError as error:
            where = f"{path}:{number}: not JSON: {error}" if items else f"{path}: not JSON: {whole}"
            raise UsageError(where) from None
    return items


def _imported_record(item: Mapping[str, Any], where: str, source: str, now: str) -> RunRecord:
    version = item.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise UsageError(
            f"{where}: record schema {version} is newer than this beambench knows "
            f"({SCHEMA_VERSION}): upgrade beambench"
        )
    try:
        record = RunRecord.model_validate(item, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise UsageError(f"{where}: not a run record: {key:.80}: {first['msg']}") from None
    mark = record.imported or Imported(source=source, format="record", imported_at=now)
    config = _without_servers(record.config, where)
    return record.model_copy(update={"imported": mark, "config": config})


def _without_servers(config: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a configuration that cannot send our credentials to a server that others chose."""
    definition = config.get("definition")
    if definition is None:
        return config
    if not isinstance(definition, dict):
        raise UsageError(f"{where}: not a run record: config.definition: expected an object")
    if "publish" not in definition:
        return config
    given = definition["publish"] if isinstance(definition["publish"], dict) else {}
    publish = {}
    for name in sorted(given.keys() & set(publisher_names())):
        target, publisher = given[name], lookup(name)
        if isinstance(target, dict) and publisher is not None:
            publish[name] = {
                key: target[key]
                for key, form in publisher.portable_settings.items()
                if isinstance(target.get(key), str) and form.fullmatch(target[key])
            }
    return {**config, "definition": {**definition, "publish": publish}}


def read_database(
    name: str, definition: Definition, table: str | None, now: str, *, seconds: float
) -> ReadFile:
    """Read the rows that Beam's own suite has published of a benchmark.

    Args:
        name: of a publisher with a history.
        definition: of the benchmark.
        table: table or measurement; None: that of the benchmark.
        now: time of the import.
        seconds: time limit.

    Raises:
        UsageError: `table` is no name, or the environment does not say where the server is.
        RunError: the server cannot be asked, or a package that is needed is missing.
    """
    deadline = time.monotonic() + seconds
    check_requirement(name)
    client = make_client(name)
    target = client.targets(definition.publish.section(name) or {}, definition.name)[BEAM]
    try:
        rows, place = client.history(target, table, deadline)
    except UnavailableError as error:
        raise RunError(f"{name}: cannot be read: {error}") from None
    return from_rows(rows, definition.name, place, now, definition.model.name)


def from_rows(
    rows: Iterable[Mapping[str, Any]], benchmark: str, source: str, now: str, model: str = "unknown"
) -> ReadFile:
    """Make a run of all rows that have one ``test_id``."""
    result, broken, own = ReadFile(), 0, set[str]()
    by_test: dict[str, list[tuple[datetime, str, float, str | None]]] = {}
    for row in rows:
        read = _row(row)
        if read is None:
            broken += 1
        elif OWN_RUN_ID.fullmatch(str(row["test_id"])):
            own.add(str(row["test_id"]))
        else:
            by_test.setdefault(str(row["test_id"]), []).append(read)
    result.records = [
        _run_of_rows(test_id, read, benchmark, model, Imported(
            source=source, format="beam", imported_at=now))
        for test_id, read in by_test.items()
    ]  # fmt: skip
    result.records.sort(key=lambda record: (record.started_at, record.run_id))
    if broken:
        result.left_out.append(f"{broken} rows without a test_id, time, metric or finite value")
    if own:
        result.left_out.append(f"{len(own)} runs of beambench itself: import their records instead")
    return result


def _row(row: Mapping[str, Any]) -> tuple[datetime, str, float, str | None] | None:
    """Return time in UTC, label, value and job of a row, or None if it cannot be used."""
    label = row.get("metric")
    try:
        value = float(row["value"])
        when = time_of_row(row["timestamp"]).astimezone(timezone.utc)
        f"{row['test_id']}{label}{row.get('job_id')}".encode()  # half a surrogate pair is no text
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
    if not row["test_id"] or not label or not math.isfinite(value):
        return None
    return when, str(label), value, str(row["job_id"]) if row.get("job_id") else None


def time_of_row(value: Any) -> datetime:
    """Return a time given as text (also as BigQuery exports it), epoch seconds or datetime."""
    if isinstance(value, datetime):
        when = value
    elif isinstance(value, int | float) or re.fullmatch(r"\d+(\.\d+)?", str(value)):
        when = datetime.fromtimestamp(float(value), timezone.utc)
    else:
        return parse_time(str(value))
    return when if when.tzinfo is not None else when.replace(tzinfo=timezone.utc)


def _run_of_rows(
    test_id: str,
    rows: Sequence[tuple[datetime, str, float, str | None]],
    benchmark: str,
    model: str,
    mark: Imported,
) -> RunRecord:
    """Return a record that knows what the rows say; all else is unknown."""
    start, end = (_time_text(limit(when for when, *_ in rows)) for limit in (min, max))
    values = {label: value for _, label, value, _ in sorted(rows, key=lambda row: row[0])}
    job_id = next((job for *_, job in rows if job is not None), None)
    runner = runner_with_jobs().name if job_id is not None else "unknown"
    unverified = "imported from rows that hold no proof of the work"
    repeat = Repeat(
        index=0,
        arm="pipeline",
        status="succeeded",
        started_at=start,
        finished_at=end,
        runner={"job_id": job_id},
    )
    return RunRecord(
        run_id=f"{PREFIX}{test_id}",
        benchmark=benchmark,
        variant="stock",
        profile="full",
        definition_hash="unknown",
        beambench_version="unknown",
        runner=RunnerRecord(requested=runner, executed=None),
        status="succeeded",
        started_at=start,
        finished_at=end,
        input=InputRecord(kind="unknown", count=None, digest=None),
        model=ModelRecord(name=model, weights="unknown"),
        config={"beam_rows": values},
        repeats=[repeat],
        metrics=_metrics(values),
        verification=Verification(
            elements_in=None,
            elements_out=None,
            elements_failed=None,
            duplicates=None,
            missing=None,
            unverified=unverified,
        ),
        noise={},
        environment={},
        command=[],
        imported=mark,
    )


def _metrics(values: Mapping[str, float]) -> dict[str, MetricValue]:
    """Return our metrics of labels that are Beam's names for them, or end in one."""
    known = {}
    for label, value in values.items():
        for metric in OF_BEAM:
            if label == metric.beam_label or label.endswith(f"_{metric.beam_label}"):
                known[metric.name] = metric.value(Sample(value * metric.beam_factor, 1))
    return known


def _time_text(when: datetime) -> str:
    return when.replace(tzinfo=None).isoformat() + "Z"


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises UsageError for what is no file, and RunError."""
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"--output {path}: is not a file: name one")
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.write_text(text, "utf-8")
            partial.replace(path)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink()
    except OSError as error:
        raise RunError(f"--output {path}: {error.strerror or error}") from None
