"""What `beambench cost` answers: the document, and how it is made of what was priced."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pydantic import Field

from beambench.cost.assumption import BOUNDS, Assumption
from beambench.cost.prices.estimate import Cost, rounded
from beambench.cost.prices.sheet import Mode, Sheet
from beambench.cost.projection.model import Projection
from beambench.cost.request import CostRequest, Source, benchmark_elements
from beambench.record.run_record import Part

OLD_DAYS = 180
"""Age of a price sheet from which it is pointed out."""
THOUSAND = Decimal(1000)
Kind = Literal["usage", "projection"]
Bound = Literal["low", "expected", "high"]


class SheetNote(Part):
    """The price sheet that was used."""

    name: str
    service: str
    region: str
    currency: str
    source: str
    date: str
    date_means: str
    age_days: int


class ClusterNote(Part):
    """The machines that are priced. ``workers`` of a job are those that it was defined with."""

    machine_type: str
    vcpus: int | None
    memory_gb: float | None
    workers: int
    processes: int | None = None
    threads: int | None = None
    gpu: str | None
    gpus: int
    disk_gb: float | None
    disk_type: str


class Money(Part):
    """An amount of money with its range; ``at_least``: parts of it are unknown, and left out."""

    low: Decimal
    expected: Decimal
    high: Decimal
    at_least: bool

    def times(self, factor: Decimal) -> Money:
        return Money(
            low=self.low * factor,
            expected=self.expected * factor,
            high=self.high * factor,
            at_least=self.at_least,
        )

    def rounded(self) -> Money:
        return self.model_copy(update={bound: rounded(getattr(self, bound)) for bound in BOUNDS})


class CostReport(Part):
    """What `beambench cost --json` prints.

    Attributes:
        kind: `usage`: a service counted what a job used; `projection`: from a run on one machine.
        n: executions behind it.
        elements: that `total` is for; None: unknown.
        cost: line by line. Of a projection at its low, expected and high usage; of a run with
            several jobs the cheapest, the middle and the dearest job.
        unknown: lines whose money is not known, and why.
    """

    schema_version: Literal[1] = 1
    kind: Kind
    benchmark: str
    variant: str
    profile: str
    run_id: str
    n: int
    mode: Mode
    sheet: SheetNote
    cluster: ClusterNote
    elements: int | None
    projection: Projection | None
    cost: dict[Bound, Cost]
    total: Money
    per_thousand: Money | None
    benchmark_elements: int | None
    benchmark_total: Money | None
    unknown: list[str]
    assumptions: list[Assumption] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class Priced:
    """What was priced, for a report. The attributes are those of `CostReport`.

    Attributes:
        per_thousand: the cost of 1,000 elements; None: in proportion to `elements`, if there is a
            projection, else unknown.
    """

    kind: Kind
    n: int
    mode: Mode
    cluster: ClusterNote
    elements: int | None
    projection: Projection | None
    costs: Mapping[Bound, Cost]
    per_thousand: Money | None
    assumptions: Sequence[Assumption]
    notes: Sequence[str]


def make_report(request: CostRequest, source: Source, sheet: Sheet, priced: Priced) -> CostReport:
    """Return the report: totals, the cost of the benchmark, and all that is unknown."""
    record, note = source.record, _sheet_note(sheet, request.today)
    notes = list(priced.notes)
    if note.age_days > OLD_DAYS:
        notes.append(f"the prices are {note.age_days} days old: compare {sheet.source}")
    total = Money(
        low=priced.costs["low"].total,
        expected=priced.costs["expected"].total,
        high=priced.costs["high"].total,
        at_least=not all(cost.complete for cost in priced.costs.values()),
    )
    per_thousand = priced.per_thousand
    if per_thousand is None and priced.projection is not None and priced.elements:
        per_thousand = total.times(THOUSAND / priced.elements)
    elements = benchmark_elements(request, source)
    benchmark = None
    if per_thousand is not None and elements is not None:
        benchmark = per_thousand.times(Decimal(elements) / THOUSAND)
    return CostReport(
        kind=priced.kind,
        benchmark=record.benchmark,
        variant=record.variant,
        profile=record.profile,
        run_id=record.run_id,
        n=priced.n,
        mode=priced.mode,
        sheet=note,
        cluster=priced.cluster,
        elements=priced.elements,
        projection=priced.projection,
        cost={bound: cost.rounded() for bound, cost in priced.costs.items()},
        total=total.rounded(),
        per_thousand=per_thousand.rounded() if per_thousand else None,
        benchmark_elements=elements,
        benchmark_total=benchmark.rounded() if benchmark else None,
        unknown=_unknown(priced.costs.values()),
        assumptions=list(priced.assumptions),
        notes=notes,
    )


def _sheet_note(sheet: Sheet, today: datetime.date) -> SheetNote:
    names = set(SheetNote.model_fields) - {"age_days"}
    copied = {name: getattr(sheet, name) for name in names}
    return SheetNote(age_days=sheet.age_days(today), **copied)


def _unknown(costs: Iterable[Cost]) -> list[str]:
    """Return the lines whose money is unknown, each once, and why."""
    lines = [line for cost in costs for line in cost.lines if line.unknown is not None]
    return list(dict.fromkeys(f"{line.resource}: {line.unknown}" for line in lines))


if __name__ == "__main__":
    import json

    sys.stdout.write(
        json.dumps(CostReport.model_json_schema(mode="serialization"), indent=2) + "\n"
    )
