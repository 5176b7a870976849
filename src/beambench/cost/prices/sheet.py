"""Price sheets and machine shapes: their schema, and reading them. They are data, nothing runs."""

from __future__ import annotations

import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from beambench.definition.schema import PositiveInt
from beambench.definition.section import Section
from beambench.definition.validation import describe
from beambench.definition.yaml_file import parse, read_text
from beambench.errors import UsageError, nearest

SHEETS = Path(__file__).parent / "sheets"
MACHINES = Path(__file__).parent / "machines.yaml"

Mode = Literal["batch", "streaming", "spot"]
"""How a job is billed. `spot`: a batch job of FlexRS, whose workers may be taken away."""
Resource = Literal["vcpu", "memory", "disk", "ssd", "gpu", "shuffle", "streaming"]
UNITS: dict[Resource, str] = {
    "vcpu": "vCPU h",
    "memory": "GB h",
    "disk": "GB h",
    "ssd": "GB h",
    "gpu": "GPU h",
    "shuffle": "GB",
    "streaming": "GB",
}


def _decimal(value: object) -> Decimal:
    """Take a number as it is written: 0.056 is not the binary fraction next to it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("expected a number")
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError("expected a number") from None


def _date(value: str) -> str:
    try:
        datetime.date.fromisoformat(value)
    except ValueError:
        raise ValueError("expected a date such as 2026-01-31") from None
    return value


Price = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0, le=1e9, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]
Content = TypeVar("Content", bound=BaseModel)


class Rate(Section):
    """The price of one unit of a resource.

    Attributes:
        modes: the jobs that it holds for.
        sku: name or number of the line in the price list.
        gpu: type of GPU, with `resource: gpu`.
        source: where the rate was read, if elsewhere than the rest of the sheet.
    """

    resource: Resource
    unit: str
    price: Price
    modes: Annotated[list[Mode], Field(min_length=1)]
    sku: Text
    gpu: str | None = None
    source: Text | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Rate:
        if self.unit != UNITS[self.resource]:
            expected = UNITS[self.resource]
            raise ValueError(f"{self.resource} is priced by `unit: {expected}`, not {self.unit!r}")
        if (self.resource == "gpu") != (self.gpu is not None):
            raise ValueError("`gpu` is needed with resource: gpu, and only there")
        return self


class Machine(Section):
    """The shape of a machine.

    Attributes:
        memory_gb: GB of 2**30 bytes.
        threads_per_core: vCPUs that share a core; None: unknown.
        instructions: what its CPU is sure to have, as Linux names them; None: unknown.
        gpu, gpus: what is part of the machine.
    """

    vcpus: Annotated[PositiveInt, Field(le=4096)]
    memory_gb: Annotated[float, Field(gt=0, le=1e6)]
    threads_per_core: Literal[1, 2] | None = None
    instructions: list[str] | None = None
    gpu: str | None = None
    gpus: Annotated[int, Field(ge=0)] = 0


class OwnMachine(Machine):
    """A machine with a price for the hour: of its CPUs, memory, disks and GPUs together."""

    per_hour: Price
    spot_per_hour: Price | None = None


class Sheet(Section):
    """Prices of one service in one region on one day."""

    name: Text
    service: Text
    region: Text
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    source: Text
    date: Annotated[Text, BeforeValidator(lambda value: _date(str(value)))]
    date_means: str = ""
    rates: list[Rate] = Field(default_factory=list)
    machines: dict[str, OwnMachine] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _unambiguous(self) -> Sheet:
        if not self.rates and not self.machines:
            raise ValueError("a sheet needs `rates` or `machines`")
        seen = set()
        for rate in self.rates:
            for mode in rate.modes:
                key = (rate.resource, rate.gpu, mode)
                if key in seen:
                    resource = rate.gpu or rate.resource
                    raise ValueError(f"rates: {resource} has two prices for {mode}: keep one")
                seen.add(key)
        return self

    def rate(self, resource: Resource, mode: Mode, gpu: str | None = None) -> Rate | None:
        """Return the rate of a resource, or None: then its price is unknown."""
        for rate in self.rates:
            if rate.resource == resource and mode in rate.modes and rate.gpu == gpu:
                return rate
        return None

    def gpus(self) -> list[str]:
        """Return the types of GPU that have a price."""
        return sorted({rate.gpu for rate in self.rates if rate.gpu is not None})

    def age_days(self, today: datetime.date) -> int:
        return (today - datetime.date.fromisoformat(self.date)).days


class _Family(Section):
    """Machines that share their CPUs."""

    cpus: str
    instructions: list[str]
    threads_per_core: Literal[1, 2]
    gpu: str | None = None
    machines: dict[str, Machine]


class _Families(Section):
    families: dict[str, _Family]


def load_sheet(path: Path) -> Sheet:
    """Read a price sheet.

    Raises:
        UsageError: it is none; the message names the file and the key.
    """
    return _load(path, Sheet, "price sheet")


def _load(path: Path, model: type[Content], kind: str) -> Content:
    content = parse(read_text(path, kind), str(path))
    if not isinstance(content, dict):
        raise UsageError(f"{path}: expected `key: value` lines of a {kind}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{path}: {describe(error, model)}") from None


@cache
def packaged_sheets() -> dict[str, Sheet]:
    """Return the sheets that come with beambench, by region."""
    sheets = [load_sheet(path) for path in sorted(SHEETS.glob("*.yaml"))]
    return {sheet.region: sheet for sheet in sheets}


def sheet_of(region: str) -> Sheet:
    """Return the sheet of a region; raises UsageError with those that there are."""
    sheets = packaged_sheets()
    if region not in sheets:
        raise UsageError(
            f"no price sheet of region {region!r}{nearest(region, list(sheets))}; there is: "
            f"{', '.join(sheets)}; give one of your own with --sheet"
        )
    return sheets[region]


@cache
def machine_types() -> dict[str, Machine]:
    """Return the shapes of Compute Engine's machine types by name."""
    families = _load(MACHINES, _Families, "list of machines")
    return {
        name: machine.model_copy(
            update={
                "instructions": family.instructions,
                "threads_per_core": family.threads_per_core,
                "gpu": family.gpu,
            }
        )
        for family in families.families.values()
        for name, machine in family.machines.items()
    }


def find_machine(name: str, sheet: Sheet) -> Machine:
    """Return a machine of the sheet or of Compute Engine.

    Raises:
        UsageError: there is none of that name, or the sheet has no price for it.
    """
    if name in sheet.machines:
        return sheet.machines[name]
    known = machine_types()
    if name not in known:
        every = [*sheet.machines, *known]
        raise UsageError(
            f"machine type {name!r} is not known{nearest(name, every)}: give its vcpus, memory_gb "
            "and per_hour under `machines` of a sheet of your own (--sheet)"
        )
    if not any(rate.resource == "vcpu" for rate in sheet.rates):
        raise UsageError(
            f"sheet {sheet.name} has no price for machine type {name!r}; it has: "
            f"{', '.join(sheet.machines)}"
        )
    return known[name]
