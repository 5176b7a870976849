"""The definitions of metrics: what each is, an entry for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from beambench.presentation.layout import Page, escape

if TYPE_CHECKING:
    from beambench.metrics.base import Metric

SHOWN = {"1": "a number without a unit"}


def metric_facts(metric: Metric) -> dict[str, str | None]:
    """Return what is said of a metric."""
    return {
        "name": metric.name,
        "unit": metric.unit,
        "direction": metric.direction,
        "n_counts": metric.counts,
        "run_value": metric.run_value,
        "formula": metric.formula,
        "beam_label": metric.beam_label or None,
        "distribution": metric.origin or None,
    }


def print_metrics(metrics: Iterable[Metric]) -> None:
    out = Page()
    for metric in metrics:
        better = "" if metric.direction == "neither" else f", {metric.direction} is better"
        origin = f" [{metric.origin}]" if metric.origin else ""
        unit = SHOWN.get(metric.unit, metric.unit)
        out.print(f"[bold]{escape(metric.name)}[/bold]{escape(f'{origin}  {unit}{better}')}")
        formula = metric.formula.replace("`", "")
        out.print(escape(f"    {formula}"))
        if metric.beam_label:
            out.print(escape(f"    Beam's label: {metric.beam_label}"))
