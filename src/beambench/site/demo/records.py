"""Records of made-up runs, of the real schema: their metrics follow from the times of stages."""

from __future__ import annotations

import hashlib
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

import numpy as np

from beambench.analysis.intervals import median_interval
from beambench.definition.library import Resolved
from beambench.machine.environment import comparable_part
from beambench.metrics.registry import BY_NAME
from beambench.record.run_record import MetricValue, RunRecord
from beambench.site.demo.subjects import COMMIT_EVERY, MACHINES, PACKAGES, Stage, Subject
from beambench.version import __version__

VCPUS, MEMORY_GB, DISK_GB = 2, 7.5, 50
"""Of each of several workers."""

DISTURBED_SHARE = 0.02
LABELS = {"demo": "made up, not measured"}
QUANTILES = {"p50": -0.02, "p90": 0.11, "p95": 0.16, "p99": 0.31}
"""Logarithms of batch latencies, against their mean."""


@dataclass(frozen=True)
class Night:
    """When and where a run took place.

    Attributes:
        day: of the year.
        start: of the run, in UTC.
        machine: a key of `MACHINES`.
    """

    day: int
    start: datetime
    machine: str


def made_up_run(
    subject: Subject,
    resolved: Resolved,
    night: Night,
    chance: np.random.Generator,
    factors: Mapping[Stage, float] | None = None,
) -> RunRecord:
    """Return the record of a run of a definition; `factors` change the times of stages."""
    failed = subject.failing_from is not None and night.day >= subject.failing_from
    shared = chance.normal(0, subject.night_noise)
    executed = [
        _repeat(subject, night, at, shared, chance, factors or {})
        for at in range(1 if failed else subject.repeats)
    ]
    if failed:
        executed[0] |= {"status": "failed", "metrics": {}, "verification": None,
                        "error": {"message": subject.failure}}  # fmt: skip
    took = timedelta(seconds=12 + _seconds(subject) * len(executed))
    run_id = f"{night.start + took:%Y%m%dT%H%M%S}Z-{_digest(subject, night.day)[:8]}"
    counted = [] if failed else executed
    return RunRecord.model_validate(
        {
            "run_id": run_id,
            "benchmark": subject.benchmark,
            "variant": subject.variant,
            "profile": subject.profile,
            "definition_hash": resolved.definition_hash,
            "beambench_version": __version__,
            "runner": {"requested": subject.runner, "executed": subject.runner,
                       "counters": "committed"},
            "status": "failed" if failed else "succeeded",
            "started_at": _text(night.start),
            "finished_at": _text(night.start + took),
            "input": _input(subject),
            "model": _model(resolved),
            "config": _config(resolved, subject),
            "repeats": executed,
            "metrics": _of_run(counted),
            "verification": _verification(subject, succeeded=not failed),
            "noise": _noise(executed, counted),
            "environment": environment(night),
            "labels": LABELS,
            "command": shlex.split(
                f"beambench run {subject.benchmark} --variant {subject.variant} "
                f"--profile {subject.profile} --runner {subject.runner} --repeats {subject.repeats}"
                + "".join(f" --set {override}" for override in subject.overrides)
            ),
            "error": subject.failure if failed else None,
        }
    )  # fmt: skip


def _repeat(
    subject: Subject,
    night: Night,
    at: int,
    shared: float,
    chance: np.random.Generator,
    factors: Mapping[Stage, float],
) -> dict[str, Any]:
    disturbed = bool(chance.random() < DISTURBED_SHARE)
    slower = 1.06 if disturbed else 1.0
    machine = 0.88 if night.machine == "b" else 1.0
    times = {
        stage: seconds * factors.get(stage, 1.0) * machine * slower
        * math.prod(event.at(night.day) for event in subject.events if event.stage == stage)
        * math.exp(shared + chance.normal(0, subject.noise))
        for stage, seconds in subject.stages.items()
    }  # fmt: skip
    seconds = _seconds(subject)
    began = night.start + timedelta(seconds=10 + seconds * at)
    metrics = _metrics(subject, night, times, chance)
    return {
        "index": at,
        "arm": "pipeline",
        "status": "succeeded",
        "started_at": _text(began),
        "finished_at": _text(began + timedelta(seconds=0.9 * seconds)),
        "metrics": metrics,
        "verification": _verification(subject, succeeded=True),
        "usage": _usage(subject, metrics["run_time"]["value"]),
        "noise": {
            "busy_share": round(float(chance.uniform(0.7, 0.8)), 4),
            "other_cpu_share": round(0.21 if disturbed else float(chance.uniform(0, 0.02)), 4),
            "steal_share": round(float(chance.uniform(0, 0.002)), 5),
            "load_1min_start": round(float(chance.uniform(0.3, 1.1)), 2),
            "disturbed": disturbed,
            "reasons": ["other processes used 21 % of the CPUs"] if disturbed else [],
        },
    }


