"""What usage costs by a price sheet: every line of it, and what is unknown named."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Context, Decimal

from pydantic import Field

from beambench.cost.prices.sheet import (
    UNITS,
    Machine,
    Mode,
    OwnMachine,
    Resource,
    Sheet,
    machine_types,
)
from beambench.definition.schema import Cluster
from beambench.record.run_record import Part, Usage

SECONDS_PER_HOUR = 3600
SMALLEST = Decimal("0.000001")
"""Grain of the money in a document."""
ANY_AMOUNT = Context(prec=400)
"""Holds the digits of the greatest float: `quantize` fails where they do not fit."""

AMOUNTS: dict[Resource, str] = {
    "vcpu": "vcpu_seconds",
    "memory": "memory_gb_seconds",
    "disk": "disk_gb_seconds",
    "ssd": "ssd_gb_seconds",
    "gpu": "gpu_seconds",
    "shuffle": "shuffle_gb",
    "streaming": "streaming_gb",
}
"""The amount of a `Usage` that each resource is billed by."""
IN_THE_HOUR = frozenset({"vcpu", "memory", "disk", "ssd", "gpu"})
"""What the hour of a machine pays for, as far as the sheet has no rate of its own for it."""
SERVICE_OF: dict[Mode, Resource] = {"batch": "shuffle", "spot": "shuffle", "streaming": "streaming"}
"""The service that moves the data of a job."""
WITHOUT = "0: defined without"


def rounded(money: Decimal) -> Decimal:
    """Round money to a millionth, however much it is."""
    return money.quantize(SMALLEST, context=ANY_AMOUNT)


class Line(Part):
    """One line of an estimate.

    Attributes:
        resource: what is paid for: a resource, or `machine`.
        amount: in `unit`; None: unknown.
        rate: price of one unit; None: unknown.
        sku: the line of the price list.
        money: amount × rate; None: unknown.
        unknown: why the money is unknown.
    """

    resource: str
    amount: float | None
    unit: str
    rate: Decimal | None = None
    sku: str | None = None
    source: str | None = None
    money: Decimal | None = None
    unknown: str | None = None


class Cost(Part):
    """What usage costs.

    Attributes:
        total: sum of the lines whose money is known: a lower bound ("at least") unless complete.
        complete: whether the money of every line is known.
    """

    currency: str
    total: Decimal
    complete: bool
    lines: list[Line] = Field(min_length=1)

    def rounded(self) -> Cost:
        """Return the same with its money rounded to a millionth, as documents show it."""
        lines = [
            line.model_copy(update={"money": rounded(line.money)})
            if line.money is not None
            else line
            for line in self.lines
        ]
        return self.model_copy(update={"total": rounded(self.total), "lines": lines})


def estimate(
    usage: Usage,
    sheet: Sheet,
    *,
    mode: Mode,
    gpu: str | None = None,
    machine: str | None = None,
) -> Cost:
    """Price what was used.

    Args:
        usage: amounts; an amount that is None makes its line unknown, never 0.
        sheet: the prices.
        mode: how the job is billed.
        gpu: type of the GPUs whose seconds were counted.
        machine: machine type of the workers. A sheet that has it under `machines` prices its hour.
    """
    lines: list[Line] = []
    own = sheet.machines.get(machine or "")
    if own is not None:
        lines.append(_hours(usage, machine or "", own, mode))
    lines += _resources(usage, sheet, mode, gpu, by_hour=own is not None)
    known = [line.money for line in lines if line.money is not None]
    return Cost(
        currency=sheet.currency,
        total=sum(known, Decimal(0)),
        complete=len(known) == len(lines),
        lines=lines,
    )


def mode_of_job(scenario: str, *, spot: bool) -> Mode:
    """Return how Dataflow bills a job: FlexRS is for batch jobs only."""
    return "streaming" if scenario == "streaming" else "spot" if spot else "batch"


def machine_of(cluster: Cluster, sheet: Sheet) -> Machine | None:
    """Return the shape of the workers, None if neither the sheet nor Compute Engine has it."""
    return sheet.machines.get(cluster.machine_type) or machine_types().get(cluster.machine_type)


def gpu_of(cluster: Cluster, machine: Machine | None) -> tuple[str | None, int]:
    """Return type and number of the GPUs of a worker: attached to it, or part of its machine."""
    if cluster.accelerator is not None:
        return cluster.accelerator.type, cluster.accelerator.count
    return (machine.gpu, machine.gpus) if machine is not None else (None, 0)


def cost_of_job(
    usage: Usage, cluster: Cluster, mode: Mode, sheet: Sheet, gpu: str | None = None
) -> tuple[Cost, dict[str, str]]:
    """Price what one job on a cluster used.

    Args:
        usage: as the service counted it.
        cluster: that the job was defined with.
        mode: see `mode_of_job`.
        sheet: the prices; `packaged_sheets` has them by the region of the cluster.
        gpu: type of GPU at whose price the time of GPUs counts; None: that of the cluster.

    Returns:
        The cost, and for each amount that was filled in because the service does not count what
        the job did not have: why.
    """
    machine = machine_of(cluster, sheet)
    own_gpu, gpus = gpu_of(cluster, machine)
    added: dict[str, tuple[float, str]] = {}
    if usage.gpu_seconds is None and machine is not None and not gpus:
        added["gpu_seconds"] = 0, WITHOUT
    other_disk = "disk_gb_seconds" if cluster.disk_type == "pd-ssd" else "ssd_gb_seconds"
    if getattr(usage, other_disk) is None:
        added[other_disk] = 0, WITHOUT
    vcpu_seconds = usage.vcpu_seconds
    if (
        isinstance(machine, OwnMachine)
        and usage.worker_seconds is None
        and vcpu_seconds is not None
    ):
        added["worker_seconds"] = vcpu_seconds / machine.vcpus, "vcpu_seconds ÷ vCPUs of a machine"
    cost = estimate(
        usage.model_copy(update={name: amount for name, (amount, _) in added.items()}),
        sheet,
        mode=mode,
        gpu=gpu or own_gpu,
        machine=cluster.machine_type,
    )
    return cost, {name: why for name, (_, why) in added.items()}


def _hours(usage: Usage, name: str, machine: OwnMachine, mode: Mode) -> Line:
    rate = machine.spot_per_hour if mode == "spot" else machine.per_hour
    return _line(
        "machine",
        usage.worker_seconds,
        "machine h",
        rate,
        name,
        no_rate="the sheet has no spot_per_hour for it",
    )


def _resources(
    usage: Usage, sheet: Sheet, mode: Mode, gpu: str | None, *, by_hour: bool
) -> Iterator[Line]:
    for resource, field in AMOUNTS.items():
        amount: float | None = getattr(usage, field)
        kind = gpu if resource == "gpu" else None
        rate = sheet.rate(resource, mode, kind)
        if rate is None and by_hour and resource in IN_THE_HOUR:
            continue
        moves_data = resource in ("shuffle", "streaming")
        if moves_data and resource != SERVICE_OF[mode] and not amount:
            continue
        name = f"{resource} {kind}" if kind else resource
        no_rate = f"sheet {sheet.name} has no rate of {name} for {mode}"
        if resource == "gpu" and gpu is None:
            no_rate = "the type of GPU is not known"
        yield _line(
            name,
            amount,
            UNITS[resource],
            rate.price if rate else None,
            rate.sku if rate else None,
            source=rate.source if rate else None,
            no_rate=no_rate,
        )


def _line(
    name: str,
    amount: float | None,
    unit: str,
    rate: Decimal | None,
    sku: str | None,
    *,
    no_rate: str,
    source: str | None = None,
) -> Line:
    """Price one amount: seconds where the unit is an hour, else as it stands."""
    if amount is None:
        return Line(
            resource=name,
            amount=None,
            unit=unit,
            rate=rate,
            sku=sku,
            source=source,
            unknown="its usage is not known",
        )
    units = Decimal(amount) / (SECONDS_PER_HOUR if unit.endswith(" h") else 1)
    if rate is None and amount:
        return Line(resource=name, amount=float(units), unit=unit, unknown=no_rate)
    return Line(
        resource=name,
        amount=float(units),
        unit=unit,
        rate=rate,
        sku=sku,
        source=source,
        money=units * rate if rate is not None else Decimal(0),
    )
