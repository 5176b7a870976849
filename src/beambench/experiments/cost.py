"""`beambench cost`: looks up the run, its benchmark and its workload, and has them priced."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from beambench.cost.job_estimate import JobEstimate, estimate_job
from beambench.cost.job_report import report_of_job
from beambench.cost.prices.estimate import estimate, rounded
from beambench.cost.projection.local_run import LocalRun, WorkloadTraits
from beambench.cost.projection.project import project_run, projected_usage
from beambench.cost.projection_report import report_of_projection
from beambench.cost.report import CostReport
from beambench.cost.request import (
    CostRequest,
    Source,
    benchmark_elements,
    chosen_sheet,
    is_job,
    is_local,
    mode_of,
    source_of,
)
from beambench.definition.library import Library
from beambench.definition.schema import Definition
from beambench.errors import RunError, UsageError, nearest
from beambench.record.configuration import definition_in
from beambench.record.run_record import RunRecord
from beambench.store.run_store import RunStore
from beambench.workloads.base import Workload
from beambench.workloads.registry import load_class, precision_of

RUNS_LOOKED_AT = 20
"""The newest ones, for a run that could be projected in place of one that cannot."""


def price_run(request: CostRequest, library: Library, runs: RunStore) -> CostReport:
    """Price a run.

    Raises:
        UsageError: what is asked for cannot be right.
        RunError: the run measured nothing that could be priced.
    """
    source = find_source(request, library, runs)
    sheet = chosen_sheet(request, source)
    if is_job(source.record):
        return report_of_job(request, source, sheet)
    run, alternatives = _with_workload(source.record), _alternatives(source.record, runs)
    projected = project_run(request, source, sheet, run, alternatives)
    return report_of_projection(request, source, sheet, projected)


class ExpectedCost(NamedTuple):
    """An amount of money, in a currency."""

    amount: Decimal
    currency: str


def expected_cost(record: RunRecord) -> ExpectedCost | None:
    """Return what all elements of a benchmark are expected to cost by a run of it.

    It is what `price_run` says of the run, without the rest of its report. None where the benchmark
    has no full profile, or where a part of the cost is not known.

    Raises:
        UsageError: its definition does not say where it is to be done.
        RunError: the run measured nothing that could be priced.
    """
    request, source = CostRequest(what=record.run_id), source_of(record)
    sheet = chosen_sheet(request, source)
    if is_job(record):
        total = report_of_job(request, source, sheet).benchmark_total
        if total is None or total.at_least:
            return None
        return ExpectedCost(total.expected, sheet.currency)
    if benchmark_elements(request, source) is None:
        return None
    fleet, usage = projected_usage(request, source, sheet, _with_workload(record))
    cost = estimate(usage, sheet, mode=mode_of(request, source), machine=fleet.name)
    return ExpectedCost(rounded(cost.total), sheet.currency) if cost.complete else None


def estimate_job_cost(
    definition: Definition, variant: str, elements: int | None, library: Library, runs: RunStore
) -> JobEstimate:
    """Say what a job of a benchmark may cost, as far as prices and a run on this machine tell."""
    request = CostRequest(
        what=definition.name, variant=variant, elements=elements, definition=definition
    )
    return estimate_job(definition, lambda: price_run(request, library, runs))


def find_source(request: CostRequest, library: Library, runs: RunStore) -> Source:
    """Return the run that is asked for, or the newest of a benchmark that can be projected.

    Raises:
        UsageError: there is no such run or benchmark.
        RunError: the benchmark has no run that can be projected.
    """
    name = library.add_if_file(request.what)
    if name not in library.names():
        return source_of(_stored(request.what, library, runs))
    definition = request.definition or _defined(name, library, request.variant)
    candidates = runs.summaries(name, variant=request.variant)
    usable = (
        record
        for candidate in candidates
        if candidate.imported is None and candidate.model.name == definition.model.name
        for record in [runs.get(candidate.run_id)]
        if record is not None and is_local(record)
    )
    record = next(usable, None)
    if record is None:
        why = f" of model {definition.model.name} that did nothing else" if candidates else ""
        raise RunError(
            f"{name}: no succeeded run of variant {request.variant}{why} on this machine in this "
            f"store: `beambench run {name} --variant {request.variant} --set threads=1`"
        )
    return Source(record, definition.model_dump(mode="json"), definition.cluster)


def _defined(name: str, library: Library, variant: str) -> Definition:
    """Return a benchmark with its largest profile."""
    profiles = library.profiles(name)
    profile = "full" if "full" in profiles else profiles[-1]
    return library.resolve(name, variant=variant, profile=profile).definition


def _stored(wanted: str, library: Library, runs: RunStore) -> RunRecord:
    record = runs.get(wanted) if len(wanted) >= 4 and wanted[0].isdigit() else None
    if record is None:
        raise UsageError(
            f"no run and no benchmark {wanted!r}{nearest(wanted, library.names())}: "
            "`beambench list` shows the benchmarks, `beambench history NAME` the runs of one"
        )
    return record


def _alternatives(record: RunRecord, runs: RunStore) -> Iterator[LocalRun]:
    """Yield runs of a benchmark on this machine, newest first."""
    for other in runs.history(record.benchmark, profile=record.profile, limit=RUNS_LOOKED_AT):
        if is_local(other) and definition_in(other.config):
            yield _with_workload(other)


def _with_workload(record: RunRecord) -> LocalRun:
    """Return a run with what its workload says of itself."""
    definition = definition_in(record.config)
    cls = _class_of(str(definition.get("workload"))) if definition else Workload
    traits = WorkloadTraits(cls.model_runs, cls.float32_option, partial(precision_of, cls))
    return LocalRun(record, traits)


def _class_of(workload: str) -> type[Workload]:
    """Return the class of a record's workload, or what every workload is if it is not here.

    A record may come from elsewhere: no module of a name in it is imported, only what is installed.
    What a workload ``module:Class`` says of itself stands in the record.
    """
    if ":" in workload:
        return Workload
    try:
        return load_class(workload)
    except UsageError:
        return Workload
