"""`beambench cost`: prices what a job on a cluster used, or what a local run foretells."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from pydantic import Field

from beambench.analysis.projection import BOUNDS, Assumption, Projection
from beambench.cost.estimate import Cost, cost_of_job, estimate, gpu_of, machine_of, rounded
from beambench.cost.sheet import Mode, Sheet
from beambench.definition.library import Library
from beambench.definition.schema import Cluster
from beambench.errors import RunError, UsageError, nearest
from beambench.experiments.cost_projection import Foretold, foretell
from beambench.experiments.cost_request import (
    CostRequest,
    Source,
    benchmark_elements,
    chosen_sheet,
    differences,
    find,
    is_job,
    mode_of,
)
from beambench.record.run_record import Part, Repeat
from beambench.store.run_store import RunStore

OLD_DAYS = 180
"""Age of a price sheet from which it is pointed out."""
THOUSAND = Decimal(1000)
Bound = Literal["low", "expected", "high"]


class SheetNote(Part):
    """The price sheet that was used."""

    name: str
    service: str
    region: str
    currency: str
    source: str
    date: str
    date_means: str
    age_days: int


class ClusterNote(Part):
    """The machines that are priced. ``workers`` of a job are those that it was defined with."""

    machine_type: str
    vcpus: int | None
    memory_gb: float | None
    workers: int
    processes: int | None = None
    threads: int | None = None
    gpu: str | None
    gpus: int
    disk_gb: float | None
    disk_type: str


class Money(Part):
    """An amount of money with its range; ``at_least``: parts of it are unknown, and left out."""

    low: Decimal
    expected: Decimal
    high: Decimal
    at_least: bool

    def times(self, factor: Decimal) -> Money:
        return Money(
            low=self.low * factor,
            expected=self.expected * factor,
            high=self.high * factor,
            at_least=self.at_least,
        )

    def rounded(self) -> Money:
        return self.model_copy(update={bound: rounded(getattr(self, bound)) for bound in BOUNDS})


class CostReport(Part):
    """What `beambench cost --json` prints.

    Attributes:
        kind: `usage`: a service counted what a job used; `projection`: from a run on one machine.
        n: executions behind it.
        elements: that `total` is for; None: unknown.
        cost: line by line. Of a projection at its low, expected and high usage; of a run with
            several jobs the cheapest, the middle and the dearest job.
        unknown: lines whose money is not known, and why.
    """

    schema_version: Literal[1] = 1
    kind: Literal["usage", "projection"]
    benchmark: str
    variant: str
    profile: str
    run_id: str
    n: int
    mode: Mode
    sheet: SheetNote
    cluster: ClusterNote
    elements: int | None
    projection: Projection | None
    cost: dict[Bound, Cost]
    total: Money
    per_thousand: Money | None
    benchmark_elements: int | None
    benchmark_total: Money | None
    unknown: list[str]
    assumptions: list[Assumption] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)


def cost(request: CostRequest, library: Library, runs: RunStore) -> CostReport:
    """Price a run.

    Raises:
        UsageError: what is asked for cannot be right.
        RunError: the run measured nothing that could be priced.
    """
    source = find(request, library, runs)
    sheet = chosen_sheet(request, source)
    if is_job(source.record):
        return _of_job(request, source, sheet)
    return _of_projection(request, source, sheet, foretell(request, source, sheet, runs))


def _sheet_note(sheet: Sheet, today: datetime.date) -> SheetNote:
    names = set(SheetNote.model_fields) - {"age_days"}
    found = {name: getattr(sheet, name) for name in names}
    return SheetNote(age_days=sheet.age_days(today), **found)


# --- what a job used ------------------------------------------------------------------------------

OF_PROJECTIONS = (
    "machine_type",
    "workers",
    "processes",
    "scale",
    "parallel_efficiency",
    "stragglers",
    "worker_start",
)


class _Job(NamedTuple):
    """One job, and what it cost."""

    repeat: Repeat
    cost: Cost

    @property
    def elements(self) -> int | None:
        proven = self.repeat.verification
        if self.repeat.status != "succeeded" or proven is None:
            return None
        return proven.elements_in or None


def _of_job(request: CostRequest, source: Source, sheet: Sheet) -> CostReport:
    """Price the usage that the service counted."""
    record, cluster = source.record, _cluster_of_job(request, source)
    mode, assumptions = mode_of(request, source), list[Assumption]()
    shape = machine_of(cluster, sheet)
    own_gpu, gpus = gpu_of(cluster, shape)
    gpu = _gpu_of_job(request, own_gpu, sheet, assumptions)
    jobs, added = list[_Job](), dict[str, str]()
    for repeat in record.repeats:
        if repeat.usage is not None:
            money, filled_in = cost_of_job(repeat.usage, cluster, mode, sheet, gpu)
            jobs.append(_Job(repeat, money))
            added |= filled_in
    assumptions += [Assumption.said(name, "definition", why) for name, why in added.items()]
    if not jobs:
        raise RunError(f"run {record.run_id}: the service told nothing of what it used")
    if request.spot and not cluster.spot:
        text = "the same usage at the rates of FlexRS"
        assumptions.append(Assumption.said("spot", "asked", text))
    counted = [job for job in jobs if job.repeat.status == "succeeded"] or jobs
    counted.sort(key=lambda job: (job.cost.total, job.repeat.index))
    middle = counted[(len(counted) - 1) // 2]
    if middle.elements not in (None, benchmark_elements(request, source)):
        text = "the cost of other elements is in proportion, the start of workers included"
        assumptions.append(Assumption.said("elements", "assumed", text))
    return _report(
        source,
        request,
        sheet,
        kind="usage",
        n=len(counted),
        mode=mode,
        cluster=ClusterNote(
            machine_type=cluster.machine_type,
            vcpus=shape.vcpus if shape else None,
            memory_gb=shape.memory_gb if shape else None,
            workers=cluster.workers,
            gpu=gpu,
            gpus=gpus,
            disk_gb=cluster.disk_gb,
            disk_type=cluster.disk_type,
        ),
        elements=middle.elements,
        projection=None,
        costs={"low": counted[0].cost, "expected": middle.cost, "high": counted[-1].cost},
        per_thousand=_per_thousand(counted, middle),
        assumptions=assumptions,
        notes=[*_job_notes(source, jobs, sheet), *differences(source)],
    )


def _job_notes(source: Source, jobs: Sequence[_Job], sheet: Sheet) -> list[str]:
    """Say what the total is without, and where it is of another region."""
    notes, costs = list[str](), {job.repeat.index: job.cost for job in jobs}
    for repeat in source.record.repeats:
        what = f"repeat {repeat.index} {repeat.status.replace('_', ' ')}, and"
        money = costs.get(repeat.index)
        if money is None:
            notes.append(f"{what} the service told nothing of what it used")
        elif repeat.status != "succeeded":
            least = "" if money.complete else "at least "
            notes.append(f"{what} cost {least}{money.total:.4f} {money.currency}")
    if source.cluster is not None and source.cluster.region != sheet.region:
        notes.append(
            f"the job ran in {source.cluster.region}, the prices are those of {sheet.region}"
        )
    return notes


def _per_thousand(jobs: Sequence[_Job], middle: _Job) -> Money | None:
    """Return the cost of 1,000 elements, unknown unless every job says how many it did."""
    rates = [job.cost.total / job.elements * THOUSAND for job in jobs if job.elements]
    if len(rates) < len(jobs):
        return None
    return Money(
        low=min(rates),
        expected=rates[jobs.index(middle)],
        high=max(rates),
        at_least=not all(job.cost.complete for job in jobs),
    )


def _cluster_of_job(request: CostRequest, source: Source) -> Cluster:
    run_id = source.record.run_id
    for option in OF_PROJECTIONS:
        if getattr(request, option) is not None:
            raise UsageError(
                f"--{option.replace('_', '-')} goes with projections: run {run_id} ran on "
                "Dataflow, and what it used is known"
            )
    if source.cluster is None:
        raise RunError(f"run {run_id}: its record names no cluster")
    return source.cluster


def _gpu_of_job(
    request: CostRequest, own: str | None, sheet: Sheet, assumptions: list[Assumption]
) -> str | None:
    """Return the type of GPU whose price is taken."""
    if request.gpu is None or request.gpu == own:
        return own
    known = sheet.gpus()
    if request.gpu not in known:
        raise UsageError(
            f"--gpu {request.gpu}: sheet {sheet.name} has no price for it"
            f"{nearest(request.gpu, known)}; it has: {', '.join(known) or 'none'}"
        )
    text = f"the time of {own or 'no GPU'} at the price of {request.gpu}"
    assumptions.append(Assumption.said("gpu", "asked", text))
    return request.gpu


# --- what a run foretells ------------------------------------------------------------------------


def _of_projection(
    request: CostRequest, source: Source, sheet: Sheet, foretold: Foretold
) -> CostReport:
    mode, fleet = mode_of(request, source), foretold.fleet
    costs: dict[Any, Cost] = {
        bound: estimate(usage, sheet, mode=mode, machine=fleet.name)
        for bound, usage in foretold.projection.usage.items()
    }
    return _report(
        source,
        request,
        sheet,
        kind="projection",
        n=len(foretold.measured.throughputs),
        mode=mode,
        cluster=_fleet_note(foretold),
        elements=foretold.elements,
        projection=foretold.projection,
        costs=costs,
        per_thousand=None,
        assumptions=foretold.assumptions,
        notes=foretold.notes,
    )


def _fleet_note(foretold: Foretold) -> ClusterNote:
    fleet = foretold.fleet
    return ClusterNote(
        machine_type=fleet.name,
        vcpus=fleet.machine.vcpus,
        memory_gb=fleet.machine.memory_gb,
        workers=fleet.workers,
        processes=fleet.processes,
        threads=foretold.measured.threads,
        gpu=None,
        gpus=0,
        disk_gb=fleet.disk_gb,
        disk_type="pd-ssd" if fleet.ssd else "pd-standard",
    )


# --- the report -----------------------------------------------------------------------------------


def _report(
    source: Source,
    request: CostRequest,
    sheet: Sheet,
    *,
    kind: Literal["usage", "projection"],
    n: int,
    mode: Mode,
    cluster: ClusterNote,
    elements: int | None,
    projection: Projection | None,
    costs: dict[Any, Cost],
    per_thousand: Money | None,
    assumptions: Sequence[Assumption],
    notes: list[str],
) -> CostReport:
    record, note = source.record, _sheet_note(sheet, request.today)
    if note.age_days > OLD_DAYS:
        notes = [*notes, f"the prices are {note.age_days} days old: compare {sheet.source}"]
    total = Money(
        **{bound: costs[bound].total for bound in BOUNDS},
        at_least=not all(one.complete for one in costs.values()),
    )
    if per_thousand is None and projection is not None and elements:
        per_thousand = total.times(THOUSAND / elements)
    wanted = benchmark_elements(request, source)
    benchmark = None
    if per_thousand is not None and wanted is not None:
        benchmark = per_thousand.times(Decimal(wanted) / THOUSAND)
    unknown = {
        f"{line.resource}: {line.unknown}": None
        for one in costs.values()
        for line in one.lines
        if line.unknown is not None
    }
    return CostReport(
        kind=kind,
        benchmark=record.benchmark,
        variant=record.variant,
        profile=record.profile,
        run_id=record.run_id,
        n=n,
        mode=mode,
        sheet=note,
        cluster=cluster,
        elements=elements,
        projection=projection,
        cost={bound: one.rounded() for bound, one in costs.items()},
        total=total.rounded(),
        per_thousand=per_thousand.rounded() if per_thousand else None,
        benchmark_elements=wanted,
        benchmark_total=benchmark.rounded() if benchmark else None,
        unknown=list(unknown),
        assumptions=list(assumptions),
        notes=notes,
    )


if __name__ == "__main__":
    import json

    sys.stdout.write(
        json.dumps(CostReport.model_json_schema(mode="serialization"), indent=2) + "\n"
    )
