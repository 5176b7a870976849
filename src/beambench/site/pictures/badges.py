"""Badges for a README: a label and a value in a picture of two fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import jinja2

from beambench.presentation.values import show_value
from beambench.printable import printable
from beambench.site.data.costs import METRIC as COST
from beambench.site.data.histories import BenchmarkHistory

CHARACTER_PX = 6.6
"""Mean width of a character at 11 px; the text is fitted into its field in any case."""

PADDING_PX = 12
LONGEST = 40
COLOURS = {"neutral": "#0a5a9c", "good": "#00694d", "bad": "#b04300"}

METRICS = {
    "throughput": ("throughput_elements", "throughput_inferred"),
    "latency": ("inference_batch_latency_p50", "inference_batch_latency_mean"),
    "cost": (COST,),
}
"""Label -> the metrics of which the first that is known is shown."""


@dataclass(frozen=True)
class Badge:
    """A badge: its label, its value, and what the value says."""

    label: str
    value: str
    colour: Literal["neutral", "good", "bad"] = "neutral"


def badges_of(history: BenchmarkHistory) -> list[Badge]:
    """Return the badges of a benchmark: numbers of the newest run of its longest series, alarms."""
    badges = []
    metrics = history.kinds[0].runs[-1].metrics if history.kinds else {}
    for label, names in METRICS.items():
        known = next((metrics[name] for name in names if name in metrics), None)
        if known is not None:
            badges.append(Badge(label, show_value(known.value, known.unit)))
    count = sum(alarm.state != "recovered" for alarm in history.alarms)
    alarms = "none" if not count else f"{count} open"
    badges.append(Badge("alarms", alarms, "bad" if count else "good"))
    return badges


def svg_of(templates: jinja2.Environment, badge: Badge) -> str:
    """Return a badge as SVG."""
    label, value = printable(badge.label)[:LONGEST], printable(badge.value)[:LONGEST]
    widths = [round(len(text) * CHARACTER_PX) for text in (label, value)]
    return templates.get_template("badge.svg").render(
        label=label,
        value=value,
        colour=COLOURS[badge.colour],
        label_width=widths[0],
        value_width=widths[1],
        padding=PADDING_PX,
    )
