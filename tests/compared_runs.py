"""Records of runs as comparisons need them: repeats with values, in an environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from beambench.record.run_record import RunRecord
from published_runs import run_record

STAGE_SHARES = {"read": 0.05, "preprocess": 0.25, "inference": 0.5, "postprocess": 0.1}
THREADS = 2
CPU_OF_TIME = 0.4
"""CPU time of a stage, as a share of the time of all threads that it took."""

MACHINE: dict[str, Any] = {
    "architecture": "x86_64",
    "cpu_model": "Xeon",
    "cpu_flags": ["avx"],
    "cores": {"logical": 2, "physical": 2, "usable": 2, "cgroup_quota": None},
    "memory": {"total_bytes": 2**34, "cgroup_limit_bytes": None},
}
PACKAGES = {"apache-beam": "2.77.0", "numpy": "2.4.6", "torch": "2.13.0"}


def environment(fingerprint: str = "f" * 64, **packages: str) -> dict[str, Any]:
    return {
        "machine": MACHINE,
        "os": {"system": "Linux"},
        "python": {"version": "3.11.7", "implementation": "CPython"},
        "packages": {**PACKAGES, **{name.replace("_", "-"): v for name, v in packages.items()}},
        "fingerprint_digest": fingerprint,
    }


def value(amount: float, unit: str, direction: str) -> dict[str, Any]:
    return {"value": amount, "unit": unit, "direction": direction, "n": 50}


def repeat(
    index: int,
    rate: float,
    slower: dict[str, float],
    slower_cpu: dict[str, float] | None = None,
    **changed: Any,
) -> dict[str, Any]:
    """Return a repeat: `rate` without what `slower` adds to the time of stages, as a fraction, and
    `slower_cpu` to their CPU time alone.
    """
    per_element = THREADS / rate
    times = {
        stage: share * per_element * (1 + slower.get(stage, 0))
        for stage, share in {**STAGE_SHARES, "overhead": 0.1}.items()
    }
    whole = sum(times.values())
    cpu_times = {
        stage: seconds * CPU_OF_TIME * (1 + (slower_cpu or {}).get(stage, 0))
        for stage, seconds in times.items()
    }
    metrics = {
        "throughput_elements": value(THREADS / whole, "1/s", "higher"),
        "cpu_time_per_element": value(sum(cpu_times.values()), "s", "lower"),
        "peak_memory": value(1e9 * (1 + index / 1000), "B", "lower"),
        "stage_time_batch_wait": value(1.5 / rate, "s", "lower"),
    }
    for stage, seconds in times.items():
        metrics[f"stage_share_{stage}"] = value(seconds / whole, "1", "neither")
        if stage != "overhead":
            metrics[f"stage_time_{stage}"] = value(seconds, "s", "lower")
            metrics[f"stage_cpu_time_{stage}"] = value(cpu_times[stage], "s", "lower")
    return {
        "index": index,
        "arm": "pipeline",
        "status": "succeeded",
        "started_at": f"2026-01-31T10:00:{index:02d}.000Z",
        "finished_at": f"2026-01-31T10:00:{index:02d}.900Z",
        "metrics": metrics,
        "noise": {"disturbed": False},
        **changed,
    }


def compared_run(
    number: int = 1,
    rates: Sequence[float] = (100.0, 101.0, 99.0, 100.5, 99.5, 100.0),
    slower: dict[str, float] | None = None,
    slower_cpu: dict[str, float] | None = None,
    **changed: Any,
) -> RunRecord:
    """Return the record of a run with a repeat for each rate in elements per second."""
    parts: dict[str, Any] = {
        "run_id": f"20260131T10{number:02d}00Z-{number:08x}",
        "benchmark": "overhead-noop",
        "profile": "local",
        "started_at": f"2026-01-31T10:{number:02d}:00.000Z",
        "finished_at": f"2026-01-31T10:{number:02d}:09.000Z",
        "config": {"definition": {"workload": "overhead", "model": {"precision": "float32"}}},
        "repeats": [
            repeat(index, rate, slower or {}, slower_cpu) for index, rate in enumerate(rates)
        ],
        "metrics": {},
        "environment": environment(),
        "labels": {},
    }
    return run_record(**(parts | changed))
