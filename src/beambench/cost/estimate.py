"""What usage costs by a price sheet: every line of it, and what is unknown named."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from pydantic import Field

from beambench.cost.sheet import UNITS, Mode, OwnMachine, Resource, Sheet
from beambench.record.run_record import Part, Usage

SECONDS_PER_HOUR = 3600
SMALLEST = Decimal("0.000001")
"""Grain of the money in a document."""

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
            line.model_copy(update={"money": line.money.quantize(SMALLEST)})
            if line.money is not None
            else line
            for line in self.lines
        ]
        return self.model_copy(update={"total": self.total.quantize(SMALLEST), "lines": lines})


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
        if rate is None and by_hour and (resource in IN_THE_HOUR or amount is None):
            continue  # in the hour, or a service that machines of one's own do not have
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
