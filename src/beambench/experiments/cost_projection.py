"""What a run on this machine foretells of a cluster, and all that this rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beambench.analysis.intervals import median
from beambench.analysis.projection import (
    LONE_SPREAD,
    SYSTEM_GB,
    VECTORS,
    Assumption,
    Factors,
    Fleet,
    Measured,
    Origin,
    Projection,
    Range,
    default_efficiency,
    default_scale,
    default_stragglers,
    elements_per_process,
    fits_threads,
    fitting_processes,
    lacking,
    memory_gb,
    process_rate,
    project,
)
from beambench.cost.sheet import Mode, OwnMachine, Sheet, find_machine, machine_types
from beambench.errors import RunError, UsageError
from beambench.experiments.cost_request import (
    NO_GPU,
    CostRequest,
    Source,
    benchmark_elements,
    differences,
    is_job,
    mode_of,
)
from beambench.record.run_record import RunRecord
from beambench.store.run_store import RunStore

FULL = "float32"
SERVED = "text_generation"
"""The workload whose model runs in a server of its own."""
RUNS_LOOKED_AT = 20
"""The newest ones, for a run that could be projected in place of one that cannot."""
ONE_CORE = 1.1
"""Cores that a process may keep busy and still be one that uses one."""
WORKER_START = Range.of(60, 180, 420)
SHUFFLE_BYTES = Range.of(0, 300, 2000)
SHUFFLE_NOTE = "ids, labels and the proof of work, no contents"
GPU_REFUSED = (
    "needs a measurement on that GPU: run it on Dataflow, or plan CPUs with --gpu none and "
    "--machine-type"
)


@dataclass(frozen=True)
class Foretold:
    """A projection, with what it is for and what it rests on."""

    fleet: Fleet
    measured: Measured
    elements: int
    projection: Projection
    assumptions: list[Assumption]
    notes: list[str]


def foretell(request: CostRequest, source: Source, sheet: Sheet, runs: RunStore) -> Foretold:
    """Project a run to the machines that its definition names, or that were asked for.

    Raises:
        UsageError: the plan cannot be right, or the run says nothing about it.
        RunError: the run measured nothing that could be projected.
    """
    record = source.record
    _check_projectable(request, source)
    fleet = _fleet(request, source, sheet)
    measured = _measured(source)
    _check_instructions(source, fleet, runs)
    _check_threads(record, measured, fleet)
    _check_memory(record, measured, fleet, sheet)
    elements = benchmark_elements(request, source)
    if elements is None:
        raise UsageError(f"{record.benchmark}: has no full profile: give --elements")
    factors, assumed = _factors(request, measured, fleet, elements)
    found = project(measured, fleet, factors, elements)
    assumptions = [
        *_measurements(source, measured, found),
        *_planned(request, source, measured, fleet, mode_of(request, source)),
        *assumed,
    ]
    return Foretold(fleet, measured, elements, found, assumptions, _notes(source, measured))


def _check_projectable(request: CostRequest, source: Source) -> None:
    record = source.record
    where = f"run {record.run_id}"
    if record.status != "succeeded":
        raise RunError(f"{where}: {record.status.replace('_', ' ')}, so it measured no throughput")
    if record.imported is not None and record.imported.format == "beam":
        raise RunError(f"{where}: imported from Beam's rows, which do not say what is needed")
    if source.definition.get("scenario") == "streaming":
        raise UsageError(
            f"{record.benchmark}: a streaming job costs its hours, which no run on this machine "
            "foretells: price a run on Dataflow"
        )
    accelerator = source.cluster.accelerator if source.cluster else None
    gpu = request.gpu or (accelerator.type if accelerator else NO_GPU)
    if gpu != NO_GPU:
        raise UsageError(f"{where}: ran on a CPU, and a plan with {gpu} {GPU_REFUSED}")
    ran = record.config["definition"]
    if ran["model"]["device"] == "gpu":
        raise UsageError(f"{where}: ran on a GPU, and a plan without one needs a run on a CPU")
    if ran["profiles"].get(record.profile, {}).get("model") is not None:
        raise UsageError(
            f"{where}: profile {record.profile} runs {record.model.name} in place of the "
            "benchmark's model: give a run of another profile"
        )
    flags = [str(flag) for flag in record.config.get("beam_flags", [])]
    own = [flag for flag in flags if flag.startswith(("--direct_num_workers", "--direct_running"))]
    if own:
        raise UsageError(
            f"{where}: {own[0]} decided over its processes: run it with --set runner.processes=N"
        )


def _fleet(request: CostRequest, source: Source, sheet: Sheet) -> Fleet:
    cluster = source.cluster
    name = request.machine_type or (cluster.machine_type if cluster else None)
    workers = request.workers or (cluster.workers if cluster else None)
    if name is None or workers is None:
        raise UsageError(
            f"{source.record.benchmark}: its definition names no cluster: give --machine-type and "
            "--workers"
        )
    machine = find_machine(name, sheet)
    if machine.gpus:
        raise UsageError(
            f"run {source.record.run_id}: {name} has a GPU, and a plan with it {GPU_REFUSED}"
        )
    processes = request.processes or (cluster.processes if cluster else None) or machine.vcpus
    if name not in sheet.machines and processes not in (1, machine.vcpus):
        raise UsageError(
            f"--processes {processes}: Dataflow starts one for each vCPU ({machine.vcpus} of "
            f"{name}), or 1"
        )
    return Fleet(
        name=name,
        machine=machine,
        workers=workers,
        processes=processes,
        copies=_copies(source.record, processes),
        disk_gb=cluster.disk_gb if cluster else None,
        ssd=cluster is not None and cluster.disk_type == "pd-ssd",
    )


def _copies(record: RunRecord, processes: int) -> int:
    """Return the copies of the model that the processes of a machine hold."""
    model = record.config["definition"]["model"]
    if model.get("large"):
        return 1
    return min(processes, model.get("copies") or processes)


def _values(record: RunRecord, name: str) -> list[float]:
    """Return a metric of each succeeded repeat; where there are none, that of the run."""
    values = [
        repeat.metrics[name].value
        for repeat in record.repeats
        if repeat.status == "succeeded" and name in repeat.metrics
    ]
    if not values and name in record.metrics:
        values = [record.metrics[name].value]
    return [value for value in values if value > 0]


def _measured(source: Source) -> Measured:
    record = source.record
    values = {
        name: _values(record, name) for name in ("throughput_elements", "startup_time", "peak_rss")
    }
    for name, found in values.items():
        if not found:
            raise RunError(f"run {record.run_id}: it has no {name}, which a projection rests on")
    whole = record.metrics.get("throughput_elements")
    interval = None
    if whole is not None and whole.ci_low and whole.ci_high:
        interval = (whole.ci_low, whole.ci_high)
    processes = record.config["definition"].get("runner", {}).get("processes", 1)
    threads = _threads(record, processes)
    machine = record.environment.get("machine", {})
    cores = machine.get("cores", {})
    logical, physical = cores.get("logical"), cores.get("physical")
    shared = bool(logical and physical and logical > physical and processes * threads > physical)
    has = machine.get("instructions", {})
    return Measured(
        throughputs=values["throughput_elements"],
        interval=interval,
        startup=values["startup_time"],
        peak_rss=max(values["peak_rss"]),
        model_bytes=(record.model.size_mib or 0) * 2**20,
        processes=processes,
        copies=_copies(record, processes),
        threads=threads,
        shared_cores=shared,
        vectors=next((name for name in reversed(VECTORS) if has.get(name)), None),
        largest_batch=max((size for one in record.repeats for size in one.batch_sizes), default=0),
    )


def _threads(record: RunRecord, processes: int) -> int:
    """Return the threads of one process: what was set, unless a process kept one core busy."""
    chosen = record.config["definition"].get("threads")
    if chosen is not None:
        return int(chosen)
    torch = record.environment.get("torch") or {}
    rate, cpu = (_values(record, name) for name in ("throughput_elements", "cpu_time_per_element"))
    busy = max(rate) * min(cpu) / processes if rate and cpu else None
    if busy is not None and busy <= ONE_CORE:
        return 1
    return int(torch.get("threads") or math.ceil(busy or 1))


def _check_instructions(source: Source, fleet: Fleet, runs: RunStore) -> None:
    record = source.record
    ran = record.config["definition"]
    here = record.environment.get("machine", {}).get("instructions", {})
    missing = lacking(_precision(ran), here, fleet.machine.instructions)
    if not missing:
        return
    raise UsageError(
        f"run {record.run_id}: its speed in {_precision(ran)} rests on {missing[0]}, which "
        f"{fleet.name} is not sure to have: {_in_float32(record, runs)}"
    )


def _in_float32(record: RunRecord, runs: RunStore) -> str:
    """Name a run that can be projected, or say how to make one."""
    for other in runs.history(record.benchmark, profile=record.profile, limit=RUNS_LOOKED_AT):
        ran = other.config.get("definition")
        if other.status == "succeeded" and not is_job(other) and ran and _precision(ran) == FULL:
            return f"there is a run in {FULL}: `beambench cost {other.run_id}`"
    how = "--variant stock"
    if record.config["definition"]["workload"] == SERVED:
        how = "--set parameters.server.dtype=float32"
    return f"`beambench run {record.benchmark} {how} --set threads=1` makes one in {FULL}"


def _precision(definition: Mapping[str, Any]) -> str:
    if definition["workload"] != SERVED:
        return str(definition["model"].get("precision", FULL))
    # A server chooses for itself, bfloat16 for these models, unless it is told otherwise.
    chosen = definition.get("parameters", {}).get("server", {}).get("dtype")
    return chosen if chosen in (FULL, "float16") else "bfloat16"


def _check_threads(record: RunRecord, measured: Measured, fleet: Fleet) -> None:
    if not fits_threads(measured, fleet):
        threads = max(1, fleet.machine.vcpus // fleet.processes)
        alone = ", or plan --processes 1" if measured.threads <= fleet.machine.vcpus else ""
        raise UsageError(
            f"run {record.run_id}: {measured.threads} threads in a process, and {fleet.processes} "
            f"such processes are too many for the {fleet.machine.vcpus} vCPUs of {fleet.name}: "
            f"measure with --set threads={threads}{alone}"
        )


def _check_memory(record: RunRecord, measured: Measured, fleet: Fleet, sheet: Sheet) -> None:
    fitting = fitting_processes(measured, fleet)
    if fitting == fleet.processes:
        return
    need = memory_gb(measured, fleet.processes, fleet.copies)
    own = fleet.name in sheet.machines
    one = memory_gb(measured, 1, 1)
    fits = "not even one process fits"
    if fitting and (own or fitting == 1):
        fits = f"--processes {fitting} fits"
    elif fitting:
        fits = f"{fitting} fit, of which Dataflow can start 1 (--processes 1)"
    larger = _larger(fleet, need)
    raise UsageError(
        f"run {record.run_id}: {fleet.processes} processes with {fleet.copies} copies of "
        f"{record.model.name} need {need:.1f} GB ({one:.1f} GB for one) and {SYSTEM_GB:g} GB for "
        f"system and runner, {fleet.name} has {fleet.machine.memory_gb:g} GB: {fits}{larger}"
    )


def _larger(fleet: Fleet, need: float) -> str:
    """Name the smallest machine of Compute Engine with as many vCPUs that has the memory."""
    fitting = [
        (machine.memory_gb, name)
        for name, machine in machine_types().items()
        if machine.vcpus == fleet.machine.vcpus
        and not machine.gpus
        and machine.memory_gb >= need + SYSTEM_GB
        and name.partition("-")[0] == fleet.name.partition("-")[0]
    ]
    return f", or --machine-type {min(fitting)[1]}" if fitting else ""


def _factors(
    request: CostRequest, measured: Measured, fleet: Fleet, elements: int
) -> tuple[Factors, list[Assumption]]:
    """Return the factors that no run here measures, and say what they are and why."""
    each = elements_per_process(elements, fleet)
    scale, scale_why = default_scale(measured.vectors, fleet.machine)
    efficiency, efficiency_from, efficiency_why = default_efficiency(measured, fleet)
    stragglers, stragglers_why = default_stragglers(measured, each)
    shuffle, shuffle_from = _shuffle(fleet)
    among = f"speed of a process among {fleet.processes} ÷ alone"
    rows: list[tuple[str, Range | None, Range, Origin, str, str, str]] = [
        ("scale", request.scale, scale, "assumed", "1", "speed there ÷ here", scale_why),
        (
            "parallel_efficiency",
            request.parallel_efficiency,
            efficiency,
            efficiency_from,
            "1",
            among,
            efficiency_why,
        ),
        (
            "stragglers",
            request.stragglers,
            stragglers,
            "assumed",
            "1",
            "time of the last worker ÷ mean",
            stragglers_why,
        ),
        (
            "worker_start",
            request.worker_start,
            WORKER_START,
            "assumed",
            "s",
            "all of it paid",
            "machine, image and packages until processes start",
        ),
        (
            "shuffle_per_element",
            None,
            shuffle,
            shuffle_from,
            "B",
            "through the shuffle service",
            SHUFFLE_NOTE,
        ),
    ]
    chosen = [given or default for _, given, default, *_ in rows]
    assumptions = [
        Assumption(
            name=name,
            value=given or default,
            unit=unit,
            origin=origin if given is None else "asked",
            note=f"{what}: {why}" if given is None else what,
        )
        for name, given, default, origin, unit, what, why in rows
    ]
    return Factors(*chosen), assumptions


def _shuffle(fleet: Fleet) -> tuple[Range, Origin]:
    """Return the bytes of an element that pass a shuffle service; own machines have none."""
    if isinstance(fleet.machine, OwnMachine):
        return Range.exactly(0), "definition"
    return SHUFFLE_BYTES, "assumed"


def _measurements(source: Source, measured: Measured, found: Projection) -> list[Assumption]:
    """Say what of the run the projection rests on."""
    n = len(measured.throughputs)
    spread = f"median of {n} repeats, least and greatest"
    if measured.interval is not None:
        spread = f"median of {n} repeats and its interval at 95 %"
    elif n == 1:
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
    load = _values(source.record, "model_load_latency_mean")
    if load:
        rows.append(("model_load_latency", _spread(load), "s", "of which the load of the model"))
    rows.append(
        (
            "memory_per_machine",
            Range.exactly(found.memory_gb),
            "GB",
            f"from the peak_rss of {measured.peak_rss / 2**30:.2f} GB here; one batch at a time in "
            "a process",
        )
    )
    return [
        Assumption(name=name, value=value, unit=unit, origin="measured", note=note)
        for name, value, unit, note in rows
    ]


def _spread(values: Sequence[float]) -> Range:
    return Range.of(min(values), median(values), max(values))


def _planned(
    request: CostRequest, source: Source, measured: Measured, fleet: Fleet, mode: Mode
) -> list[Assumption]:
    """Say what the plan is and who chose it."""

    def row(
        name: str, value: float, unit: str, asked: bool, note: str, origin: Origin
    ) -> Assumption:
        return Assumption(
            name=name,
            value=Range.exactly(value),
            unit=unit,
            origin="asked" if asked else origin,
            note=note,
        )

    own = source.cluster is not None and source.cluster.processes is not None
    rows = [
        row(
            "workers",
            fleet.workers,
            "1",
            request.workers is not None,
            "from start to end",
            "definition",
        ),
        row(
            "processes_per_machine",
            fleet.processes,
            "1",
            request.processes is not None,
            "one for each vCPU" if fleet.processes == fleet.machine.vcpus else "",
            "definition" if own else "assumed",
        ),
        row("copies_of_model", fleet.copies, "1", False, "on each machine", "definition"),
    ]
    if source.record.config["definition"].get("threads") is None:
        note = "as here; the definition leaves them to the framework: set `threads` there too"
        rows.append(row("threads_per_process", measured.threads, "1", False, note, "assumed"))
    else:
        rows.append(row("threads_per_process", measured.threads, "1", False, "", "definition"))
    rows.append(
        Assumption.said(
            "harness_threads",
            "assumed",
            "a process is bound by its CPU: more harness threads of Beam in it add no speed",
        )
    )
    if mode == "spot":
        rows.append(
            Assumption.said(
                "spot",
                "asked" if request.spot else "definition",
                "no worker is taken away; FlexRS may wait up to 6 hours, which is neither paid nor "
                "in the wall time",
            )
        )
    parameters = source.record.config["definition"].get("parameters", {})
    if (
        parameters.get("compiled_batch_size")
        and measured.vectors == "avx512f"
        and ("avx512f" not in (fleet.machine.instructions or []))
    ):
        rows.append(
            Assumption.said(
                "compiled_kernels",
                "assumed",
                "compiled for AVX-512 here and for narrower vectors there: the gain is the same",
            )
        )
    return rows


def _notes(source: Source, measured: Measured) -> list[str]:
    """Say what of the run is unlike the benchmark's full profile."""
    record, notes = source.record, differences(source)
    notes.append("the run was local: reading from a bucket, and the network, are not in it")
    if record.noise.get("disturbed"):
        notes.append("the run was disturbed by other work on its machine")
    if len(measured.throughputs) < 3:
        notes.append("fewer than 3 repeats: the spread of the throughput is not known well")
    cluster = source.cluster
    if cluster is not None and cluster.autoscaling != "none":
        notes.append("autoscaling is not projected: all workers are there from start to end")
    return notes
