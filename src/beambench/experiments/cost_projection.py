"""What a run on this machine foretells of a cluster, and all that this rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from beambench.analysis.intervals import median
from beambench.analysis.projection import (
    COMPILED,
    GB,
    LONE_SPREAD,
    SYSTEM_GB,
    Assumption,
    Estimated,
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
    widest_vectors,
)
from beambench.cost.sheet import Mode, OwnMachine, Sheet, find_machine, machine_types
from beambench.definition.plan import decided_definition
from beambench.definition.runners import DEFAULT
from beambench.errors import RunError, UsageError
from beambench.experiments.cost_request import (
    NO_GPU,
    CostRequest,
    Source,
    benchmark_elements,
    differences,
    has_known_processes,
    is_local,
    mode_of,
)
from beambench.record.run_record import RunRecord
from beambench.store.run_store import RunStore
from beambench.workloads.base import ModelRuns, Workload, load_class

FULL = "float32"
RUNS_LOOKED_AT = 20
"""The newest ones, for a run that could be projected in place of one that cannot."""
ONE_CORE = 1.1
"""Cores that a process may keep busy and still be one that uses one."""
BUSIER = 1.25
"""Cores ÷ threads that a process may keep busy and still be one of so many threads."""
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
        *_measurements(source, measured, fleet, found),
        *_planned(request, source, measured, fleet, mode_of(request, source)),
        *assumed,
    ]
    return Foretold(fleet, measured, elements, found, assumptions, _notes(source, measured))


def _check_projectable(request: CostRequest, source: Source) -> None:
    record = source.record
    where = f"run {record.run_id}"
    if record.status != "succeeded":
        raise RunError(f"{where}: {record.status.replace('_', ' ')}, so it measured no throughput")
    if source.definition.get("scenario") == "streaming":
        raise UsageError(
            f"{record.benchmark}: a streaming job costs its hours, which no run on this machine "
            "foretells: price a run on Dataflow"
        )
    accelerator = source.cluster.accelerator if source.cluster else None
    gpu = request.gpu or (accelerator.type if accelerator else NO_GPU)
    if gpu != NO_GPU:
        raise UsageError(f"{where}: ran on a CPU, and a plan with {gpu} {GPU_REFUSED}")
    if not has_known_processes(record):
        raise UsageError(
            f"{where}: ran on {record.runner.executed}, which does not say how many processes "
            f"shared the work: measure with --runner {DEFAULT}"
        )
    if record.config.get("output") is not None:
        raise UsageError(
            f"{where}: wrote its predictions, which takes another time elsewhere: measure without "
            "--output"
        )
    ran = record.config["definition"]
    if _model_runs(record) == "elsewhere":
        raise UsageError(
            f"{where}: its model is served elsewhere, and the speed of that is not this machine's"
        )
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
    if processes > 1 and _model_runs(source.record) == "server":
        raise UsageError(
            f"run {source.record.run_id}: {processes} processes of {name} would share one model "
            "server, and one process had it here: plan --processes 1"
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
    has = [name for name, there in machine.get("instructions", {}).items() if there]
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
        vectors=widest_vectors(has),
        largest_batch=max((size for one in record.repeats for size in one.batch_sizes), default=0),
    )


def _threads(record: RunRecord, processes: int) -> int:
    """Return the threads of one process: those that were set, or kept cores busy all the same."""
    chosen = record.config["definition"].get("threads")
    torch = record.environment.get("torch") or {}
    busy = _busy_cores(record, processes)
    if chosen is not None:
        return int(chosen) if busy is None or busy <= chosen * BUSIER else math.ceil(busy)
    if busy is not None and busy <= ONE_CORE:
        return 1
    return int(torch.get("threads") or math.ceil(busy or 1))


def _busy_cores(record: RunRecord, processes: int) -> float | None:
    """Return how many cores a process kept busy."""
    rate, cpu = (_values(record, name) for name in ("throughput_elements", "cpu_time_per_element"))
    return max(rate) * min(cpu) / processes if rate and cpu else None


def _check_instructions(source: Source, fleet: Fleet, runs: RunStore) -> None:
    record = source.record
    here = record.environment.get("machine", {}).get("instructions", {})
    for speed in _speeds(record):
        missing = lacking(speed, here, fleet.machine.instructions)
        if missing:
            raise UsageError(
                f"run {record.run_id}: its speed in {speed} rests on {missing[0]}, which "
                f"{fleet.name} is not sure to have: {_in_float32(record, runs)}"
            )


def _in_float32(record: RunRecord, runs: RunStore) -> str:
    """Name a run that can be projected anywhere, or say how to make one."""
    for other in runs.history(record.benchmark, profile=record.profile, limit=RUNS_LOOKED_AT):
        ran = other.config.get("definition")
        if is_local(other) and ran and _speeds(other) == [FULL]:
            return f"there is a run in {FULL}: `beambench cost {other.run_id}`"
    option = _workload(record.config["definition"]).float32_option
    return f"`beambench run {record.benchmark} {option} --set threads=1` makes one in {FULL}"


def _speeds(record: RunRecord) -> list[str]:
    """Return what of a run's settings may rest on instructions: see RESTS_ON."""
    definition = decided_definition(record)
    compiled = definition.get("parameters", {}).get("compiled_batch_size") is not None
    precision = _workload(definition).precision_of(definition)
    return [precision, *([COMPILED] if compiled else [])]


