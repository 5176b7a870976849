"""A run on this machine as a projection sees it: what it measured, and where its model computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from beambench.cost.projection.instructions import COMPILED, widest_vectors
from beambench.cost.projection.model import Measurement
from beambench.definition.plan import decided_definition
from beambench.errors import RunError
from beambench.record.run_record import ModelRuns, RunRecord

MEMORY = ("peak_memory", "peak_rss")
"""Metrics of memory; that of earlier records, which is some 10 MB more, where there is no other."""
ONE_CORE = 1.1
"""Cores that a process may keep busy and still be one that uses one."""
BUSIER = 1.25
"""Cores ÷ threads that a process may keep busy and still be one of so many threads."""


@dataclass(frozen=True)
class WorkloadTraits:
    """What a workload says of itself that decides what its runs cost elsewhere.

    Attributes:
        model_runs: where the model computes.
        float32_option: how a run in float32 is asked for.
        precision_of: what the model of a definition, with all that it left open decided, computes
            in; raises UsageError where the workload does not tell.
    """

    model_runs: ModelRuns
    float32_option: str
    precision_of: Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class LocalRun:
    """A run on one machine, and its workload."""

    record: RunRecord
    workload: WorkloadTraits

    @property
    def model_runs(self) -> ModelRuns:
        """Where the model computed; where the record does not say, the workload does."""
        stated: ModelRuns | None = self.record.config.get("model_runs")
        return stated or self.workload.model_runs

    def speeds(self) -> list[str]:
        """Return what of the run's settings may rest on instructions: see RESTS_ON.

        Raises:
            UsageError: the record or the workload does not tell.
        """
        definition = decided_definition(self.record)
        compiled = definition.get("parameters", {}).get("compiled_batch_size") is not None
        precision = self.record.config.get("precision")
        if not isinstance(precision, str):
            precision = self.workload.precision_of(definition)
        return [precision, *([COMPILED] if compiled else [])]


def copies_of_model(record: RunRecord, processes: int) -> int:
    """Return the copies of the model that the processes of a machine hold."""
    model = record.config["definition"]["model"]
    if model.get("large"):
        return 1
    return min(processes, model.get("copies") or processes)


def metric_values(record: RunRecord, name: str) -> list[float]:
    """Return a metric of each repeat that counts; where there are none, that of the run."""
    values = [
        repeat.metrics[name].value
        for repeat in record.repeats
        if repeat.counts and name in repeat.metrics
    ]
    if not values and name in record.metrics:
        values = [record.metrics[name].value]
    return [value for value in values if value > 0]


def measure(record: RunRecord) -> Measurement:
    """Return what a run measured.

    Raises:
        RunError: it lacks a metric that a projection rests on.
    """
    memory = next((name for name in MEMORY if metric_values(record, name)), MEMORY[0])
    names = ("throughput_elements", "startup_time", memory)
    values = {name: metric_values(record, name) for name in names}
    for name, of_repeats in values.items():
        if not of_repeats:
            raise RunError(f"run {record.run_id}: it has no {name}, which a projection rests on")
    processes = record.config["definition"].get("runner", {}).get("processes", 1)
    threads = _threads(record, processes)
    machine = record.environment.get("machine", {})
    cores = machine.get("cores", {})
    logical, physical = cores.get("logical"), cores.get("physical")
    shared = bool(logical and physical and logical > physical and processes * threads > physical)
    has = [name for name, there in machine.get("instructions", {}).items() if there]
    return Measurement(
        throughputs=values["throughput_elements"],
        startup=values["startup_time"],
        peak_rss=max(values[memory]),
        model_bytes=(record.model.size_mib or 0) * 2**20,
        processes=processes,
        copies=copies_of_model(record, processes),
        threads=threads,
        shared_cores=shared,
        vectors=widest_vectors(has),
        largest_batch=max(
            (size for repeat in record.repeats for size in repeat.batch_sizes), default=0
        ),
    )


def _threads(record: RunRecord, processes: int) -> int:
    """Return the threads of one process: those that were set, or kept cores busy all the same."""
    chosen = record.config["definition"].get("threads")
    torch = record.environment.get("torch") or {}
    busy = busy_cores(record, processes)
    if chosen is not None:
        return int(chosen) if busy is None or busy <= chosen * BUSIER else math.ceil(busy)
    if busy is not None and busy <= ONE_CORE:
        return 1
    return int(torch.get("threads") or math.ceil(busy or 1))


def busy_cores(record: RunRecord, processes: int) -> float | None:
    """Return how many cores a process kept busy."""
    rate, cpu = (
        metric_values(record, name) for name in ("throughput_elements", "cpu_time_per_element")
    )
    return max(rate) * min(cpu) / processes if rate and cpu else None
