"""The machines that a run is projected to: as its definition names them, or as asked for."""

from __future__ import annotations

from beambench.cost.prices.sheet import Sheet, find_machine
from beambench.cost.projection.local_run import LocalRun, copies_of_model
from beambench.cost.projection.model import Fleet
from beambench.cost.request import CostRequest, Source
from beambench.errors import UsageError

GPU_REFUSED = (
    "needs a measurement on that GPU: run it on Dataflow, or plan CPUs with --gpu none and "
    "--machine-type"
)


def planned_fleet(request: CostRequest, source: Source, run: LocalRun, sheet: Sheet) -> Fleet:
    """Return the machines of a plan.

    Raises:
        UsageError: there are none such, or the run says nothing about them.
    """
    cluster = source.cluster
    name = request.machine_type or (cluster.machine_type if cluster else None)
    workers = request.workers or (cluster.workers if cluster else None)
    if name is None or workers is None:
        raise UsageError(
            f"{source.record.benchmark}: its definition names no cluster: give --machine-type and "
            "--workers"
        )
    machine = find_machine(name, sheet)
    if machine.gpus:
        raise UsageError(
            f"run {source.record.run_id}: {name} has a GPU, and a plan with it {GPU_REFUSED}"
        )
    processes = request.processes or (cluster.processes if cluster else None) or machine.vcpus
    if name not in sheet.machines and processes not in (1, machine.vcpus):
        raise UsageError(
            f"--processes {processes}: Dataflow starts one for each vCPU ({machine.vcpus} of "
            f"{name}), or 1"
        )
    if processes > 1 and run.model_runs == "server":
        raise UsageError(
            f"run {source.record.run_id}: {processes} processes of {name} would share one model "
            "server, and one process had it here: plan --processes 1"
        )
    return Fleet(
        name=name,
        machine=machine,
        workers=workers,
        processes=processes,
        copies=copies_of_model(source.record, processes),
        disk_gb=cluster.disk_gb if cluster else None,
        ssd=cluster is not None and cluster.disk_type == "pd-ssd",
    )
