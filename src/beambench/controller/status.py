"""Whether a run succeeded, and its first error."""

from __future__ import annotations

from collections.abc import Sequence

from beambench.controller.execution import Execution
from beambench.controller.metric_values import ratios_of
from beambench.metrics.efficiency import PIPELINE_TO_LOOP
from beambench.record.run_record import Metrics, Repeat, Status

MIN_PAIRS = 3
"""Pairs that must all lie above the limit before a run without an interval fails by it."""

EFFICIENCY_LIMIT = 1.02
"""A pipeline this much faster than the bare loop means that one of the two is measured wrongly."""


def status_of(repeats: Sequence[Repeat], expected: int) -> Status:
    """Return the status of the run: the worst of its repeats, failed if any is missing."""
    statuses = [repeat.status for repeat in repeats]
    for worst in ("cancelled", "timed_out", "failed"):
        if worst in statuses:
            return worst
    return "succeeded" if len(statuses) >= expected else "failed"


def error_of(execution: Execution, metrics: Metrics) -> str | None:
    """Return the first error of the run as one line, or None."""
    for repeat in [*execution.repeats, *execution.references]:
        if repeat.error is not None:
            return f"{repeat.arm} repeat {repeat.index + 1}: {repeat.error['message']}"
    ratios = ratios_of(PIPELINE_TO_LOOP, execution.pairs("loop"))
    least = min(ratios) if len(ratios) >= MIN_PAIRS else 0.0
    efficiency = metrics.get("pipeline_efficiency")
    if efficiency is not None and max(efficiency.ci_low or 0.0, least) > EFFICIENCY_LIMIT:
        return f"pipeline_efficiency is above {EFFICIENCY_LIMIT} beyond noise: measured wrongly"
    return None
