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
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from beambench.analysis.intervals import median
from beambench.cost.sheet import Machine
from beambench.record.run_record import Part, Usage

GB = 2**30
SYSTEM_GB = 1.0
"""Memory of a worker that its system and the runner's own process keep."""
LONE_SPREAD = 0.1
"""Half the range around a value that was measured once."""
VECTORS = ("avx", "avx2", "avx512f")
"""Instructions that decide how many numbers a core takes at a time, the narrowest first."""
COMPILED = "compiled kernels"
RESTS_ON = {
    "bfloat16": ("avx512_bf16", "amx_bf16", "bf16"),
    "float16": ("avx512_fp16", "amx_fp16", "asimdhp"),
    COMPILED: ("avx2",),
}
"""Instructions that make computing so faster than in float32, on x86 and on ARM.

torch.compile makes vectors for AVX2 or wider, and none for an x86 CPU without.
"""

Origin = Literal["measured", "definition", "assumed", "asked"]
BOUNDS = ("low", "expected", "high")


class Range(Part):
    """A number that is not known exactly."""

    low: float = Field(ge=0, allow_inf_nan=False)
    expected: float = Field(ge=0, allow_inf_nan=False)
    high: float = Field(ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low <= self.expected <= self.high:
            raise ValueError("must rise: low, expected, high")
        return self

    @classmethod
    def of(cls, low: float, expected: float, high: float) -> Range:
        return cls(low=low, expected=expected, high=high)

    @classmethod
    def exactly(cls, value: float) -> Range:
        return cls(low=value, expected=value, high=value)

    def times(self, other: Range) -> Range:
        return Range.of(
            self.low * other.low, self.expected * other.expected, self.high * other.high
        )

    def inverse(self, numerator: float) -> Range:
        """Return numerator ÷ this, the low end from the high one."""
        return Range.of(numerator / self.high, numerator / self.expected, numerator / self.low)


class Assumption(Part):
    """What a projection rests on: a number with its range, and where it comes from.

    ``origin``: measured by the run, said by the definition, asked for on the command line, or
    assumed by beambench.
    """

    name: str
    value: Range | None
    unit: str
    origin: Origin
    note: str

    @classmethod
    def said(cls, name: str, origin: Origin, note: str) -> Assumption:
        """Return one that is no number."""
        return cls(name=name, value=None, unit="", origin=origin, note=note)


@dataclass(frozen=True)
class Measured:
    """What a run on one machine measured.

    Attributes:
        throughputs: elements per second of all processes together, one a repeat.
        interval: of their median, where n allows one.
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
    interval: tuple[float, float] | None
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


Estimated = tuple[Range, Origin, str]
"""A factor, where it comes from, and why."""


def process_rate(measured: Measured) -> Range:
    """Return the elements per second of one process, on the machine that measured."""
    middle = median(measured.throughputs)
    low, high = min(measured.throughputs), max(measured.throughputs)
    if measured.interval is not None:
        low, high = measured.interval
    elif len(measured.throughputs) == 1:
        low, high = middle * (1 - LONE_SPREAD), middle * (1 + LONE_SPREAD)
    n = measured.processes
    return Range.of(min(low, middle) / n, middle / n, max(high, middle) / n)


def memory_gb(measured: Measured, processes: int, copies: int) -> float:
    """Return the memory that processes need which hold so many copies of the model."""
    own = (measured.peak_rss - measured.copies * measured.model_bytes) / measured.processes
    return (processes * max(0.0, own) + copies * measured.model_bytes) / GB


def fitting_processes(measured: Measured, fleet: Fleet) -> int:
    """Return how many processes fit into the memory of a machine, at most as many as planned."""
    free = fleet.machine.memory_gb - SYSTEM_GB
    shared = fleet.copies if fleet.copies < fleet.processes else None
    for processes in range(fleet.processes, 0, -1):
        copies = processes if shared is None else min(shared, processes)
        if memory_gb(measured, processes, copies) <= free:
            return processes
    return 0


def fits_threads(measured: Measured, fleet: Fleet) -> bool:
    """Tell whether every thread gets a vCPU, as every one had a core here."""
    return fleet.processes * measured.threads <= fleet.machine.vcpus


def lacking(speed: str, here: Mapping[str, bool], there: Sequence[str] | None) -> list[str]:
    """Return the instructions that made computing so fast here and that are not sure to be there.

    Where it is not known what this CPU has, it may have had any; None: that CPU is not known.
    """
    names = RESTS_ON.get(speed, ())
    used = [name for name in names if here.get(name)] if here else list(names[:1])
    return [name for name in used if there is None or name not in there]


def widest_vectors(instructions: Collection[str]) -> str | None:
    """Return the last of VECTORS that is among the instructions of a CPU."""
    return next((name for name in reversed(VECTORS) if name in instructions), None)


def default_scale(vectors: str | None, machine: Machine) -> Estimated:
    """Return the speed of a process there ÷ here that is assumed, and why."""
    if machine.instructions is None or vectors is None:
        return (
            Range.of(0.5, 1.0, 1.5),
            "assumed",
            "one of the two CPUs is not known: measure it, or --scale",
        )
    there = widest_vectors(machine.instructions)
    if VECTORS.index(vectors) > (VECTORS.index(there) if there else -1):
        return (
            Range.of(0.25, 0.5, 0.8),
            "assumed",
            f"this CPU has {vectors}, that one is sure of {there or 'none of these'} only, and of "
            "a lower clock",
        )
    return (
        Range.of(0.5, 0.8, 1.2),
        "assumed",
        "as wide instructions there at least, another clock and cache",
    )


def default_efficiency(measured: Measured, fleet: Fleet) -> Estimated:
    """Return the speed of a process among all on its machine ÷ alone, and why."""
    found, origin, why = _efficiency_of_cores(measured, fleet)
    share = fleet.copies / fleet.processes
    if share < measured.copies / measured.processes:
        why += f"; they share copies of the model: at worst {fleet.copies} compute at a time"
        return Range.of(min(share, found.low), found.expected, found.high), "assumed", why
    return found, origin, why


def _efficiency_of_cores(measured: Measured, fleet: Fleet) -> Estimated:
    threads, shape = fleet.processes * measured.threads, fleet.machine
    more = fleet.processes > measured.processes
    crowded = threads > shape.vcpus / 2 and not measured.shared_cores
    if crowded and shape.threads_per_core == 2:
        return (
            Range.of(0.5, 0.6, 0.75),
            "assumed",
            f"{threads} busy threads on {shape.vcpus} vCPUs, which are two hyper-threads to a core",
        )
    if (more or crowded) and shape.threads_per_core is None:
        return (
            Range.of(0.5, 0.8, 1.0),
            "assumed",
            "processes share memory and caches, and maybe cores (threads_per_core is not known)",
        )
    if not more:
        return Range.exactly(1), "measured", "as many processes or more ran at once here"
    return Range.of(0.75, 0.9, 1.0), "assumed", "processes share memory and caches"


def default_stragglers(measured: Measured, elements_per_process: int) -> Estimated:
    """Return the time until the last worker is done ÷ the mean, and why."""
    batch = 1 + measured.largest_batch / elements_per_process
    size = measured.largest_batch or "its size is not known"
    return (
        Range.of(1.0, 1.1, max(1.25, batch)),
        "assumed",
        f"work is spread evenly; at worst a process is one batch ({size}) or a quarter of the time "
        "behind",
    )


def elements_per_process(elements: int, fleet: Fleet) -> int:
    return max(1, math.ceil(elements / (fleet.workers * fleet.processes)))


def project(measured: Measured, fleet: Fleet, factors: Factors, elements: int) -> Projection:
    """Project a run to a cluster that does `elements` elements. See the formulas above."""
    speed = factors.scale.times(factors.parallel_efficiency)
    rate = process_rate(measured).times(speed)
    start = median(measured.startup)
    slowest, fastest = max(measured.startup), min(measured.startup)
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
        memory_gb=memory_gb(measured, fleet.processes, fleet.copies),
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