def _seconds(subject: Subject) -> float:
    """Return about how long a repeat takes."""
    whole = sum(subject.stages.values())
    return (
        subject.startup + subject.load + subject.count * whole / subject.threads / subject.workers
    )


def _usage(subject: Subject, seconds: float) -> dict[str, Any] | None:
    """Return what the workers of a job used; None of a run on one machine."""
    if subject.workers == 1:
        return None
    worker_seconds = subject.workers * seconds
    return {
        "source": "service",
        "vcpu_seconds": worker_seconds * VCPUS,
        "memory_gb_seconds": worker_seconds * MEMORY_GB,
        "disk_gb_seconds": worker_seconds * DISK_GB,
        "ssd_gb_seconds": 0.0,
        "gpu_seconds": 0.0,
        "shuffle_gb": subject.count * subject.element_bytes / 2**30,
        "worker_seconds": worker_seconds,
    }


def _metrics(
    subject: Subject, night: Night, times: Mapping[Stage, float], chance: np.random.Generator
) -> dict[str, Any]:
    """Return the metrics of a repeat, from the seconds of an element in each stage."""
    whole, count = sum(times.values()), subject.count
    rate = subject.threads * subject.workers / whole
    latency = times["inference"] * subject.batch
    wait = subject.batch / rate / 2
    memory = math.prod(event.at(night.day) for event in subject.events if event.stage is None)
    values = {
        "throughput_elements": rate,
        "throughput_steady": rate * 1.02,
        "throughput_bytes": rate * subject.element_bytes,
        "element_latency_mean": whole + wait + latency - times["inference"],
        "inference_batch_latency_mean": latency,
        **{
            f"inference_batch_latency_{name}": latency * math.exp(log + chance.normal(0, 0.01))
            for name, log in QUANTILES.items()
        },
        "inference_batch_size_mean": subject.batch,
        "inference_batch_size_p50": float(round(subject.batch)),
        "model_load_latency_mean": subject.load * math.exp(chance.normal(0, 0.02)),
        "model_loads": 1.0,
        "startup_time": subject.startup + subject.load + float(chance.normal(0, 0.05)),
        "run_time": subject.startup + subject.load + count / rate + float(chance.normal(0, 0.06)),
        "cpu_time_per_element": whole * 0.98,
        "peak_memory": subject.memory * memory * math.exp(chance.normal(0, 0.003)),
        "elements_failed": 0.0,
        "stage_time_batch_wait": wait,
        **{f"stage_time_{name}": value for name, value in times.items() if name != "overhead"},
        **{f"stage_share_{name}": value / whole for name, value in times.items()},
    }
    if subject.accuracy is not None:
        values["accuracy_top1"] = subject.accuracy
    return {name: _value(name, value, count) for name, value in values.items()}


def _value(name: str, value: float, n: int) -> dict[str, Any]:
    metric = BY_NAME[name]
    return {"value": value, "unit": metric.unit, "direction": metric.direction, "n": n}


def _of_run(repeats: list[dict[str, Any]]) -> dict[str, MetricValue]:
    """Return medians over repeats with their intervals."""
    metrics = {}
    for name, first in repeats[0]["metrics"].items() if repeats else ():
        values = [repeat["metrics"][name]["value"] for repeat in repeats]
        low, high = median_interval(values) or (None, None)
        if BY_NAME[name].run_value in ("total", "elements"):
            low = high = None
        parts = {**first, "value": median(values), "n": len(values), "ci_low": low, "ci_high": high}
        metrics[name] = MetricValue.model_validate(parts)
    return metrics


