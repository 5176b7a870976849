"""What jobs on a cluster cost, by the usage that the service counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from beambench.cost.assumption import Assumption
from beambench.cost.prices.estimate import Cost, cost_of_job, gpu_of, machine_of
from beambench.cost.prices.sheet import Mode, Sheet
from beambench.cost.report import THOUSAND, ClusterNote, CostReport, Money, Priced, make_report
from beambench.cost.request import (
    CostRequest,
    Source,
    benchmark_elements,
    differences,
    mode_of,
)
from beambench.definition.schema import Cluster
from beambench.errors import RunError, UsageError, nearest
from beambench.record.run_record import Repeat

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


def report_of_job(request: CostRequest, source: Source, sheet: Sheet) -> CostReport:
    """Price the usage that the service counted.

    Raises:
        UsageError: an option does not go with a job.
        RunError: the service told nothing of what the jobs used.
    """
    cluster = _cluster_of_job(request, source)
    mode, assumptions = mode_of(request, source), list[Assumption]()
    shape = machine_of(cluster, sheet)
    own_gpu, gpus = gpu_of(cluster, shape)
    gpu = _gpu_of_job(request, own_gpu, sheet, assumptions)
    jobs = _priced_jobs(source, cluster, mode, sheet, gpu, assumptions)
    if request.spot and not cluster.spot:
        text = "the same usage at the rates of FlexRS"
        assumptions.append(Assumption.said("spot", "asked", text))
    counted = [job for job in jobs if job.repeat.status == "succeeded"] or jobs
    counted.sort(key=lambda job: (job.cost.total, job.repeat.index))
    middle = counted[(len(counted) - 1) // 2]
    if middle.elements not in (None, benchmark_elements(request, source)):
        text = "the cost of other elements is in proportion, the start of workers included"
        assumptions.append(Assumption.said("elements", "assumed", text))
    priced = Priced(
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
    return make_report(request, source, sheet, priced)


def _priced_jobs(
    source: Source,
    cluster: Cluster,
    mode: Mode,
    sheet: Sheet,
    gpu: str | None,
    assumptions: list[Assumption],
) -> list[_Job]:
    """Return what each job cost that the service told the usage of."""
    jobs, added = list[_Job](), dict[str, str]()
    for repeat in source.record.repeats:
        if repeat.usage is not None:
            money, filled_in = cost_of_job(repeat.usage, cluster, mode, sheet, gpu)
            jobs.append(_Job(repeat, money))
            added |= filled_in
    if not jobs:
        raise RunError(f"run {source.record.run_id}: the service told nothing of what it used")
    assumptions += [Assumption.said(name, "definition", why) for name, why in added.items()]
    return jobs


def _job_notes(source: Source, jobs: Sequence[_Job], sheet: Sheet) -> list[str]:
    """Say what the total is without, and where it is of another region."""
    notes, costs = list[str](), {job.repeat.index: job.cost for job in jobs}
    for repeat in source.record.repeats:
        ending = f"repeat {repeat.index} {repeat.status.replace('_', ' ')}, and"
        money = costs.get(repeat.index)
        if money is None:
            notes.append(f"{ending} the service told nothing of what it used")
        elif repeat.status != "succeeded":
            least = "" if money.complete else "at least "
            notes.append(f"{ending} cost {least}{money.total:.4f} {money.currency}")
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
