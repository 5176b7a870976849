"""Beam's own RunInference metrics against ours: equal counts, latencies that enclose ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beambench.record.observation import Distribution, LatencyGap, Measured

ALLOWED_HIGHS = 2.0
"""How often the empty handler's high gap is allowed: a model leaves a machine in a worse state."""

ALLOWED_SHARE = 0.01
"""Of our latency: what no figure of a record would show."""

NS_PER_US = 1000
"""Beam's latencies are in µs, ours in ns."""

CLOCK_GRAIN_US = 1.0
"""Beam truncates two readings of the clock to whole microseconds before it subtracts them."""

PAUSES = 2
"""Batches in which the machine may have paused: what these alone could hold is no difference."""

PER_KEY = "-_num_inferences"
"""How Beam's counter of one of several models ends; before it stands the model's first key."""


def cross_check(
    measured: Measured, theirs: Mapping[str, Any], empty: LatencyGap | None = None
) -> dict[str, Any]:
    """Compare; `differences` is empty where all agrees, `reason` says what was not compared.

    Counts and batch sizes must be equal. Beam's mean latency must not be below ours, and not above
    it by more than `empty`, the same difference around a handler that does nothing, allows. It is
    not compared if a batch had nothing to infer, because ours leaves such batches out.

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
    if latency is not None and own is not None and not measured.empty_batches:
        calls = own.count if per_key else latency["count"]
        gap = latency["sum"] / calls - own.sum / own.count / NS_PER_US
        result["latency_gap_us"] = gap
        if gap < -CLOCK_GRAIN_US:
            differences.append(f"batch latency: Beam's mean is {-gap:.0f} µs below ours")
        if not per_key:
            bounded, excess = _excess(gap, latency, own, empty)
            result |= bounded
            differences += excess
    return {"agrees": not differences, "differences": differences, **result}


def _excess(
    gap: float, latency: Mapping[str, Any], own: Distribution, empty: LatencyGap | None
) -> tuple[dict[str, Any], list[str]]:
    """Say by how much Beam's mean may exceed ours, and what is wrong if it does in many batches.

    A machine that pauses in one batch moves the mean of all by any amount. But no batch can hold
    more than what lies between our shortest and Beam's longest.
    """
    if empty is None:
        return {"reason": "latency: no handler that does nothing was measured beside it"}, []
    allowed = ALLOWED_HIGHS * empty.high_us + ALLOWED_SHARE * own.sum / own.count / NS_PER_US
    details = {"allowed_gap_us": allowed, "empty_handler": empty.model_dump()}
    if (gap - allowed) * own.count <= PAUSES * (latency["max"] - own.min / NS_PER_US):
        return details, []
    return details, [
        f"batch latency: Beam's mean is {gap:.0f} µs above ours, more than {PAUSES} of "
        f"{own.count} batches could hold; around a handler that does nothing it is "
        f"{empty.median_us:.0f} µs, so allowed are {allowed:.0f} µs"
    ]
