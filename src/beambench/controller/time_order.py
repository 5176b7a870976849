"""Whether the repeats of a run are independent of each other, by the rate that heads the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from beambench.analysis.independence import SIGNIFICANCE, Independence, independence
from beambench.analysis.intervals import median
from beambench.record.run_record import Repeat

RATES = ("throughput_elements", "throughput_inferred")
"""What heads a run; the second of a pipeline that exists already."""


class TimeOrder(NamedTuple):
    """How a rate of the repeats that count changed from one to the next; trend in its median."""

    metric: str
    independence: Independence
    relative_trend: float

    def __str__(self) -> str:
        tested = self.independence
        return (
            f"{self.metric} over {tested.n} repeats in time order: lag-1 correlation "
            f"{tested.lag1:.2f} (p {tested.lag1_p:.2g}), trend {self.relative_trend:+.2%} a repeat "
            f"(p {tested.trend_p:.2g})"
        )


def time_order(repeats: Sequence[Repeat]) -> TimeOrder | None:
    """Return how the rate of a run changed over its repeats; None if that cannot be told."""
    for name in RATES:
        values = [
            repeat.metrics[name].value
            for repeat in repeats
            if repeat.counts and name in repeat.metrics
        ]
        tested = independence(values)
        if tested is not None:
            middle = median(values)
            return TimeOrder(name, tested, tested.trend / middle if middle else 0.0)
    return None


def warnings_of_order(repeats: Sequence[Repeat]) -> list[str]:
    """Say that repeats are not independent, where chance alone would hardly look like it."""
    order = time_order(repeats)
    if order is None:
        return []
    tested = order.independence
    signs = []
    if tested.lag1_p < SIGNIFICANCE:
        signs.append(f"a lag-1 correlation of {tested.lag1:.2f} (p {tested.lag1_p:.1g})")
    if tested.trend_p < SIGNIFICANCE:
        signs.append(f"a trend of {order.relative_trend:+.2%} a repeat (p {tested.trend_p:.1g})")
    if not signs:
        return []
    return [
        f"repeats are not independent: {order.metric} has {' and '.join(signs)} over {tested.n} "
        "repeats, so intervals are too narrow: let the machine settle, or look for what changes"
    ]
