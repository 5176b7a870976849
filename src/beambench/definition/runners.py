"""The runners: what is known of each, of those here and of those that distributions bring along.

Nothing else compares the name of a runner: it asks for one of these traits. What imports Beam or
talks to a service stands here as ``module:function`` and is loaded where it is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from beambench.definition.entry_points import (
    RUNNERS,
    broken,
    entry_of,
    load,
    load_entry,
    names_of,
)
from beambench.errors import UsageError, nearest


@dataclass(frozen=True)
class Runner:
    """What beambench knows of a runner.

    Attributes:
        name: what `--runner` takes and records hold.
        beam_name: what Beam's own `--runner` takes.
        pipeline: ``module:function`` of (workload, plan, outputs) that runs a benchmark's pipeline
            in a worker to its end, and returns a `workloads.pipeline.outputs.FinishedPipeline`.
        repeat: ``module:function`` of a `controller.session.PipelineRepeat` that carries out one
            repeat in another way and returns a `TaskResult`, or the `Trouble` that ends the run
            before there is one; None: a worker of this machine runs `pipeline`.
        repeat_label: what a repeat is called while it is carried out.
        existing: ``module:function`` of an `ExistingPlan` that runs a pipeline which exists
            already, in a worker; None: it runs none.
        attach: ``module:function`` of (job id, Beam flags, what stored runs say of the runner)
            that returns the job as an `experiments.attach.StartedJob`. Jobs of this runner go on
            without beambench, so that `--on-stop` and `--attach` apply; None: nothing goes on.
        run_task: ``module:function`` that carries out a plan: a stand-in needs no worker.
        is_local: the work is done on this machine, by processes that a run starts.
        has_cluster: the cluster of a definition applies, and with it Dataflow's flags.
        request_check: ``module:function`` that refuses, with a UsageError, a request that cannot
            run on it; None: there is nothing to refuse.
        access_check: likewise of a request, before anything is started; it may ask a service.
        dry_run: ``module:function`` of a request, that returns what a dry run can say of its job.
        doctor: ``module:function`` that returns whether it can be used here, and in a line why, or
            what to do; None: nobody asks.
        cost: what `beambench cost` can do with a run on it: price the `usage` that the service
            tells, or make a `projection` of a cluster from processes whose number is known.
        profile: the profile unless one is chosen; None: `local`.
        repeats: repeats unless they are chosen; None: those of the profile.
        failures: repeats that fail one after the other before the rest is left out.
    """

    name: str
    beam_name: str
    pipeline: str | None = None
    repeat: str | None = None
    repeat_label: str = "pipeline repeat"
    existing: str | None = None
    attach: str | None = None
    run_task: str = "beambench.controller.processes.worker_process:run_task"
    is_local: bool = False
    has_cluster: bool = False
    request_check: str | None = None
    access_check: str | None = None
    dry_run: str | None = None
    doctor: str | None = None
    cost: Literal["usage", "projection"] | None = None
    profile: str | None = None
    repeats: int | None = None
    failures: int = 2

    @property
    def has_jobs(self) -> bool:
        return self.attach is not None


DEFAULT = "direct"
CLUSTER: Final = "dataflow"
"""What a definition's `cluster` is for, unless it says so; there is no other yet."""

BUILT_IN = {
    "direct": "beambench.runners.direct.runner:DIRECT",
    "dataflow": "beambench.runners.dataflow.runner:DATAFLOW",
}
"""As the entry points of a distribution."""


def runner_names() -> list[str]:
    """Return the names of all runners; nothing of a distribution is imported."""
    return names_of(RUNNERS, BUILT_IN)


def built_in_runners() -> list[Runner]:
    return [find_runner(name) for name in BUILT_IN]


def runner_with_jobs() -> Runner:
    """Return the built-in runner whose jobs go on without beambench."""
    return next(runner for runner in built_in_runners() if runner.has_jobs)


def find_runner(name: str) -> Runner:
    """Return a runner by name: built in, or of an installed distribution.

    Raises:
        UsageError: there is none, or its distribution is broken.
    """
    entry = entry_of(RUNNERS, "runner", name, BUILT_IN, "uninstall one")
    if name in BUILT_IN:
        built_in: Runner = load(BUILT_IN[name])
        return built_in
    if entry is not None:
        return load_entry(entry, Runner)
    known = runner_names()
    raise UsageError(
        f"no runner {name!r}{nearest(name, known)}; there is: {', '.join(known)}{broken(RUNNERS)}"
    )


def lookup(name: str | None) -> Runner | None:
    """Return the runner that a record names, or None if it cannot be had here any more."""
    if name is None or name in BUILT_IN:
        return load(BUILT_IN[name]) if name is not None else None
    try:
        return find_runner(name)
    except UsageError:
        return None


def is_local_runner(name: str | None) -> bool:
    """Tell whether a runner, which may be one of an old record, works on this machine."""
    runner = lookup(name)
    return runner is not None and runner.is_local
