"""The runners: what is known of each, of those here and of those that distributions bring along.

Nothing else compares the name of a runner: it asks for one of these traits. What imports Beam or
talks to a service stands here as ``module:function`` and is loaded where it is called.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal

from beambench.definition.entry_points import RUNNERS, entry_of, entry_points
from beambench.errors import UsageError, nearest


@dataclass(frozen=True)
class Runner:
    """What beambench knows of a runner.

    Attributes:
        name: what `--runner` takes and records hold.
        beam_name: what Beam's own `--runner` takes.
        execution: ``module:function`` of (request, cancelled, announce) that runs a benchmark and
            returns its record; with `has_jobs` it also takes `on_stop`. That of `direct` starts
            workers which run the pipeline on Beam's direct runner, whatever the name.
        is_local: the work is done on this machine, by processes that a run starts.
        has_cluster: the cluster of a definition applies, and with it Dataflow's flags.
        has_jobs: jobs go on without beambench: `--on-stop` and `--attach` apply.
        pipeline_execution: likewise of (request, cancelled, announce), for `run --pipeline`; None:
            it runs no pipeline that exists already.
        request_check: ``module:function`` that refuses, with a UsageError, a request that cannot
            run on it; None: there is nothing to refuse.
        dry_run: ``module:function`` of a request, that returns what a dry run can say of its job.
        cost: what `beambench cost` can do with a run on it: price the `usage` that the service
            tells, or make a `projection` of a cluster from processes whose number is known.
        profile: the profile unless one is chosen; None: `local`.
        repeats: repeats unless they are chosen; None: those of the profile.
    """

    name: str
    beam_name: str
    execution: str
    is_local: bool = False
    has_cluster: bool = False
    has_jobs: bool = False
    pipeline_execution: str | None = None
    request_check: str | None = None
    dry_run: str | None = None
    cost: Literal["usage", "projection"] | None = None
    profile: str | None = None
    repeats: int | None = None


DIRECT = Runner(
    name="direct",
    beam_name="DirectRunner",
    execution="beambench.experiments.run:execute",
    is_local=True,
    pipeline_execution="beambench.experiments.external:execute_external",
    request_check="beambench.experiments.request:check_device",
    cost="projection",
)
DATAFLOW = Runner(
    name="dataflow",
    beam_name="DataflowRunner",
    execution="beambench.experiments.dataflow_run:execute_on_dataflow",
    has_cluster=True,
    has_jobs=True,
    request_check="beambench.experiments.dataflow_request:check_job",
    dry_run="beambench.experiments.dataflow_plan:dry_run",
    cost="usage",
    profile="full",
    repeats=1,
)
DEFAULT = DIRECT.name
BUILT_IN = {runner.name: runner for runner in (DIRECT, DATAFLOW)}


def runner_names() -> list[str]:
    """Return the names of all runners; nothing of a distribution is imported."""
    return [*BUILT_IN, *(entry.name for entry in entry_points(RUNNERS)[0])]


def find_runner(name: str) -> Runner:
    """Return a runner by name: built in, or of an installed distribution.

    Raises:
        UsageError: there is none, or its distribution is broken.
    """
    entry = entry_of(RUNNERS, "runner", name, BUILT_IN, "uninstall one")
    if name in BUILT_IN:
        return BUILT_IN[name]
    if entry is not None:
        runner = load(entry.value, str(entry))
        if not isinstance(runner, Runner) or runner.name != name:
            raise UsageError(f"{entry}: {entry.value} is no Runner named {name!r}")
        return runner
    known = runner_names()
    broken = "".join(f"; {problem}" for problem in entry_points(RUNNERS)[1])
    raise UsageError(
        f"no runner {name!r}{nearest(name, known)}; there is: {', '.join(known)}{broken}"
    )


def lookup(name: str | None) -> Runner | None:
    """Return the runner that a record names, or None if it cannot be had here any more."""
    if name is None or name in BUILT_IN:
        return BUILT_IN.get(name or "")
    try:
        return find_runner(name)
    except UsageError:
        return None


def is_local_runner(name: str | None) -> bool:
    """Tell whether a runner, which may be one of an old record, works on this machine."""
    runner = lookup(name)
    return runner is not None and runner.is_local


def load(target: str, where: str = "runner") -> Any:
    """Return what ``module:name`` names.

    Raises:
        UsageError: it cannot be imported.
    """
    module, _, name = target.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # whatever a module of others does wrong
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(f"{where}: {target} cannot be imported: {text[:300]}") from error
