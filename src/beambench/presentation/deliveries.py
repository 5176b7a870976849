"""Rows on their way to publishers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from beambench.presentation.layout import Page, TableColumn, escape
from beambench.presentation.values import show_value

if TYPE_CHECKING:  # the store and the record are slow to import, and some verbs need neither
    from beambench.publishers.outbox import Report, Verified
    from beambench.store.deliveries import Delivery


def print_status(counts: Mapping[str, Mapping[str, int]], parked: Sequence[Delivery]) -> None:
    """Print how many rows of each publisher are in each state, and the parked ones by name."""
    states = next(iter(counts.values()))
    columns = [TableColumn("publisher"), *(TableColumn(state, right=True) for state in states)]
    rows = [[name, *map(str, states.values())] for name, states in counts.items()]
    Page().print_table(columns, rows)
    _print_parked(parked)


def print_reports(reports: Sequence[Report], parked: Sequence[Delivery]) -> None:
    """Print what was delivered, and every row that is parked, by name."""
    for report in reports:
        if report.delivered:
            Page().print(f"{report.publisher}: {report.delivered} rows delivered")
    if not any(report.delivered or report.queued for report in reports):
        Page().print("nothing is queued")
    _print_parked(parked)


def parked_document(row: Delivery) -> dict[str, str]:
    """Name a row that a server refused, with its words."""
    from beambench.publishers.outbox import place_of

    metric = row.content.get("metric") or "run"
    return {"run": row.run_id, "target": place_of(row), "row": metric, "problem": row.problem}


def _print_parked(rows: Sequence[Delivery]) -> None:
    for row in rows:
        document = parked_document(row)
        Page().print_entry(
            escape(
                f"parked: {row.publisher} {document['target']}: run {document['run']}, "
                f"{document['row']}: {document['problem']}"
            )
        )


def print_verified(checks: Sequence[Verified]) -> None:
    """Print for each target how many rows are there and hold what was sent."""
    for check in checks:
        age = "" if check.age is None else f", {show_value(check.age, 's')} old"
        Page().print_entry(
            escape(
                f"{check.publisher} {check.target}: run {check.run_id}: {check.equal} of "
                f"{check.rows} rows there and equal{age}"
            )
        )
        for difference in check.differences:
            Page().print_entry(escape(f"  {difference}"))
