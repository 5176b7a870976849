"""A run projected to machines: checked, carried over, with all that this rests on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from beambench.cost.assumption import Assumption
from beambench.cost.prices.sheet import Sheet
from beambench.cost.projection.basis import measured_assumptions, notes_of, planned_assumptions
from beambench.cost.projection.factors import chosen_factors
from beambench.cost.projection.local_run import LocalRun, measure
from beambench.cost.projection.model import Factors, Fleet, Measurement, Projection, project
from beambench.cost.projection.plan import planned_fleet
from beambench.cost.projection.refusals import (
    check_instructions,
    check_memory,
    check_projectable,
    check_threads,
)
from beambench.cost.request import CostRequest, Source, benchmark_elements, mode_of
from beambench.errors import UsageError
from beambench.record.run_record import Usage


@dataclass(frozen=True)
class RunProjection:
    """A projection, with what it is for and what it rests on."""

    fleet: Fleet
    measured: Measurement
    elements: int
    projection: Projection
    assumptions: list[Assumption]
    notes: list[str]


def project_run(
    request: CostRequest,
    source: Source,
    sheet: Sheet,
    run: LocalRun,
    alternatives: Iterable[LocalRun],
) -> RunProjection:
    """Project a run to the machines that its definition names, or that were asked for.

    Args:
        request: what was asked for.
        source: the run and the definition.
        sheet: which machines there are besides those of Compute Engine.
        run: that of the source, with its workload.
        alternatives: other runs of the benchmark on this machine, newest first: one of them is
            named in place of a run that cannot be carried over. Read only then.

    Raises:
        UsageError: the plan cannot be right, or the run says nothing about it.
        RunError: the run measured nothing that could be projected.
    """
    fleet, measured, elements, factors, assumed = _numbers(
        request, source, sheet, run, alternatives
    )
    projection = project(measured, fleet, factors, elements)
    assumptions = [
        *measured_assumptions(source.record, measured, fleet, projection),
        *planned_assumptions(request, source, run, measured, fleet, mode_of(request, source)),
        *assumed,
    ]
    notes = notes_of(source, measured)
    return RunProjection(fleet, measured, elements, projection, assumptions, notes)


def projected_usage(
    request: CostRequest, source: Source, sheet: Sheet, run: LocalRun
) -> tuple[Fleet, Usage]:
    """Return the machines, and what is expected to be used of them, without what it rests on.

    Raises as `project_run`.
    """
    fleet, measured, elements, factors, _ = _numbers(request, source, sheet, run, ())
    return fleet, project(measured, fleet, factors, elements).usage["expected"]


def _numbers(
    request: CostRequest,
    source: Source,
    sheet: Sheet,
    run: LocalRun,
    alternatives: Iterable[LocalRun],
) -> tuple[Fleet, Measurement, int, Factors, list[Assumption]]:
    """Check that a run can be carried over; return all that its projection is made from."""
    record = source.record
    check_projectable(request, source, run)
    fleet = planned_fleet(request, source, run, sheet)
    measured = measure(run)
    check_instructions(run, fleet, alternatives)
    check_threads(run, measured, fleet)
    check_memory(record, measured, fleet, sheet)
    elements = benchmark_elements(request, source)
    if elements is None:
        raise UsageError(f"{record.benchmark}: has no full profile: give --elements")
    factors, assumed = chosen_factors(request, measured, fleet, elements)
    return fleet, measured, elements, factors, assumed
