"""What a job used, from the service's own metrics, and waiting until they have all come.

Units are in the names that the service gives the same metrics in ``context.original_name``:
``Service-cpu_num_seconds``, ``Service-mem_mb_seconds``, ``Service-pd_gb_seconds``,
``Service-pd_ssd_gb_seconds``, ``Service-shuffle_service_actual_gb``,
``Service-streaming_service_gb``. An MB there is 2**20 bytes: a fleet of 152 vCPUs of 6.5 GB each is
reported as 1,011,712 MB, which is 152 × 6.5 × 1024. So MB·s ÷ 1024 are the GB·s that are billed.
(Beam's cost benchmark divides by 1000.)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beambench.clock import Clock
from beambench.record.run_record import Usage
from beambench.runners.dataflow.service.client import ServiceError

SETTLE_SECONDS = 300.0
"""The service's own figures may stay invisible for 240 s after they were sampled."""
SETTLE_POLL_SECONDS = 10.0
SERVICE = "dataflow/v1b3"
MB_PER_GB = 1024

ALWAYS = (
    "TotalVcpuTime",
    "TotalMemoryUsage",
    "TotalPdUsage",
    "TotalSsdUsage",
    "TotalShuffleDataProcessed",
    "TotalStreamingDataProcessed",
)
GPU_TIME = "TotalGpuTime"
INFERENCES = "num_inferences"

Update = Mapping[str, Any]


def expected_metrics(has_accelerator: bool) -> list[str]:
    """Return the service metrics that every job has once it has ended."""
    return [*ALWAYS, GPU_TIME] if has_accelerator else list(ALWAYS)


def is_tentative(update: Update) -> bool:
    """Tell an attempted value, with the work of retries and lost bundles, from a committed one."""
    return (update["name"].get("context") or {}).get("tentative") == "true"


def service_metrics(updates: Sequence[Update]) -> dict[str, float]:
    """Return the service's own metrics of the whole job by name; committed where both are there."""
    values: dict[str, float] = {}
    for wanted in (True, False):
        for update in updates:
            name, scalar = update["name"], update.get("scalar")
            context = name.get("context") or {}
            if name.get("origin") != SERVICE or "step" in context or is_tentative(update) != wanted:
                continue
            if isinstance(scalar, int | float) and not isinstance(scalar, bool):
                values[name["name"]] = float(scalar)
    return values


def usage_of(service: Mapping[str, float]) -> Usage:
    """Convert to what is billed; what the service did not say is unknown.

    It says nothing of what a job did not have (GPUs): `cost.estimate.cost_of_job` knows that.
    """
    memory = service.get("TotalMemoryUsage")
    return Usage(
        source="service",
        vcpu_seconds=service.get("TotalVcpuTime"),
        memory_gb_seconds=None if memory is None else memory / MB_PER_GB,
        disk_gb_seconds=service.get("TotalPdUsage"),
        ssd_gb_seconds=service.get("TotalSsdUsage"),
        gpu_seconds=service.get(GPU_TIME),
        shuffle_gb=service.get("TotalShuffleDataProcessed"),
        streaming_gb=service.get("TotalStreamingDataProcessed"),
    )


def inferences(updates: Sequence[Update]) -> int | None:
    """Return how many elements were inferred so far, None if nothing says so."""
    by_kind: dict[bool, int] = {}
    for update in updates:
        if update["name"].get("name") == INFERENCES and update.get("scalar") is not None:
            kind = is_tentative(update)
            by_kind[kind] = by_kind.get(kind, 0) + int(update["scalar"])
    return max(by_kind.values(), default=None)


@dataclass(frozen=True)
class Settled:
    """The metrics of a job that ended.

    Attributes:
        updates: as the service gave them.
        settled: two answers in a row were equal and all was there.
        seconds: how long that was waited for.
        missing: expected service metrics that never came.
        problem: why reading ended early.
    """

    updates: list[dict[str, Any]]
    settled: bool
    seconds: float
    missing: list[str]
    problem: str | None = None


def settle(
    read: Callable[[], list[dict[str, Any]]],
    clock: Clock,
    expected: Collection[str],
    inferred: int = 0,
    limit: float = SETTLE_SECONDS,
) -> Settled:
    """Read metrics until two answers in a row are equal and all that is expected is there.

    `inferred` is how many elements came out, by the proof: so many inferences must be counted.
    `limit` is in seconds.
    """
    begin, before, updates = clock.now(), None, list[dict[str, Any]]()
    while True:
        problem = None
        try:
            updates = read()
        except ServiceError as error:
            if not error.may_pass:
                return _unsettled(updates, clock.now() - begin, expected, str(error))
            problem = str(error)
        values = None if problem else _values(updates)
        is_whole = not _missing(updates, expected) and (inferences(updates) or 0) >= inferred
        if values is not None and values == before and is_whole:
            return Settled(updates, True, clock.now() - begin, [])
        before = values
        left = limit - (clock.now() - begin)
        if left <= 0 or clock.wait(min(SETTLE_POLL_SECONDS, left)):
            return _unsettled(updates, clock.now() - begin, expected, problem)


def _unsettled(
    updates: list[dict[str, Any]], seconds: float, expected: Collection[str], problem: str | None
) -> Settled:
    return Settled(updates, False, seconds, _missing(updates, expected), problem)


def _missing(updates: Sequence[Update], expected: Collection[str]) -> list[str]:
    known = service_metrics(updates)
    return [name for name in expected if name not in known]


def _values(updates: Sequence[Update]) -> list[str]:
    """Return the values without the times at which they were updated, in a fixed order."""
    return sorted(json.dumps({**update, "updateTime": None}, sort_keys=True) for update in updates)
