"""Runs as files: whole as JSON, their metrics as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from beambench.presentation.layout import TableColumn
from beambench.presentation.markdown import cell, table
from beambench.presentation.runs import disturbed_of
from beambench.printable import json_text, printable
from beambench.publishers import beambench_format
from beambench.record.run_record import RunRecord


def as_json(records: Sequence[RunRecord]) -> str:
    """Return records as a JSON list, whole: `beambench import` reads it back."""
    documents = [record.model_dump(mode="json") for record in records]
    return json_text(documents) + "\n"


def as_csv(records: Sequence[RunRecord]) -> str:
    """Return a row for each metric of each run, with the columns of beambench's own table."""
    names = [column.name for column in beambench_format.METRIC_COLUMNS if column.name != "row_id"]
    text = io.StringIO()
    # All text is quoted: before Python 3.13 a "\r" alone would not be, and begin a row for readers.
    writer = csv.DictWriter(text, names, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    for record in records:
        for row in beambench_format.metric_rows(record):
            writer.writerow({key: _plain(value) for key, value in row.items()})
    return text.getvalue()


def _plain(value: Any) -> Any:
    """Return a cell in one line: text that a spreadsheet would compute is quoted."""
    if isinstance(value, str):
        quote = "'" if value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else ""
        return quote + printable(value)
    return "" if value is None else value


def as_markdown(records: Sequence[RunRecord]) -> str:
    """Return a heading and a table of metrics for each run."""
    return "\n".join(_section(record) for record in records)


def _section(record: RunRecord) -> str:
    imported = f"; imported from {record.imported.source}" if record.imported is not None else ""
    unverified = record.verification.unverified
    proof = (
        f"unverified: {unverified}"
        if unverified
        else ("verified" if record.verification.passed else "not verified")
    )
    runner = record.runner.executed or record.runner.requested
    disturbed = disturbed_of(record)
    columns = [
        TableColumn(name, right=name in ("value", "n"))
        for name in ("metric", "value", "unit", "95 % interval", "n", "better")
    ]
    if disturbed:
        columns.append(TableColumn("disturbed", right=True))
    lines = [
        f"## {cell(record.benchmark)}, {cell(record.variant)}: run {cell(record.run_id)}",
        "",
        f"{cell(record.started_at)}; {record.status.replace('_', ' ')}; profile "
        f"{cell(record.profile)}; runner {cell(runner)}; input {cell(record.input.kind)}; "
        f"weights {record.model.weights}; {cell(proof + imported)}",
        "",
        *table(columns, _rows(record, disturbed)),
    ]
    return "\n".join(lines) + "\n"


def _rows(record: RunRecord, disturbed: Mapping[str, str]) -> Iterator[Sequence[str]]:
    for name, metric in record.metrics.items():
        interval = ""
        if metric.ci_low is not None and metric.ci_high is not None:
            interval = f"{metric.ci_low:.6g} – {metric.ci_high:.6g}"
        marks = [disturbed.get(name, "")] if disturbed else []
        value = f"{metric.value:.6g}"
        yield name, value, metric.unit, interval, f"{metric.n}", metric.direction, *marks


FORMATS = {"json": as_json, "csv": as_csv, "markdown": as_markdown}
