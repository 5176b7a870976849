"""From what one machine measured to a cluster: pure functions from numbers to numbers with a range.

A process does the same work on a worker as it did here, only slower or faster. So::

    rate of a process there = rate of a process here × scale × parallel efficiency
    rate of the cluster     = rate of a process there × processes × workers
    wall time               = worker start + set-up ÷ (scale × parallel efficiency)
                              + ⌈elements ÷ (workers × processes)⌉ ÷ rate of a process × stragglers

All workers are paid from start to end. Every quantity has a low, an expected and a high value: low
and high take *every* assumption at the end that makes it so, which is wider than any one outcome is
likely to be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from beambench.analysis.intervals import median, prediction_interval
from beambench.cost.assumption import BOUNDS, Range
from beambench.cost.prices.sheet import Machine
from beambench.record.run_record import Part, Usage

GB = 2**30
SYSTEM_GB = 1.0
"""Memory of a worker that its system and the runner's own process keep."""
LONE_SPREAD = 0.1
"""Half the range around a value that was measured once."""


@dataclass(frozen=True)
class Measurement:
    """What a run on one machine measured.

    Attributes:
        throughputs: elements per second of all processes together, one a repeat.
        startup: seconds from the start of a process to its first element, one a repeat.
        peak_rss: greatest memory of all processes together, in bytes.
        model_bytes: size of one copy of the model.
        processes: that ran the pipeline at once.
        copies: of the model that they held.
        threads: that one operation of a process used.
        shared_cores: whether more threads were busy than there are cores, two to a core.
        vectors: the widest of VECTORS that the CPU has; None: unknown.
        largest_batch: elements of the largest batch; 0: unknown.
    """

    throughputs: Sequence[float]
    startup: Sequence[float]
    peak_rss: float
    model_bytes: float = 0
    processes: int = 1
    copies: int = 1
    threads: int = 1
    shared_cores: bool = False
    vectors: str | None = None
    largest_batch: int = 0


@dataclass(frozen=True)
class Fleet:
    """The machines that are projected to.

    Attributes:
        workers: machines.
        processes: on each.
        copies: of the model on each.
        disk_gb: of each; None: unknown.
        ssd: whether that is an SSD.
    """

    name: str
    machine: Machine
    workers: int
    processes: int
    copies: int
    disk_gb: float | None
    ssd: bool = False


@dataclass(frozen=True)
class Factors:
    """What no run on another machine can measure.

    Attributes:
        scale: speed of a process alone on the target ÷ its speed here.
        parallel_efficiency: speed of a process among all on its machine ÷ its speed alone.
        stragglers: time until the last worker is done ÷ mean time.
        worker_start: seconds from asking for a worker until it can start a process.
        shuffle_per_element: bytes of an element that pass the service's shuffle.
    """

    scale: Range
    parallel_efficiency: Range
    stragglers: Range
    worker_start: Range
    shuffle_per_element: Range


class Projection(Part):
    """What is expected of the cluster. ``low`` is a low value of the quantity itself."""

    throughput_elements: Range
    process_throughput: Range
    setup_seconds: Range
    processing_seconds: Range
    wall_seconds: Range
    worker_seconds: Range
    memory_gb: float
    usage: dict[Literal["low", "expected", "high"], Usage]


def process_rate(run: Measurement) -> Range:
    """Return the elements per second of one process, on the machine that run."""
    middle = median(run.throughputs)
    lone = middle * (1 - LONE_SPREAD), middle * (1 + LONE_SPREAD)
    low, high = prediction_interval(run.throughputs) or lone
    n = run.processes
    return Range.of(min(low, middle) / n, middle / n, max(high, middle) / n)


def memory_gb(run: Measurement, processes: int, copies: int) -> float:
    """Return the memory that processes need which hold so many copies of the model."""
    own = (run.peak_rss - run.copies * run.model_bytes) / run.processes
    return (processes * max(0.0, own) + copies * run.model_bytes) / GB


def fitting_processes(run: Measurement, fleet: Fleet) -> int:
    """Return how many processes fit into the memory of a machine, at most as many as planned."""
    free = fleet.machine.memory_gb - SYSTEM_GB
    shared = fleet.copies if fleet.copies < fleet.processes else None
    for processes in range(fleet.processes, 0, -1):
        copies = processes if shared is None else min(shared, processes)
        if memory_gb(run, processes, copies) <= free:
            return processes
    return 0


def fits_threads(run: Measurement, fleet: Fleet) -> bool:
    """Tell whether every thread gets a vCPU, as every one had a core here."""
    return fleet.processes * run.threads <= fleet.machine.vcpus


def elements_per_process(elements: int, fleet: Fleet) -> int:
    return max(1, math.ceil(elements / (fleet.workers * fleet.processes)))


def project(run: Measurement, fleet: Fleet, factors: Factors, elements: int) -> Projection:
    """Project a run to a cluster that does `elements` elements. See the formulas above."""
    speed = factors.scale.times(factors.parallel_efficiency)
    rate = process_rate(run).times(speed)
    start = median(run.startup)
    slowest, fastest = max(run.startup), min(run.startup)
    setup = Range.of(fastest / speed.high, start / speed.expected, slowest / speed.low)
    busy = rate.inverse(elements_per_process(elements, fleet)).times(factors.stragglers)
    wall = Range.of(
        *(
            getattr(factors.worker_start, end) + getattr(setup, end) + getattr(busy, end)
            for end in BOUNDS
        )
    )
    workers = wall.times(Range.exactly(fleet.workers))
    shuffle = factors.shuffle_per_element.times(Range.exactly(elements / GB))
    return Projection(
        throughput_elements=busy.inverse(elements),
        process_throughput=rate,
        setup_seconds=setup,
        processing_seconds=busy,
        wall_seconds=wall,
        worker_seconds=workers,
        memory_gb=memory_gb(run, fleet.processes, fleet.copies),
        usage={
            "low": _usage(fleet, workers.low, shuffle.low),
            "expected": _usage(fleet, workers.expected, shuffle.expected),
            "high": _usage(fleet, workers.high, shuffle.high),
        },
    )


def _usage(fleet: Fleet, worker_seconds: float, shuffle_gb: float) -> Usage:
    disk = None if fleet.disk_gb is None else worker_seconds * fleet.disk_gb
    return Usage(
        source="projection",
        vcpu_seconds=worker_seconds * fleet.machine.vcpus,
        memory_gb_seconds=worker_seconds * fleet.machine.memory_gb,
        disk_gb_seconds=0 if fleet.ssd else disk,
        ssd_gb_seconds=disk if fleet.ssd else 0,
        gpu_seconds=0,
        shuffle_gb=shuffle_gb,
        streaming_gb=0,
        worker_seconds=worker_seconds,
    )
