"""beambench's own rows: one wide row a run, one a metric, each with what is needed to read it.

A column that is added later is nullable, so that tables which exist are migrated by adding it.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from beambench.record.environment import read_environment
from beambench.record.run_record import RunRecord

RUNS, METRICS = "beambench_runs", "beambench_metrics"
"""Tables in BigQuery, measurements in InfluxDB."""

PARTITIONED_BY, CLUSTERED_BY = "started_at", ("benchmark", "variant", "profile")


class Column(NamedTuple):
    """A column: its BigQuery type and mode, and whether it is a tag in InfluxDB."""

    name: str
    kind: str
    description: str
    mode: str = "NULLABLE"
    is_tag: bool = False


_IDENTITY = (
    Column("row_id", "STRING", "The same for the same row however often it is sent", "REQUIRED"),
    Column("run_id", "STRING", "Run", "REQUIRED"),
    Column("benchmark", "STRING", "Name of the benchmark", "REQUIRED", is_tag=True),
    Column("variant", "STRING", "Settings of the benchmark under a name", "REQUIRED", is_tag=True),
    Column("profile", "STRING", "How much was run: smoke, local, full", "REQUIRED", is_tag=True),
    Column("runner", "STRING", "Runner that executed the pipeline, else the one asked for",
           "REQUIRED", is_tag=True),
    Column("status", "STRING", "succeeded, failed, cancelled or timed_out", "REQUIRED",
           is_tag=True),
    Column("started_at", "TIMESTAMP", "Start of the run", "REQUIRED"),
)  # fmt: skip
_PROVENANCE = (
    Column("verified", "BOOLEAN", "Whether the work was proven"),
    Column("unverified", "STRING", "Why nothing speaks for the labels; null: verified, or failed"),
    Column("schema_version", "INTEGER", "Version of the record, which defines its metrics",
           is_tag=True),
    Column("disturbed_repeats", "INTEGER", "Repeats behind the values that other work disturbed"),
    Column("imported", "STRING", "Where the run was imported from; null: beambench measured it"),
    Column("definition_hash", "STRING", "SHA-256 of all that defines what was measured"),
    Column("beambench_version", "STRING", "Version of beambench"),
    Column("beam_version", "STRING", "Version of apache-beam"),
    Column("torch_version", "STRING", "Version of torch"),
    Column("python_version", "STRING", "Version of Python"),
    Column("cpu", "STRING", "CPU model"),
    Column("machine_digest", "STRING", "SHA-256 of the machine's part of the environment"),
    Column("environment_digest", "STRING", "SHA-256 of what must be equal to compare two runs"),
    Column("commit", "STRING", "Commit of the project, else of beambench"),
    Column("input_kind", "STRING", "user, packaged, derived or synthetic"),
    Column("input_count", "INTEGER", "Elements in the input"),
    Column("input_digest", "STRING", "Digest of the contents of the input"),
    Column("model", "STRING", "Architecture"),
    Column("model_weights", "STRING", "pretrained, random, trained, file, none or unknown"),
    Column("model_digest", "STRING", "SHA-256 of the weights file"),
)  # fmt: skip
RUN_COLUMNS = (
    *_IDENTITY,
    Column("finished_at", "TIMESTAMP", "End of the run", "REQUIRED"),
    Column("job_id", "STRING", "Job of the runner's service"),
    *_PROVENANCE,
    Column("labels", "STRING", "Labels of the run, as JSON"),
    Column("warnings", "STRING", "Warnings of the run, as a JSON list"),
    Column("error", "STRING", "Why the run failed"),
    Column("record", "STRING", "The run record, as JSON"),
)
METRIC_COLUMNS = (
    *_IDENTITY,
    Column("metric", "STRING", "Name of the metric", "REQUIRED", is_tag=True),
    Column("value", "FLOAT", "Value of the metric in its unit", "REQUIRED"),
    Column("unit", "STRING", "Unit symbol; 1 for a ratio or a count", "REQUIRED", is_tag=True),
    Column("direction", "STRING", "Which is better: higher, lower or neither", "REQUIRED",
           is_tag=True),
    Column("n", "INTEGER", "What the value was computed from", "REQUIRED"),
    Column("ci_low", "FLOAT", "Lower end of the 95 % interval; null where n allows none"),
    Column("ci_high", "FLOAT", "Upper end of the 95 % interval; null where n allows none"),
    *_PROVENANCE,
)  # fmt: skip
COLUMNS = {RUNS: RUN_COLUMNS, METRICS: METRIC_COLUMNS}


def run_row(record: RunRecord) -> dict[str, Any]:
    """Return the wide row of a run, of whatever status."""
    job_ids = [repeat.job_id for repeat in record.repeats]
    return {
        **_identity(record),
        "finished_at": record.finished_at,
        "job_id": next(filter(None, job_ids), None),
        **_provenance(record),
        "labels": json.dumps(record.labels, sort_keys=True),
        "warnings": json.dumps(record.warnings),
        "error": record.error,
        "record": record.model_dump_json(),
    }


def metric_rows(record: RunRecord) -> list[dict[str, Any]]:
    """Return a row for each metric of a run."""
    common, provenance = _identity(record), _provenance(record)
    return [
        {**common, "metric": name, **metric.model_dump(), **provenance}
        for name, metric in record.metrics.items()
    ]


def _disturbed_repeats(record: RunRecord) -> int | None:
    """Count the disturbed repeats among those that the values are from; None if none was judged."""
    counted = [repeat for repeat in record.repeats if repeat.counts]
    if all(repeat.noise.get("disturbed") is None for repeat in counted):
        return None
    return sum(repeat.is_disturbed for repeat in counted)


def _identity(record: RunRecord) -> dict[str, Any]:
    return {
        "run_id": record.run_id,
        "benchmark": record.benchmark,
        "variant": record.variant,
        "profile": record.profile,
        "runner": record.runner.executed or record.runner.requested,
        "status": record.status,
        "started_at": record.started_at,
    }


def _provenance(record: RunRecord) -> dict[str, Any]:
    environment = read_environment(record.environment)
    states = (environment.git.get(name) for name in ("project", "beambench"))
    commits = [state.commit for state in states if state is not None]
    return {
        "verified": record.verification.passed,
        "unverified": record.verification.unverified,
        "schema_version": record.schema_version,
        "disturbed_repeats": _disturbed_repeats(record),
        "imported": record.imported.source if record.imported is not None else None,
        "definition_hash": record.definition_hash,
        "beambench_version": record.beambench_version,
        "beam_version": environment.packages.get("apache-beam"),
        "torch_version": environment.packages.get("torch"),
        "python_version": environment.python.version,
        "cpu": environment.machine.cpu_model,
        "machine_digest": environment.machine_digest,
        "environment_digest": environment.fingerprint_digest,
        "commit": next(filter(None, commits), None),
        "input_kind": record.input.kind,
        "input_count": record.input.count,
        "input_digest": record.input.digest,
        "model": record.model.name,
        "model_weights": record.model.weights,
        "model_digest": record.model.digest,
    }
