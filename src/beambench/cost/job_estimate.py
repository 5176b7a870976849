"""What a job that has not run yet may cost, for a dry run."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from pydantic import Field

from beambench.cost.prices.estimate import (
    SECONDS_PER_HOUR,
    cost_of_job,
    gpu_of,
    machine_of,
    mode_of_job,
)
from beambench.cost.prices.sheet import Sheet, packaged_sheets
from beambench.cost.report import CostReport, Money
from beambench.definition.schema import Cluster, Definition
from beambench.errors import BeambenchError
from beambench.record.run_record import Part, Usage


class JobEstimate(Part):
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


def estimate_job(definition: Definition, price_run: Callable[[], CostReport]) -> JobEstimate:
    """Say what a job of a benchmark may cost, as far as prices and a run on this machine tell.

    Args:
        definition: of the benchmark; it names a cluster.
        price_run: projects a run on this machine to the cluster; a `BeambenchError` of it says why
            the whole is not known.
    """
    cluster = definition.cluster
    assert cluster is not None, "a job has a cluster"
    sheet = packaged_sheets().get(cluster.region)
    if sheet is None:
        problem = f"there is no price sheet of region {cluster.region}"
        return JobEstimate(workers=cluster.workers, unknown=[problem])
    hour, unknown = _hour_of(definition, cluster, sheet), list[str]()
    if hour is None:
        unknown.append(f"an hour of {cluster.machine_type}: parts of it have no price")
    prices = {"currency": sheet.currency, "prices": f"{sheet.name}, {sheet.date}"}
    estimate = JobEstimate(workers=cluster.workers, hour=hour, unknown=unknown, **prices)
    if definition.model.device == "gpu":
        problem = "the whole job: no run on this machine tells how long a GPU of the cluster takes"
        return estimate.model_copy(update={"unknown": [*unknown, problem]})
    try:
        report = price_run()
    except BeambenchError as error:
        return estimate.model_copy(update={"unknown": [*unknown, str(error)]})
    return estimate.model_copy(
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
    cost, _ = cost_of_job(usage, cluster, mode, sheet)
    return cost.rounded().total if cost.complete else None
