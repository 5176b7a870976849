"""The pipeline beside the bare loop."""

from __future__ import annotations

from beambench.metrics.base import Metric, Pairing
from beambench.record.run_record import Metrics


def throughput_ratio(pipeline: Metrics, loop: Metrics) -> float | None:
    """Return pipeline ÷ loop throughput, unknown if either is, or the loop's is 0."""
    over, under = (metrics.get("throughput_elements") for metrics in (pipeline, loop))
    if over is None or under is None or not under.value:
        return None
    return over.value / under.value


PIPELINE_TO_LOOP = Pairing("loop", throughput_ratio)
METRICS = (
    Metric(
        name="pipeline_efficiency",
        unit="1",
        direction="higher",
        formula="median over pairs of throughput_elements of the pipeline ÷ that of the bare loop "
        "after it, which replays the batch sizes of this very repeat; absent where the pipeline "
        "had several workers",
        counts="pairs",
        of_pairs=PIPELINE_TO_LOOP,
    ),
    Metric(
        name="ceiling_efficiency",
        unit="1",
        direction="higher",
        formula="median over pairs of throughput_elements of the pipeline ÷ that of the bare loop "
        "after it, at its best fixed batch size",
        counts="pairs",
        of_pairs=Pairing("ceiling", throughput_ratio),
    ),
)
