"""What `beambench cost` was asked for: options, the run that it is about, and the prices."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from beambench.cost.assumption import Range
from beambench.cost.prices.estimate import mode_of_job
from beambench.cost.prices.sheet import Mode, Sheet, load_sheet, sheet_of
from beambench.definition.runners import lookup
from beambench.definition.schema import Cluster, Definition
from beambench.errors import UsageError
from beambench.record.configuration import definition_in, read_configuration
from beambench.record.run_record import RunRecord

NO_GPU = "none"
"""What `--gpu` says for machines without one."""


@dataclass(frozen=True)
class CostRequest:
    """Options of `beambench cost`; None: what definition, run or beambench says.

    Attributes:
        what: a run, a benchmark, or a definition file.
        gpu: type of GPU, or `none`.
        elements: that the cost is given for; None: those of the full profile.
        definition: of the benchmark, where settings make it another than the library's.
        today: day that the age of a price sheet counts to.
    """

    what: str
    variant: str = "stock"
    machine_type: str | None = None
    workers: int | None = None
    processes: int | None = None
    gpu: str | None = None
    region: str | None = None
    spot: bool = False
    elements: int | None = None
    sheet: Path | None = None
    scale: Range | None = None
    parallel_efficiency: Range | None = None
    stragglers: Range | None = None
    worker_start: Range | None = None
    definition: Definition | None = None
    today: datetime.date = field(
        default_factory=lambda: datetime.datetime.now(datetime.timezone.utc).date()
    )


@dataclass(frozen=True)
class Source:
    """A run, and the definition that says where its work is to be done.

    Attributes:
        definition: of the benchmark as it is today, or as it was for a run that was named itself.
        cluster: of that definition.
    """

    record: RunRecord
    definition: Mapping[str, Any]
    cluster: Cluster | None


def is_job(record: RunRecord) -> bool:
    """Tell whether a service counted what a run used."""
    names = (record.runner.requested, record.runner.executed)
    return any(runner is not None and runner.cost == "usage" for runner in map(lookup, names))


def is_local(record: RunRecord) -> bool:
    """Tell whether a run measured its work on this machine, and nothing else."""
    output = read_configuration(record.config).output
    return record.status == "succeeded" and has_known_processes(record) and output is None


def has_known_processes(record: RunRecord) -> bool:
    """Tell whether a run's runner says how many processes shared the work."""
    runner = lookup(record.runner.executed)
    return runner is not None and runner.cost == "projection"


def source_of(record: RunRecord) -> Source:
    """Return a run with the definition that it had.

    Raises:
        UsageError: it had none, or one that cannot be read.
    """
    if record.imported is not None and record.imported.format == "beam":
        raise UsageError(
            f"run {record.run_id}: imported from Beam's rows, which do not say what is needed"
        )
    definition = read_configuration(record.config).definition
    if definition is None:
        raise UsageError(
            f"run {record.run_id}: a pipeline that exists already has no cluster and no proof of "
            "its work: `cost` prices benchmarks"
        )
    try:
        shape = definition.get("cluster")
        cluster = None if shape is None else Cluster.model_validate(shape)
    except ValidationError as error:
        raise UsageError(
            f"run {record.run_id}: its cluster cannot be read: {error.errors()[0]['msg']}"
        ) from None
    return Source(record, definition, cluster)


def differences(source: Source) -> list[str]:
    """Say how the run is unlike the full profile of its benchmark."""
    record, defined, notes = source.record, source.definition, list[str]()
    ran = definition_in(record.config)
    changed = [
        f"{section}.{key}"
        for section in ("model", "input", "batching", "parameters")
        for key in sorted({*ran[section], *defined[section]} - {"weights"})
        if ran[section].get(key) != defined[section].get(key)
    ]
    if changed:
        notes.append(f"the run had other settings than the benchmark: {', '.join(changed)}")
    if record.model.weights != defined["model"]["weights"]:
        notes.append(f"the run had {record.model.weights} weights, which cost the same per element")
    if record.input.kind in ("derived", "synthetic"):
        notes.append(
            f"the run read {record.input.kind} input: elements of another size cost another time"
        )
    return notes


def chosen_sheet(request: CostRequest, source: Source) -> Sheet:
    if request.sheet is None:
        region = request.region or (source.cluster.region if source.cluster else None)
        if region is None:
            raise UsageError(
                f"{source.record.benchmark}: its definition names no cluster: give --region, "
                "--machine-type and --workers"
            )
        return sheet_of(region)
    sheet = load_sheet(request.sheet)
    if request.region is not None and request.region != sheet.region:
        raise UsageError(
            f"--region {request.region}: {request.sheet} is of region {sheet.region}: leave it out"
        )
    return sheet


def mode_of(request: CostRequest, source: Source) -> Mode:
    spot = request.spot or (source.cluster is not None and source.cluster.spot)
    mode = mode_of_job(source.definition.get("scenario", "batch"), spot=spot)
    if spot and mode == "streaming":
        raise UsageError("--spot: Dataflow's FlexRS is for batch jobs only")
    return mode


def benchmark_elements(request: CostRequest, source: Source) -> int | None:
    if request.elements is not None:
        return request.elements
    full = source.definition.get("profiles", {}).get("full")
    return full["limit"] if full else None
