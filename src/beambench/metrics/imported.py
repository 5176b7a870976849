"""What only the rows of Beam's own suite have: read from them, never measured here.

The suite's throughputs are means of what are probably running totals, so they have names of their
own and never share an axis with ours.
"""

from __future__ import annotations

from beambench.metrics.base import Metric

METRICS = (
    Metric(
        name="beam_average_elements",
        unit="1",
        direction="higher",
        formula="Beam's mean of a running total of elements",
        counts="repeats",
        shown=None,
        beam_label="AvgThroughputElements",
    ),
    Metric(
        name="beam_average_bytes",
        unit="B",
        direction="higher",
        formula="Beam's mean of a running total of bytes",
        counts="repeats",
        shown=None,
        beam_label="AvgThroughputBytes",
    ),
    Metric(
        name="beam_estimated_cost",
        unit="USD",
        direction="lower",
        formula="Beam's estimate of what a job cost",
        counts="repeats",
        shown=None,
        beam_label="EstimatedCost",
    ),
)
