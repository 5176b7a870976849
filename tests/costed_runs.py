"""Records of runs that `beambench cost` prices: of this machine, and of jobs on Dataflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from beambench.definition.library import Library
from beambench.record.run_record import RunRecord
from beambench.store.run_store import RunStore

RESNET = "pytorch-image-classification-resnet101"
GB = 2**30
ZEN = {"sse4_2": True, "avx": True, "avx2": True, "avx512f": True, "avx512_bf16": True}
HOUR = 3600.0


def metric(name: str, value: float, n: int = 1) -> dict[str, Any]:
    units = {"throughput_elements": "1/s", "peak_memory": "B"}
    return {"value": value, "unit": units.get(name, "s"), "direction": "neither", "n": n}


def repeat(index: int, metrics: dict[str, float], **changed: Any) -> dict[str, Any]:
    return {
        "index": index,
        "arm": "pipeline",
        "status": "succeeded",
        "started_at": "2026-01-31T10:00:00.000Z",
        "finished_at": "2026-01-31T10:00:09.000Z",
        "metrics": {name: metric(name, value) for name, value in metrics.items()},
        "verification": PROVEN,
        "batch_sizes": [10, 20],
        **changed,
    }


PROVEN = {
    "elements_in": 200,
    "elements_out": 200,
    "elements_failed": 0,
    "duplicates": 0,
    "passed": True,
}


def local_run(
    number: int = 1,
    *,
    benchmark: str = RESNET,
    variant: str = "stock",
    overrides: Sequence[str] = ("threads=1",),
    profile: str = "local",
    throughputs: Sequence[float] = (4.0, 5.0, 6.0),
    peak_gb: float = 1.5,
    definition: dict[str, Any] | None = None,
    **changed: Any,
) -> RunRecord:
    """Return a run on two cores: by default 5 elements/s in one process of one thread."""
    resolved = Library().resolve(
        benchmark, variant=variant, profile=profile, overrides=list(overrides)
    )
    content = resolved.definition.model_dump(mode="json")
    metrics = {"startup_time": 10.0, "peak_memory": peak_gb * GB, "model_load_latency_mean": 1.0}
    parts: dict[str, Any] = {
        "run_id": f"20260131T10{number:02d}00Z-{number:08x}",
        "benchmark": benchmark,
        "variant": variant,
        "profile": profile,
        "definition_hash": "ab" * 32,
        "beambench_version": "0.1.0",
        "runner": {"requested": "direct", "executed": "direct"},
        "status": "succeeded",
        "started_at": f"2026-01-31T10:{number:02d}:00.000Z",
        "finished_at": f"2026-01-31T10:{number:02d}:09.000Z",
        "input": {"kind": "list", "count": 200, "digest": "cd" * 32, "bytes": 20_000_000},
        "model": {"name": content["model"]["name"], "weights": "random", "size_mib": 170.5},
        "config": {"definition": content | (definition or {}), "beam_flags": []},
        "repeats": [
            repeat(index, {"throughput_elements": rate, **metrics})
            for index, rate in enumerate(throughputs)
        ],
        "metrics": {},
        "verification": PROVEN,
        "noise": {},
        "environment": {
            "machine": {"cores": {"logical": 2, "physical": 2}, "instructions": ZEN},
            "torch": {"threads": 2},
        },
        "command": ["beambench", "run", benchmark],
    }
    return RunRecord.model_validate(parts | changed)


def job(
    number: int = 1,
    *,
    hours: Sequence[float] = (25.0,),
    elements: int = 50_000,
    benchmark: str = RESNET,
    usage: dict[str, Any] | None = None,
    **changed: Any,
) -> RunRecord:
    """Return a run on Dataflow with a job for each number of machine hours of n1-standard-2.

    As the service tells it: nothing about GPUs and SSDs that the job did not have.
    """
    counted = [
        {
            "source": "service",
            "vcpu_seconds": 2 * HOUR * hour,
            "memory_gb_seconds": 7.5 * HOUR * hour,
            "disk_gb_seconds": 50 * HOUR * hour,
            "shuffle_gb": 2.0,
            **(usage or {}),
        }
        for hour in hours
    ]
    proven = PROVEN | {"elements_in": elements, "elements_out": elements}
    repeats = [
        repeat(index, {}, usage=used, verification=proven) for index, used in enumerate(counted)
    ]
    return local_run(
        number,
        benchmark=benchmark,
        profile="full",
        **{
            "runner": {"requested": "dataflow", "executed": "dataflow"},
            "model": {"name": "resnet101", "weights": "pretrained", "size_mib": 170.5},
            "repeats": repeats,
            **changed,
        },
    )


def keep(path: Path, *records: RunRecord) -> None:
    """Store records in a SQLite file."""
    with RunStore.open(f"sqlite:///{path}") as store:
        for record in records:
            store.add(record)
