"""Print the page of all metrics: ``python -m beambench.metrics``."""

from __future__ import annotations

from collections.abc import Iterable

from beambench.metrics.base import Metric
from beambench.metrics.registry import BUILT_IN, metrics

HEAD = """# Metrics

Generated from `src/beambench/metrics/` by `make docs`; do not edit. `python -m beambench.metrics`
prints it with the metrics of installed packages, which
[are added](definitions.md#metrics-of-a-package) through an entry point.

A metric stands in every repeat and, combined, in the run, always with its unit, its direction and
`n`. Within a repeat `n` counts what the column says. In the run, `median` is the median over the
succeeded repeats (`n` = repeats), without those that were disturbed and
[repeated](measuring.md#noise), with a distribution-free interval of at least 95 % from 6 repeats
on; `elements` is that median too, of what says nothing of time: `n` is the number of elements that
it was computed over (the fewest of a repeat), and repeats give it no interval; `merged` comes from
the histograms of these repeats added up (`n` = batches); `total` is the sum over all; `pairs` is
the median over pairs of a pipeline and a loop repeat. A metric without a value is absent: missing
is unknown, never 0. Values of histograms have a relative error of at most 2 %.

| metric | unit | better | n counts | run value | formula | Beam's label |
| --- | --- | --- | --- | --- | --- | --- |
"""


def page(listed: Iterable[Metric] = BUILT_IN) -> str:
    """Return docs/metrics.md."""
    return HEAD + "\n".join(map(_row, listed)) + "\n"


def _row(metric: Metric) -> str:
    beam_label = f"`{metric.beam_label}`" if metric.beam_label else ""
    origin = f" ({metric.origin})" if metric.origin else ""
    cells = (
        f"`{metric.name}`{origin}",
        metric.unit,
        metric.direction,
        metric.counts,
        metric.run_value,
        metric.formula,
        beam_label,
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    print(page(metrics()), end="")  # noqa: T201
