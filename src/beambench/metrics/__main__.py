"""Print the page of all metrics: ``python -m beambench.metrics``."""

from __future__ import annotations

from beambench.metrics.definitions import METRICS

HEAD = """# Metrics

Generated from `src/beambench/metrics/definitions.py` by `make docs`; do not edit.

A metric stands in every repeat and, combined, in the run, always with its unit, its direction and
`n`. Within a repeat `n` counts what the column says. In the run, `median` is the median over the
succeeded repeats (`n` = repeats), with a distribution-free interval of at least 95 % from 6 repeats
on; `elements` is that median too, of what says nothing of time: `n` is the number of elements that
it was computed over (the fewest of a repeat), and repeats give it no interval; `merged` comes from
the histograms of all repeats added up (`n` = batches); `total` is the sum; `pairs` is the median
over pairs of a pipeline and a loop repeat. A metric without a value is absent: missing is unknown,
never 0. Values of histograms have a relative error of at most 2 %.

| metric | unit | better | n counts | run value | formula | Beam's label |
| --- | --- | --- | --- | --- | --- | --- |
"""


def page() -> str:
    """Return docs/metrics.md."""
    rows = [
        f"| `{metric.name}` | {metric.unit} | {metric.direction} | {metric.counts} "
        f"| {metric.aggregate} | {metric.formula} "
        f"| {f'`{metric.beam_label}`' if metric.beam_label else ''} |"
        for metric in METRICS
    ]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
