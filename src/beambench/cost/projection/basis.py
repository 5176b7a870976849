"""What a projection rests on: the run, the plan, and how the two are unlike."""

from __future__ import annotations

from collections.abc import Sequence

from beambench.analysis.intervals import median
from beambench.cost.assumption import Assumption, Origin, Range
from beambench.cost.prices.sheet import Mode
from beambench.cost.projection.instructions import COMPILED, widest_vectors
from beambench.cost.projection.local_run import LocalRun, metric_values
from beambench.cost.projection.model import (
    GB,
    LONE_SPREAD,
    SYSTEM_GB,
    Fleet,
    Measurement,
    Projection,
    process_rate,
)
from beambench.cost.request import CostRequest, Source, differences
from beambench.record.configuration import definition_in
from beambench.record.run_record import RunRecord


def measured_assumptions(
    record: RunRecord, measured: Measurement, fleet: Fleet, projection: Projection
) -> list[Assumption]:
    """Say what of the run the projection rests on."""
    n = len(measured.throughputs)
    spread = f"median of {n} repeats, and where the next lies with 95 %"
    if n == 1:
        spread = f"one repeat; ± {LONE_SPREAD:.0%} assumed"
    processes = measured.processes
    shares = f", {processes} processes together ÷ {processes}" if processes > 1 else ""
    rows = [
        ("process_throughput_here", process_rate(measured), "1/s", f"{spread}{shares}"),
        (
            "startup_time",
            _spread(measured.startup),
            "s",
            "imports, pipeline and model load of a process, here",
        ),
    ]
    load = metric_values(record, "model_load_latency_mean")
    if load:
        rows.append(("model_load_latency", _spread(load), "s", "of which the load of the model"))
    rows.append(
        (
            "memory_per_machine",
            Range.exactly(projection.memory_gb),
            "GB",
            f"from the peak of {measured.peak_rss / GB:.2f} GB here; one batch at a time in a "
            f"process; {SYSTEM_GB:g} GB more for system and runner, of {fleet.machine.memory_gb:g} "
            "GB",
        )
    )
    return [
        Assumption(name=name, value=value, unit=unit, origin="measured", note=note)
        for name, value, unit, note in rows
    ]


def _spread(values: Sequence[float]) -> Range:
    return Range.of(min(values), median(values), max(values))


def planned_assumptions(
    request: CostRequest,
    source: Source,
    run: LocalRun,
    measured: Measurement,
    fleet: Fleet,
    mode: Mode,
) -> list[Assumption]:
    """Say what the plan is and who chose it."""
    rows = [
        *_plan(request, source, run, measured, fleet),
        Assumption.said(
            "harness_threads",
            "assumed",
            "a process is bound by its CPU: more harness threads of Beam in it add no speed",
        ),
    ]
    if mode == "spot":
        rows.append(
            Assumption.said(
                "spot",
                "asked" if request.spot else "definition",
                "no worker is taken away; FlexRS may wait up to 6 hours, which is neither paid nor "
                "in the wall time",
            )
        )
    there = widest_vectors(fleet.machine.instructions or [])
    if COMPILED in run.speeds() and measured.vectors != there:
        here, there = (name or "other vectors" for name in (measured.vectors, there))
        note = f"compiled for {here} here and for {there} there: the gain is the same"
        rows.append(Assumption.said("compiled_kernels", "assumed", note))
    return rows


def _plan(
    request: CostRequest, source: Source, run: LocalRun, measured: Measurement, fleet: Fleet
) -> list[Assumption]:
    """Return the numbers of the plan: of machines, processes, copies, threads and disks."""
    cluster = source.cluster
    own = cluster is not None and cluster.processes is not None
    processes: Origin = "asked" if request.processes else "definition" if own else "assumed"
    each = "one for each vCPU" if fleet.processes == fleet.machine.vcpus else ""
    workers: Origin = "asked" if request.workers else "definition"
    defined = source.definition.get("threads") == measured.threads
    threads: Origin = "definition" if defined else "assumed"
    unlike = "" if defined else "as here; the definition does not say so: set `threads` there too"
    is_set = definition_in(source.record.config).get("threads") is not None
    if run.busy_cores is not None and run.is_shared and not (is_set and run.model_runs != "server"):
        threads = "measured"
        unlike = f"{run.busy_cores:.1f} cores busy, with the processes that computed the model"
    rows: list[tuple[str, float, str, Origin, str]] = [
        ("workers", fleet.workers, "1", workers, "from start to end"),
        ("processes_per_machine", fleet.processes, "1", processes, each),
        ("copies_of_model", fleet.copies, "1", "definition", "on each machine"),
        ("threads_per_process", measured.threads, "1", threads, unlike),
    ]
    if fleet.disk_gb is not None:
        kind = "SSD" if fleet.ssd else ""
        rows.append(("disk_per_machine", fleet.disk_gb, "GB", "definition", kind))
    return [
        Assumption(name=name, value=Range.exactly(value), unit=unit, origin=origin, note=note)
        for name, value, unit, origin, note in rows
    ]


def notes_of(source: Source, measured: Measurement) -> list[str]:
    """Say what of the run is unlike the benchmark's full profile."""
    record, notes = source.record, differences(source)
    if "://" not in str(record.input.source):
        notes.append("the run was local: reading from a bucket, and the network, are not in it")
    most = source.definition["batching"].get("max_batch_size")
    if most is not None and 0 < measured.largest_batch < most:
        notes.append(
            f"batches had at most {measured.largest_batch} elements, and may have {most} there: "
            "time and memory of such are not known"
        )
    counted = [repeat for repeat in record.repeats if repeat.counts]
    disturbed = sum(repeat.is_disturbed for repeat in counted)
    if disturbed:
        notes.append(f"other work on its machine disturbed {disturbed} of {len(counted)} repeats")
    if len(measured.throughputs) < 3:
        notes.append("fewer than 3 repeats: the spread of the throughput is not known well")
    cluster = source.cluster
    if cluster is not None and cluster.autoscaling != "none":
        notes.append("autoscaling is not projected: all workers are there from start to end")
    return notes
