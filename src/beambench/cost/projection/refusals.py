"""What a run says nothing about: plans for which it is refused, each in one line."""

from __future__ import annotations

from collections.abc import Iterable

from beambench.cost.prices.sheet import Sheet, machine_types
from beambench.cost.projection.instructions import FULL, lacking
from beambench.cost.projection.local_run import LocalRun
from beambench.cost.projection.model import (
    SYSTEM_GB,
    Fleet,
    Measurement,
    fits_threads,
    fitting_processes,
    memory_gb,
)
from beambench.cost.projection.plan import GPU_REFUSED
from beambench.cost.request import NO_GPU, CostRequest, Source, has_known_processes
from beambench.definition.runners import DEFAULT
from beambench.errors import RunError, UsageError
from beambench.record.configuration import definition_in, read_configuration
from beambench.record.environment import read_environment
from beambench.record.run_record import RunRecord


def check_projectable(request: CostRequest, source: Source, run: LocalRun) -> None:
    """Check that a run measured what can be carried over to machines without a GPU.

    Raises:
        UsageError: it measured something else.
        RunError: it measured nothing.
    """
    record = source.record
    where = f"run {record.run_id}"
    if record.status != "succeeded":
        raise RunError(f"{where}: {record.status.replace('_', ' ')}, so it measured no throughput")
    if source.definition.get("scenario") == "streaming":
        raise UsageError(
            f"{record.benchmark}: a streaming job costs its hours, which a run on this "
            "machine cannot predict: price a run on Dataflow"
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
    if read_configuration(record.config).output is not None:
        raise UsageError(
            f"{where}: wrote its predictions, which takes another time elsewhere: measure without "
            "--output"
        )
    ran = definition_in(record.config)
    if run.model_runs == "elsewhere":
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
    flags = [str(flag) for flag in read_configuration(record.config).beam_flags]
    own = [flag for flag in flags if flag.startswith(("--direct_num_workers", "--direct_running"))]
    if own:
        raise UsageError(
            f"{where}: {own[0]} decided over its processes: run it with --set runner.processes=N"
        )


def check_instructions(run: LocalRun, fleet: Fleet, alternatives: Iterable[LocalRun]) -> None:
    """Check that the machines are sure to have the instructions that a run's speed rests on.

    Raises:
        UsageError: they are not; the message names the first of `alternatives` in float32.
    """
    record = run.record
    here = read_environment(record.environment).machine.instructions
    for speed in run.speeds():
        missing = lacking(speed, here, fleet.machine.instructions)
        if missing:
            raise UsageError(
                f"run {record.run_id}: its speed in {speed} rests on {missing[0]}, which "
                f"{fleet.name} is not sure to have: {_in_float32(run, alternatives)}"
            )


def _in_float32(run: LocalRun, alternatives: Iterable[LocalRun]) -> str:
    """Name a run that can be projected anywhere, or say how to make one."""
    for other in alternatives:
        if other.speeds() == [FULL]:
            return f"there is a run in {FULL}: `beambench cost {other.record.run_id}`"
    option = run.workload.float32_option
    return f"`beambench run {run.record.benchmark} {option} --set threads=1` makes one in {FULL}"


def check_threads(run: LocalRun, measured: Measurement, fleet: Fleet) -> None:
    """Check that every thread gets a vCPU; raises UsageError if not."""
    record = run.record
    if not fits_threads(measured, fleet):
        threads = max(1, fleet.machine.vcpus // fleet.processes)
        alone = ", or plan --processes 1" if measured.threads <= fleet.machine.vcpus else ""
        chosen, busy = definition_in(record.config).get("threads"), run.busy_cores
        if run.model_runs == "server":
            raise UsageError(
                f"run {record.run_id}: the model server and what sent to it kept {busy:.1f} cores "
                f"busy, and {fleet.name} has {fleet.machine.vcpus} vCPUs: plan a --machine-type "
                f"with {measured.threads} or more"
            )
        if chosen is not None and measured.threads > chosen:
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


def check_memory(record: RunRecord, measured: Measurement, fleet: Fleet, sheet: Sheet) -> None:
    """Check that the processes fit into a machine; raises UsageError if not."""
    fitting = fitting_processes(measured, fleet)
    if fitting == fleet.processes:
        return
    need = memory_gb(measured, fleet.processes, fleet.copies)
    own = fleet.name in sheet.machines
    single = memory_gb(measured, 1, 1)
    fits = "not even one process fits"
    if fitting and (own or fitting == 1):
        fits = f"--processes {fitting} fits"
    elif fitting:
        fits = f"{fitting} fit, of which Dataflow can start 1 (--processes 1)"
    larger = _larger(fleet, need)
    raise UsageError(
        f"run {record.run_id}: {fleet.processes} processes with {fleet.copies} copies of "
        f"{record.model.name} need {need:.1f} GB ({single:.1f} GB for one) and {SYSTEM_GB:g} GB "
        f"for system and runner, {fleet.name} has {fleet.machine.memory_gb:g} GB: {fits}{larger}"
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
