"""What a job that has not run yet may cost, for a dry run."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field

from beambench.cost.estimate import (
    SECONDS_PER_HOUR,
    cost_of_job,
    gpu_of,
    machine_of,
    mode_of_job,
)
from beambench.cost.sheet import Sheet, packaged_sheets
from beambench.definition.library import Library
from beambench.definition.schema import Cluster, Definition
from beambench.errors import BeambenchError
from beambench.experiments.cost import Money, cost
from beambench.experiments.cost_request import CostRequest
from beambench.record.run_record import Part, Usage
from beambench.store.run_store import RunStore


class Outlook(Part):
    """What a job that has not run yet may cost.

    Attributes:
        workers: that `hour` is for.
        elements: that `total` is for.
        hour: of all workers, without what they send through the shuffle; None: not known.
        total: of the elements, projected from run `run_id`; None: not known.
        unknown: why that is so.
    """

    currency: str | None = None
    prices: str | None = None
    workers: int
    elements: int | None = None
    hour: Decimal | None = None
    total: Money | None = None
    run_id: str | None = None
    unknown: list[str] = Field(default_factory=list)


def outlook(
    definition: Definition, variant: str, elements: int | None, library: Library, runs: RunStore
) -> Outlook:
    """Say what a job of a benchmark may cost, as far as prices and a local run tell."""
    cluster = definition.cluster
    assert cluster is not None, "a job has a cluster"
    sheet = packaged_sheets().get(cluster.region)
    if sheet is None:
        problem = f"there is no price sheet of region {cluster.region}"
        return Outlook(workers=cluster.workers, unknown=[problem])
    hour, unknown = _hour_of(definition, cluster, sheet), list[str]()
    if hour is None:
        unknown.append(f"an hour of {cluster.machine_type}: parts of it have no price")
    known = {"currency": sheet.currency, "prices": f"{sheet.name}, {sheet.date}"}
    found = Outlook(workers=cluster.workers, hour=hour, unknown=unknown, **known)
    if definition.model.device == "gpu":
        problem = "the whole job: no run on this machine tells how long a GPU of the cluster takes"
        return found.model_copy(update={"unknown": [*unknown, problem]})
    request = CostRequest(
        what=definition.name, variant=variant, elements=elements, definition=definition
    )
    try:
        report = cost(request, library, runs)
    except BeambenchError as error:
        return found.model_copy(update={"unknown": [*unknown, str(error)]})
    return found.model_copy(
        update={"total": report.total, "elements": report.elements, "run_id": report.run_id}
    )


def _hour_of(definition: Definition, cluster: Cluster, sheet: Sheet) -> Decimal | None:
    """Return the price of an hour of all workers."""
    machine = machine_of(cluster, sheet)
    if machine is None:
        return None
    seconds = cluster.workers * SECONDS_PER_HOUR
    disk = seconds * cluster.disk_gb
    usage = Usage(
        source="projection",
        vcpu_seconds=seconds * machine.vcpus,
        memory_gb_seconds=seconds * machine.memory_gb,
        disk_gb_seconds=0 if cluster.disk_type == "pd-ssd" else disk,
        ssd_gb_seconds=disk if cluster.disk_type == "pd-ssd" else 0,
        gpu_seconds=seconds * gpu_of(cluster, machine)[1],
        shuffle_gb=0,
        streaming_gb=0,
        worker_seconds=seconds,
    )
    mode = mode_of_job(definition.scenario, spot=cluster.spot)
    found, _ = cost_of_job(usage, cluster, mode, sheet)
    return found.rounded().total if found.complete else None