def _input(subject: Subject) -> dict[str, Any]:
    return {
        "kind": subject.input_kind,
        "count": subject.count,
        "digest": hashlib.sha256(subject.benchmark.encode()).hexdigest(),
        "bytes": subject.count * subject.element_bytes,
        "source": "synthetic" if subject.input_kind == "synthetic" else "packaged",
    }


def _model(resolved: Resolved) -> dict[str, Any]:
    model = resolved.definition.model
    digest = hashlib.sha256(model.name.encode()).hexdigest()
    return {
        "name": model.name,
        "weights": model.weights,
        "digest": None if model.weights == "none" else digest,
        "size_mib": model.size_mib,
    }


def _config(resolved: Resolved, subject: Subject) -> dict[str, Any]:
    return {
        "definition": resolved.definition.model_dump(mode="json"),
        "overrides": list(subject.overrides),
        "source": "packaged",
        "limit": subject.count,
        "repeats": subject.repeats,
        "seed": 0,
        "timeout": 1800.0,
        "max_failed": 0.01,
        "beam_flags": [],
    }


def _verification(subject: Subject, *, succeeded: bool) -> dict[str, Any]:
    count = subject.count if succeeded else 0
    return {
        "elements_in": count,
        "elements_out": count,
        "elements_failed": 0,
        "duplicates": 0,
        "digest": hashlib.md5(subject.benchmark.encode(), usedforsecurity=False).hexdigest(),
        "reference_agreement": 1.0 if succeeded else None,
        "reference": {"sample": 32, "method": "labels", "compared": 32} if succeeded else {},
        "passed": succeeded,
        "problems": [] if succeeded else ["no repeat ended with a proof of its work"],
        "elements_compared": count,
        "detectable_share": 0.0,
    }


def _noise(repeats: list[dict[str, Any]], counted: list[dict[str, Any]]) -> dict[str, Any]:
    disturbed = [repeat["index"] for repeat in repeats if repeat["noise"]["disturbed"]]
    return {
        "repeats": len(repeats),
        "disturbed_repeats": disturbed,
        "counted_repeats": len(counted),
        "counted_disturbed": len(disturbed) if counted else 0,
    }


def environment(night: Night) -> dict[str, Any]:
    """Return the environment of a night, with digests as a real one has them."""
    cpu, cores = MACHINES[night.machine]
    content: dict[str, Any] = {
        "machine": {
            "architecture": "x86_64",
            "cpu_model": cpu,
            "cpu_flags": ["avx2", "avx512f", "amx_bf16"] if night.machine == "a" else ["avx2"],
            "cores": {"logical": cores, "physical": cores // 2, "usable": cores,
                      "cgroup_quota": None},
            "memory": {"total_bytes": 32 * 2**30, "cgroup_limit_bytes": None},
            "virtualised": True,
        },
        "os": {"system": "Linux", "kernel": "6.12.0", "distribution": "Debian GNU/Linux 12"},
        "python": {"version": "3.11.7", "implementation": "CPython"},
        "packages": {
            name: versions[max(day for day in versions if day <= night.day)]
            for name, versions in PACKAGES.items()
        },
        "git": {"project": {"commit": _commit(night.day), "dirty": False}},
    }  # fmt: skip
    comparable = comparable_part(content)
    content["machine_digest"] = hashlib.sha256(repr(comparable["machine"]).encode()).hexdigest()
    content["fingerprint_digest"] = hashlib.sha256(repr(comparable).encode()).hexdigest()
    return content


def _commit(day: int) -> str:
    number = day // COMMIT_EVERY
    return hashlib.sha1(f"commit {number}".encode(), usedforsecurity=False).hexdigest()


def _digest(subject: Subject, day: int) -> str:
    name = f"{subject.benchmark} {subject.variant} {day}"
    return hashlib.sha256(name.encode()).hexdigest()


def _text(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"
