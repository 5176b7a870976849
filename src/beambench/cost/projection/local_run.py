"""A run on this machine as a projection sees it: what it measured, and where its model computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from beambench.cost.projection.instructions import COMPILED, widest_vectors
from beambench.cost.projection.model import Measurement
from beambench.definition.plan import decided_definition
from beambench.errors import RunError
from beambench.record.configuration import Configuration, definition_in, read_configuration
from beambench.record.environment import read_environment
from beambench.record.run_record import ModelRuns, RunRecord

MEMORY = ("peak_memory", "peak_rss")
"""Metrics of memory; that of earlier records, which is some 10 MB more, where there is no other."""
ONE_CORE = 1.1
"""Cores that a process may keep busy and still be one that uses one."""
BUSIER = 1.25
"""Cores ÷ threads that a process may keep busy and still be one of so many threads."""
CPU_OF_ALL = 2
"""Version of the first records whose CPU time holds what other processes did for the model."""


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

    @cached_property
    def configuration(self) -> Configuration:
        """What is known of the record's configuration."""
        return read_configuration(self.record.config)

    @property
    def model_runs(self) -> ModelRuns:
        """Where the model computed; where the record does not say, the workload does."""
        return self.configuration.model_runs or self.workload.model_runs

    @property
    def processes(self) -> int:
        """How many ran the pipeline at once."""
        definition = self.configuration.definition or {}
        processes: int = definition.get("runner", {}).get("processes", 1)
        return processes

    @property
    def is_shared(self) -> bool:
        """Whether other processes than those that ran the pipeline computed the model."""
        copies = copies_of_model(self.record, self.processes)
        return self.model_runs == "server" or copies < self.processes

    @property
    def busy_cores(self) -> float | None:
        """How many cores each process kept busy, with its share of those that computed for it."""
        record = self.record
        if self.is_shared and record.schema_version < CPU_OF_ALL:
            return None
        rate, cpu = (
            metric_values(record, name) for name in ("throughput_elements", "cpu_time_per_element")
        )
        return max(rate) * min(cpu) / self.processes if rate and cpu else None

    def speeds(self) -> list[str]:
        """Return what of the run's settings may rest on instructions: see RESTS_ON.

        Raises:
            UsageError: the record or the workload does not tell.
        """
        definition = decided_definition(self.record)
        compiled = definition.get("parameters", {}).get("compiled_batch_size") is not None
        stated = self.configuration.precision
        precision = self.workload.precision_of(definition) if stated is None else stated
        return [precision, *([COMPILED] if compiled else [])]


def copies_of_model(record: RunRecord, processes: int) -> int:
    """Return the copies of the model that the processes of a machine hold."""
    model = definition_in(record.config)["model"]
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


def measure(run: LocalRun) -> Measurement:
    """Return what a run measured.

    Raises:
        RunError: it lacks a metric that a projection rests on.
    """
    record, processes = run.record, run.processes
    memory = next((name for name in MEMORY if metric_values(record, name)), MEMORY[0])
    names = ("throughput_elements", "startup_time", memory)
    values = {name: metric_values(record, name) for name in names}
    for name, of_repeats in values.items():
        if not of_repeats:
            raise RunError(f"run {record.run_id}: it has no {name}, which a projection rests on")
    threads = threads_of(run)
    machine = read_environment(record.environment).machine
    logical, physical = machine.cores.logical, machine.cores.physical
    shared = bool(logical and physical and logical > physical and processes * threads > physical)
    has = [name for name, there in machine.instructions.items() if there]
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


def threads_of(run: LocalRun) -> int:
    """Return the threads of one process: those that were set, or kept cores busy all the same.

    Of a process whose model computes in others, the threads of those are in it by their share.

    Raises:
        RunError: nothing says how many others had.
    """
    chosen = definition_in(run.record.config).get("threads")
    torch = read_environment(run.record.environment).torch
    of_torch = torch.threads if torch is not None else None
    busy = run.busy_cores
    if run.model_runs == "server":  # what is set in the worker is not its threads
        chosen = of_torch = None
    if chosen is not None:
        return int(chosen) if busy is None or busy <= chosen * BUSIER else math.ceil(busy)
    if busy is not None and (busy <= ONE_CORE or run.is_shared):
        return max(1, math.ceil(busy - (ONE_CORE - 1)))
    if busy is None and of_torch is None and run.is_shared:
        raise RunError(
            f"run {run.record.run_id}: the CPU time of the processes that computed its model is "
            "not known, so their threads are not: measure it again with this version"
        )
    return int(of_torch or math.ceil(busy or 1))