def _workload(definition: Mapping[str, Any]) -> type[Workload]:
    """Return the class of a record's workload, or what every workload is if it is not here."""
    name = definition["workload"]
    if ":" in name:  # of a module that need not be here, nor be run to price what it did
        return Workload
    try:
        return load_class(name)
    except UsageError:
        return Workload


def _model_runs(record: RunRecord) -> ModelRuns:
    """Return where a record's model computed; where the record does not say, its workload does."""
    stated: ModelRuns | None = record.config.get("model_runs")
    return stated or _workload(record.config["definition"]).model_runs


def _check_threads(record: RunRecord, measured: Measured, fleet: Fleet) -> None:
    if not fits_threads(measured, fleet):
        threads = max(1, fleet.machine.vcpus // fleet.processes)
        alone = ", or plan --processes 1" if measured.threads <= fleet.machine.vcpus else ""
        chosen = record.config["definition"].get("threads")
        if chosen is not None and measured.threads > chosen:
            busy = _busy_cores(record, measured.processes)
            raise UsageError(
                f"run {record.run_id}: a process kept {busy:.1f} cores busy with threads={chosen}, "
                f"and {fleet.processes} such processes are too many for the {fleet.machine.vcpus} "
                f"vCPUs of {fleet.name}{alone}"
            )
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
    return f"; --machine-type {min(fitting)[1]} has enough" if fitting else ""


def _factors(
    request: CostRequest, measured: Measured, fleet: Fleet, elements: int
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
        unit, what = FACTORS[name]
        chosen[name] = asked or value
        assumptions.append(
            Assumption(
                name=name,
                value=chosen[name],
                unit=unit,
                origin="asked" if asked else origin,
                note=what if asked else f"{what}: {why}",
            )
        )
    return Factors(**chosen), assumptions


def _measurements(
    source: Source, measured: Measured, fleet: Fleet, found: Projection
) -> list[Assumption]:
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
            f"from the peak_rss of {measured.peak_rss / GB:.2f} GB here; one batch at a time in a "
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


def _planned(
    request: CostRequest, source: Source, measured: Measured, fleet: Fleet, mode: Mode
) -> list[Assumption]:
    """Say what the plan is and who chose it."""

    def row(name: str, value: float, origin: Origin, note: str = "", unit: str = "1") -> Assumption:
        found = Range.exactly(value)
        return Assumption(name=name, value=found, unit=unit, origin=origin, note=note)

    own = source.cluster is not None and source.cluster.processes is not None
    processes: Origin = "asked" if request.processes else "definition" if own else "assumed"
    each = "one for each vCPU" if fleet.processes == fleet.machine.vcpus else ""
    defined = source.definition.get("threads") == measured.threads
    unlike = "as here; the definition does not say so: set `threads` there too"
    rows = [
        row(
            "workers",
            fleet.workers,
            "asked" if request.workers else "definition",
            "from start to end",
        ),
        row("processes_per_machine", fleet.processes, processes, each),
        row("copies_of_model", fleet.copies, "definition", "on each machine"),
        row(
            "threads_per_process",
            measured.threads,
            "definition" if defined else "assumed",
            "" if defined else unlike,
        ),
    ]
    if fleet.disk_gb is not None:
        kind = "SSD" if fleet.ssd else ""
        rows.append(row("disk_per_machine", fleet.disk_gb, "definition", kind, "GB"))
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
    there = widest_vectors(fleet.machine.instructions or [])
    if COMPILED in _speeds(source.record) and measured.vectors != there:
        here, there = (name or "other vectors" for name in (measured.vectors, there))
        note = f"compiled for {here} here and for {there} there: the gain is the same"
        rows.append(Assumption.said("compiled_kernels", "assumed", note))
    return rows


def _notes(source: Source, measured: Measured) -> list[str]:
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
    if record.noise.get("disturbed"):
        notes.append("the run was disturbed by other work on its machine")
    if len(measured.throughputs) < 3:
        notes.append("fewer than 3 repeats: the spread of the throughput is not known well")
    cluster = source.cluster
    if cluster is not None and cluster.autoscaling != "none":
        notes.append("autoscaling is not projected: all workers are there from start to end")
    return notes
