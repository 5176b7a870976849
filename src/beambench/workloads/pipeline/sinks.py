"""Sinks: where predictions are written, as a part of the pipeline that is measured."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import apache_beam as beam

from beambench.credentials.google import LOG_IN
from beambench.errors import RunError, UsageError
from beambench.inputs import files
from beambench.instrumentation.elements import Output
from beambench.workloads.output import Target, check_file, exists, row

AddSink = Callable[[Any], object]
"""Adds to the outputs of a pipeline what writes them."""

COLUMNS = ("id", "label", "error")


def format_prediction(output: Output) -> str:
    return json.dumps(output, separators=(",", ":"))


def predictions_file(path: str) -> AddSink:
    """Write all outputs to one file, for the comparison with the reference."""

    def write(outputs: Any) -> object:
        return (
            outputs
            | "FormatPrediction" >> beam.Map(format_prediction)
            | "WritePredictions" >> beam.io.WriteToText(path, shard_name_template="")
        )

    return write


def target_of_user(target: Target, temp_location: str | None) -> AddSink:
    """Write the outputs where a user wants them."""
    return lambda outputs: outputs | "WriteOutput" >> WriteOutput(target, temp_location)


class WriteOutput(beam.PTransform):
    """Writes the outputs of a pipeline to a target, through Beam's own sinks.

    BigQuery gets them by load jobs: those replace a table at once and whole, whereas rows that are
    streamed into a table which was just made again may be lost for minutes.
    """

    def __init__(self, target: Target, temp_location: str | None = None) -> None:
        super().__init__()
        self._target = target
        self._temp_location = temp_location

    def expand(self, outputs: Any) -> Any:
        of_format = {"jsonl": self._text, "parquet": self._parquet, "bigquery": self._bigquery}
        as_text = self._target.format != "jsonl"
        rows = outputs | "Row" >> beam.Map(functools.partial(row, text=as_text))
        return of_format[self._target.format](rows)

    def _text(self, rows: Any) -> Any:
        return (
            rows
            | "Format" >> beam.Map(json.dumps)
            | "Write" >> beam.io.WriteToText(self._target.place, shard_name_template="")
        )

    def _parquet(self, rows: Any) -> Any:
        import pyarrow  # type: ignore[import-untyped]

        schema = pyarrow.schema(
            [pyarrow.field(name, pyarrow.string(), nullable=name != "id") for name in COLUMNS]
        )
        return rows | "Write" >> beam.io.WriteToParquet(
            self._target.place, schema, shard_name_template=""
        )

    def _bigquery(self, rows: Any) -> Any:
        from apache_beam.io.gcp.bigquery import BigQueryDisposition, WriteToBigQuery

        fields = [
            {"name": name, "type": "STRING", "mode": "REQUIRED" if name == "id" else "NULLABLE"}
            for name in COLUMNS
        ]
        return rows | "Write" >> WriteToBigQuery(
            self._target.place,
            schema={"fields": fields},
            method=WriteToBigQuery.Method.FILE_LOADS,
            write_disposition=BigQueryDisposition.WRITE_TRUNCATE,
            custom_gcs_temp_location=self._temp_location,
        )


def check(target: Target, *, overwrite: bool) -> None:
    """See that a target can be written, and is not there unless it may be replaced.

    Raises:
        UsageError: it cannot.
        RunError: its store does not answer.
    """
    if target.format == "bigquery":
        _check_table(target, overwrite=overwrite)
    elif target.is_here:
        check_file(target, overwrite=overwrite)
    else:
        try:
            files.connect(target.place)
            files.stored(target.place)
        except FileNotFoundError as error:
            if error.filename != target.place:  # the bucket
                raise UsageError(f"output {target.place}: {error.strerror}") from None
        except OSError as error:
            raise UsageError(f"output {target.place}: {error.strerror}") from None
        else:
            if not overwrite:
                raise exists(target.place)


def clear(target: Target) -> None:
    """Remove what an earlier repeat wrote; a load job replaces a table by itself."""
    if target.format != "bigquery":
        files.remove(target.place)


def count(target: Target) -> int:
    """Return the rows that are there now."""
    if target.format == "jsonl":
        return sum(1 for _ in files.lines_of(target.place))
    if target.format == "parquet":
        import io

        from pyarrow import parquet

        return int(parquet.read_metadata(io.BytesIO(files.read_bytes(target.place))).num_rows)
    client, table = _client_of(target)
    answer = client.query_and_wait(f"SELECT COUNT(*) FROM `{table}`")  # noqa: S608 - checked name
    return int(next(iter(answer))[0])


def _client_of(target: Target) -> tuple[Any, str]:
    """Return BigQuery's client and the name of the table as a query has it."""
    try:
        from google.cloud import bigquery
    except ImportError:
        raise UsageError(f"output {target}: needs {files.INSTALL}") from None
    if not files.has_credentials():
        raise UsageError(f"output {target}: no Google credentials were found: {LOG_IN}")
    project, _, table = target.place.rpartition(":")
    return bigquery.Client(project=project), f"{project}.{table}"


def _check_table(target: Target, *, overwrite: bool) -> None:
    client, table = _client_of(target)
    from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound, Unauthorized
    from google.auth.exceptions import GoogleAuthError

    dataset = table.rpartition(".")[0]
    limits: dict[str, Any] = {"retry": None, "timeout": files.RETRY_SECONDS}
    has_dataset = False
    try:
        client.get_dataset(dataset, **limits)
        has_dataset = True
        client.get_table(table, **limits)
    except NotFound:
        if not has_dataset:
            raise UsageError(f"output bq:{table}: no dataset {dataset}: make it first") from None
        return
    except (Forbidden, Unauthorized):
        raise UsageError(f"output bq:{table}: access denied") from None
    except (GoogleAPIError, GoogleAuthError, OSError) as error:
        text = " ".join(str(error).split())[:200]
        raise RunError(f"output bq:{table}: BigQuery does not answer: {text}") from None
    if not overwrite:
        raise exists(f"bq:{table}")
