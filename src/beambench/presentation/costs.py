"""What a run costs, line by line, and what that rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from beambench.presentation.layout import Page, TableColumn, escape
from beambench.presentation.values import show_value

if TYPE_CHECKING:  # the store and the record are slow to import, and some verbs need neither
    from decimal import Decimal

    from beambench.cost.assumption import Assumption, Range
    from beambench.cost.prices.estimate import Cost, Line
    from beambench.cost.report import CostReport, Money

SMALL_MONEY = 0.001


def print_cost(report: CostReport) -> None:
    """Print what a run costs, line by line, and all that the number rests on."""
    out = Page()
    cluster, sheet = report.cluster, report.sheet
    shape = "" if cluster.vcpus is None else f" ({cluster.vcpus} vCPU, {cluster.memory_gb:g} GB)"
    gpus = f" + {cluster.gpus} × {cluster.gpu}" if cluster.gpu and cluster.gpus else ""
    origin = "projected from" if report.kind == "projection" else "of the usage of"
    out.print(
        f"[bold]{escape(report.benchmark)}[/bold]  variant {escape(report.variant)}: cost {origin} "
        f"run {escape(report.run_id)} (profile {escape(report.profile)}, n = {report.n})"
    )
    out.print(
        escape(
            f"on {cluster.workers} × {cluster.machine_type}{shape}{gpus} in {sheet.region}, "
            f"{report.mode}{_planned(report)}"
        )
    )
    _print_ranges(out, report)
    _print_lines(out, report.cost["expected"])
    for problem in report.unknown:
        out.print(f"[yellow]unknown:[/yellow] {escape(problem)}")
    if report.assumptions:
        _print_assumptions(out, report.assumptions)
    if report.projection is not None:
        out.print("low and high take every assumption at the end that makes it so")
    for note in report.notes:
        out.print(f"[yellow]note:[/yellow] {escape(note)}")
    meaning = f" ({sheet.date_means})" if sheet.date_means else ""
    out.print(
        escape(
            f"prices: {sheet.name}, {sheet.date}{meaning}, {sheet.age_days} days old; "
            f"source: {sheet.source}"
        )
    )
    for line in report.cost["expected"].lines:
        if line.source is not None:
            out.print(escape(f"price of {line.sku}: {line.source}"))


def _planned(report: CostReport) -> str:
    cluster = report.cluster
    if cluster.processes is None:
        return ""
    return f", {cluster.processes} × {cluster.threads} (processes × threads) on each"


def _print_ranges(out: Page, report: CostReport) -> None:
    columns = [
        TableColumn(""),
        *(TableColumn(bound, right=True) for bound in ("low", "expected", "high")),
    ]
    table: list[list[str]] = []
    projection, currency = report.projection, report.sheet.currency
    if projection is not None:
        rows = [
            ("throughput_elements", projection.throughput_elements, "1/s"),
            ("of one process", projection.process_throughput, "1/s"),
            ("set-up of a process", projection.setup_seconds, "s"),
            ("processing", projection.processing_seconds, "s"),
            ("wall time", projection.wall_seconds, "s"),
            ("worker time", projection.worker_seconds, "s"),
        ]
        for name, values, unit in rows:
            table.append([name, *_cells(values, unit)])
    if projection is None and report.elements != report.benchmark_elements:
        done = "of the job" if report.elements is None else f"of {report.elements:,} elements"
        table.append([f"cost {done}", *_money_cells(report.total, currency)])
    if report.per_thousand is None:
        table.append(["cost of 1,000 elements", "", "unknown", ""])
    else:
        table.append(["cost of 1,000 elements", *_money_cells(report.per_thousand, currency)])
    if report.benchmark_total is not None:
        name = f"cost of {report.benchmark_elements:,} elements"
        table.append([name, *_money_cells(report.benchmark_total, currency)])
    out.print_table(columns, table)


def _cells(values: Range, unit: str) -> list[str]:
    ends = (values.low, values.expected, values.high)
    return [show_value(end, unit) if end else f"0 {unit.removesuffix('1')}" for end in ends]


def _money_cells(money: Money, currency: str) -> list[str]:
    least = "at least " if money.at_least else ""
    ends = (money.low, money.expected, money.high)
    return [f"{least}{show_money(end, currency)}" for end in ends]


def show_money(money: Decimal, currency: str) -> str:
    """Return money to the cent; below one unit to the hundredth of a cent, or two digits."""
    if not money:
        return f"0 {currency}"
    digits = ",.2f" if money >= 1 else ".4f" if money >= SMALL_MONEY else ".2g"
    return f"{money:{digits}} {currency}"


def _print_lines(out: Page, cost: Cost) -> None:
    columns = [
        TableColumn("expected usage"),
        *(TableColumn(name, right=True) for name in ("amount", "rate", "cost")),
        TableColumn("price list"),
    ]
    table = [_line_cells(line, cost.currency) for line in cost.lines]
    least = "" if cost.complete else "at least "
    table.append(["total", "", "", f"{least}{show_money(cost.total, cost.currency)}", ""])
    out.print_table(columns, table)


def _line_cells(line: Line, currency: str) -> list[str]:
    amount = "unknown" if line.amount is None else f"{line.amount:,.4g}"
    if line.amount is not None and line.amount >= 1000:
        amount = f"{line.amount:,.0f}"
    money = "unknown" if line.money is None else show_money(line.money, currency)
    return [
        line.resource,
        f"{amount} {line.unit}",
        f"{line.rate:f}" if line.rate is not None else "unknown" if line.unknown else "",
        money,
        line.sku or "",
    ]


def _print_assumptions(out: Page, assumptions: Sequence[Assumption]) -> None:
    columns = [
        TableColumn("it rests on", whole=True),
        TableColumn("value", right=True, whole=True),
        TableColumn("range", whole=True),
        TableColumn("origin"),
        TableColumn(""),
    ]
    table = []
    for assumption in assumptions:
        value = span = ""
        if assumption.value is not None:
            low, value, high = _cells(assumption.value, assumption.unit)
            span = "" if low == high else f"{low} – {high}"
        name = assumption.name.replace("_", " ")
        table.append([name, value, span, assumption.origin, assumption.note])
    out.print_table(columns, table)
