"""Comparisons of several benchmarks: what they come to, and a row for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from beambench.presentation.comparisons import SCHEDULES, change_cells
from beambench.presentation.layout import Page, TableColumn, escape
from beambench.presentation.markdown import cell, table
from beambench.presentation.values import print_json, print_text

if TYPE_CHECKING:  # slow to import, and some verbs do not need it
    from beambench.experiments.comparison.several import ComparedBenchmarks
    from beambench.record.comparison import Comparison

COLUMNS = (
    TableColumn("benchmark"),
    TableColumn("candidate"),
    TableColumn("metric", whole=True),
    *(
        TableColumn(name, right=name != "verdict", whole=True)
        for name in ("change", "95 % interval", "verdict", "effect ÷ noise", "n")
    ),
)


def print_several(form: Literal["text", "json", "markdown"], compared: ComparedBenchmarks) -> None:
    """Print comparisons of several benchmarks to stdout."""
    if form == "json":
        print_json(
            {
                "sentence": compared.sentence(),
                "comparisons": [each.model_dump(mode="json") for each in compared.comparisons],
                "left_out": dict(compared.left_out),
            }
        )
    elif form == "markdown":
        print_text("\n".join(_markdown(compared)))
    else:
        _print_text(compared)


def _print_text(compared: ComparedBenchmarks) -> None:
    out = Page()
    out.print(escape(compared.sentence()))
    if compared.comparisons:
        out.print_table(COLUMNS, _rows(compared.comparisons))
    for name, reason in compared.left_out.items():
        out.print(escape(f"{name} is left out: {reason}"))
    for each in compared.comparisons:
        out.print(escape(f"{each.benchmark}: {SCHEDULES[each.schedule]}, {each.comparison_id}"))


def _markdown(compared: ComparedBenchmarks) -> list[str]:
    return [
        f"### {cell(compared.sentence())}",
        "",
        *(table(COLUMNS, _rows(compared.comparisons)) if compared.comparisons else ()),
        "",
        *(f"- {cell(name)} is left out: {cell(why)}" for name, why in compared.left_out.items()),
        *(f"- {cell(each.benchmark)}: {cell(each.sentence)}" for each in compared.comparisons),
    ]


def _rows(comparisons: Sequence[Comparison]) -> list[list[str]]:
    from beambench.experiments.comparison.several import clearness

    rows = []
    for each in comparisons:
        name, metric = next(iter(each.metrics.items()), ("", None))
        settings = [f"{key} {value}" for key, value in each.sides[1].settings.items()]
        change, interval, n = change_cells(metric)
        clear = clearness(each)
        shown = f"{clear:.2g}" if 0 < clear < math.inf else ""
        subject = [each.benchmark, ", ".join(settings) or each.sides[1].variant]
        rows.append([*subject, name, change, interval, each.verdict, shown, n])
    return rows
