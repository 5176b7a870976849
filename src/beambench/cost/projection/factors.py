"""The factors that no run on another machine can measure: what is assumed of them, and why."""

from __future__ import annotations

from beambench.cost.assumption import Assumption, Origin, Range
from beambench.cost.prices.sheet import Machine, OwnMachine
from beambench.cost.projection.instructions import VECTORS, widest_vectors
from beambench.cost.projection.model import Factors, Fleet, Measurement, elements_per_process
from beambench.cost.request import CostRequest

WORKER_START = Range.of(60, 180, 420)
SHUFFLE_BYTES = Range.of(0, 300, 2000)
FACTORS = {
    "scale": ("1", "speed of a process alone there ÷ here"),
    "parallel_efficiency": ("1", "speed of a process among all of its machine ÷ alone"),
    "stragglers": ("1", "time of the last worker ÷ mean"),
    "worker_start": ("s", "until a worker can start processes, all of it paid"),
    "shuffle_per_element": ("B", "through the shuffle service"),
}
"""Unit and meaning of each factor."""
SHUFFLE_NOTE = "ids, labels and the proof of work, no contents"
Estimated = tuple[Range, Origin, str]
"""A factor, where it comes from, and why."""


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


def default_efficiency(measured: Measurement, fleet: Fleet) -> Estimated:
    """Return the speed of a process among all on its machine ÷ alone, and why."""
    cores, origin, why = _efficiency_of_cores(measured, fleet)
    share = fleet.copies / fleet.processes
    if share < measured.copies / measured.processes:
        why += f"; they share copies of the model: at worst {fleet.copies} compute at a time"
        return Range.of(min(share, cores.low), cores.expected, cores.high), "assumed", why
    return cores, origin, why


def _efficiency_of_cores(measured: Measurement, fleet: Fleet) -> Estimated:
    threads, shape = fleet.processes * measured.threads, fleet.machine
    is_fuller = fleet.processes > measured.processes
    crowded = threads > shape.vcpus / 2 and not measured.shared_cores
    if crowded and shape.threads_per_core == 2:
        return (
            Range.of(0.5, 0.6, 0.75),
            "assumed",
            f"{threads} busy threads on {shape.vcpus} vCPUs, which are two hyper-threads to a core",
        )
    if (is_fuller or crowded) and shape.threads_per_core is None:
        return (
            Range.of(0.5, 0.8, 1.0),
            "assumed",
            "processes share memory and caches, and maybe cores (threads_per_core is not known)",
        )
    if not is_fuller:
        return Range.exactly(1), "measured", "as many processes or more ran at once here"
    return Range.of(0.75, 0.9, 1.0), "assumed", "processes share memory and caches"


def default_stragglers(measured: Measurement, elements_per_process: int) -> Estimated:
    """Return the time until the last worker is done ÷ the mean, and why."""
    batch = 1 + measured.largest_batch / elements_per_process
    size = measured.largest_batch or "its size is not known"
    return (
        Range.of(1.0, 1.1, max(1.25, batch)),
        "assumed",
        f"work is spread evenly; at worst a process is one batch ({size}) or a quarter of the time "
        "behind",
    )


def chosen_factors(
    request: CostRequest, measured: Measurement, fleet: Fleet, elements: int
) -> tuple[Factors, list[Assumption]]:
    """Return the factors that no run here measures, and say what they are and why."""
    estimated: dict[str, Estimated] = {
        "scale": default_scale(measured.vectors, fleet.machine),
        "parallel_efficiency": default_efficiency(measured, fleet),
        "stragglers": default_stragglers(measured, elements_per_process(elements, fleet)),
        "worker_start": (WORKER_START, "assumed", "machine, image and packages"),
        "shuffle_per_element": (SHUFFLE_BYTES, "assumed", SHUFFLE_NOTE),
    }
    if isinstance(fleet.machine, OwnMachine):
        none = "machines of one's own have no such service"
        estimated["shuffle_per_element"] = Range.exactly(0), "definition", none
        why = "machine, image and packages; --worker-start 0 for machines that run anyway"
        estimated["worker_start"] = WORKER_START, "assumed", why
    chosen: dict[str, Range] = {}
    assumptions = []
    for name, (value, origin, why) in estimated.items():
        asked: Range | None = getattr(request, name, None)
        unit, meaning = FACTORS[name]
        chosen[name] = asked or value
        assumptions.append(
            Assumption(
                name=name,
                value=chosen[name],
                unit=unit,
                origin="asked" if asked else origin,
                note=meaning if asked else f"{meaning}: {why}",
            )
        )
    return Factors(**chosen), assumptions
