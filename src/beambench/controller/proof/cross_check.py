"""Beam's own RunInference metrics against ours: equal counts, latencies that enclose ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beambench.record.observation import Measured

LATENCY_ALLOWANCE_US = 200.0
LATENCY_ALLOWANCE_SHARE = 0.01
CLOCK_GRAIN_US = 1.0
"""Beam truncates two readings of the clock to whole microseconds before it subtracts them."""

PER_KEY = "-_num_inferences"
"""How Beam's counter of one of several models ends; before it stands the model's first key."""


def cross_check(measured: Measured, theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Compare; `differences` is empty where all agrees.

    Counts and batch sizes must be equal. Beam's mean latency must enclose ours:
    0 ≤ Beam − ours ≤ 200 µs + 1 %. It is not compared if a batch was retried, because ours leaves
    such batches out.

    With models per key Beam calls a handler once a key and counts a batch once a model: then only
    the sums are compared, and the latency is that of a call.
    """
    differences: list[str] = []
    size, ours = theirs.get("inference_request_batch_size"), measured.batch_size
    if size is None or ours is None:
        return {"agrees": None, "differences": [], "reason": "Beam's metrics are not there"}
    per_key = any(name.endswith(PER_KEY) for name in theirs)
    for key in ("sum",) if per_key else ("count", "sum", "min", "max"):
        if size[key] != getattr(ours, key):
            differences.append(f"batch size {key}: Beam {size[key]}, ours {getattr(ours, key)}")
    inferences = theirs.get("num_inferences", {}).get("value")
    if inferences != ours.sum:
        differences.append(f"inferences: Beam {inferences}, ours {ours.sum}")
    result: dict[str, Any] = {}
    if per_key:
        result["reason"] = "models per key: Beam counts batches of a model, ours are calls"
    latency, own = theirs.get("inference_batch_latency_micro_secs"), measured.batch_latency
    if (
        latency is not None
        and own is not None
        and not measured.retried_batches + measured.empty_batches
    ):
        calls = own.count if per_key else latency["count"]
        gap = latency["sum"] / calls - own.sum / own.count
        allowed = LATENCY_ALLOWANCE_US + LATENCY_ALLOWANCE_SHARE * own.sum / own.count
        result["latency_gap_us"] = gap
        if not -CLOCK_GRAIN_US <= gap <= allowed:
            differences.append(
                f"batch latency: Beam's mean is {gap:.0f} µs above ours, allowed are 0 to "
                f"{allowed:.0f} µs"
            )
    return {"agrees": not differences, "differences": differences, **result}
