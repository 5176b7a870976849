"""What a projection costs: its usage at the low, the expected and the high end."""

from __future__ import annotations

from beambench.cost.prices.estimate import estimate
from beambench.cost.prices.sheet import Sheet
from beambench.cost.projection.project import RunProjection
from beambench.cost.report import ClusterNote, CostReport, Priced, make_report
from beambench.cost.request import CostRequest, Source, mode_of


def report_of_projection(
    request: CostRequest, source: Source, sheet: Sheet, projected: RunProjection
) -> CostReport:
    """Price a projected run; raises UsageError if it cannot be billed as asked for."""
    mode, fleet = mode_of(request, source), projected.fleet
    costs = {
        bound: estimate(usage, sheet, mode=mode, machine=fleet.name)
        for bound, usage in projected.projection.usage.items()
    }
    priced = Priced(
        kind="projection",
        n=len(projected.measured.throughputs),
        mode=mode,
        cluster=ClusterNote(
            machine_type=fleet.name,
            vcpus=fleet.machine.vcpus,
            memory_gb=fleet.machine.memory_gb,
            workers=fleet.workers,
            processes=fleet.processes,
            threads=projected.measured.threads,
            gpu=None,
            gpus=0,
            disk_gb=fleet.disk_gb,
            disk_type="pd-ssd" if fleet.ssd else "pd-standard",
        ),
        elements=projected.elements,
        projection=projected.projection,
        costs=costs,
        per_thousand=None,
        assumptions=projected.assumptions,
        notes=projected.notes,
    )
    return make_report(request, source, sheet, priced)
