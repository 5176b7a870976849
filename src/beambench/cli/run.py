"""`beambench run`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from beambench.cli import jobs
from beambench.cli.console.messages import say
from beambench.cli.delivery.publishers import PublisherOption
from beambench.cli.execution import Destination, Work, execute_or_plan
from beambench.cli.run_options import (
    AttachOption,
    CancelOption,
    DryRunOption,
    LabelOption,
    LabelsFileOption,
    LimitOption,
    MaxFailedOption,
    NameOption,
    NamesArgument,
    OnStop,
    OnStopOption,
    OptionsFileOption,
    OutputOption,
    OverridesOption,
    OverwriteOption,
    PipelineOption,
    ProfileOption,
    ReferenceOption,
    RepeatsOption,
    RetryDisturbedOption,
    RunnerOption,
    SeedOption,
    SourceOption,
    TimeoutOption,
    VariantOption,
)
from beambench.cli.settings import (
    DefinitionsOption,
    JsonOption,
    StoreOption,
    is_given,
    library,
    store_url,
)
from beambench.definition.entry_points import load
from beambench.definition.runners import DEFAULT, built_in_runners, find_runner
from beambench.errors import UsageError

if TYPE_CHECKING:
    from beambench.definition.library import Library
    from beambench.experiments.attach import AttachRequest
    from beambench.record.run_record import RunRecord
    from beambench.request.benchmark import RunRequest
    from beambench.request.existing import ExistingRequest

BENCHMARK = "beambench.experiments.benchmark:execute"
EXISTING = "beambench.experiments.existing:execute_existing"
ATTACHED = "beambench.experiments.attach:execute_attached"
"""What runs a request; imported once there is one."""

FOR_BENCHMARKS = (
    "profile",
    "variant",
    "source",
    "labels_file",
    "limit",
    "overrides",
    "options_file",
    "output",
    "overwrite",
    "reference",
    "definitions",
    "on_stop",
)
"""Parameters of `run` that do not go with --pipeline."""


def run(
    context: typer.Context,
    names: NamesArgument = None,
    pipeline: PipelineOption = None,
    name: NameOption = None,
    profile: ProfileOption = "local",
    variant: VariantOption = "stock",
    runner: RunnerOption = DEFAULT,
    repeats: RepeatsOption = None,
    retry_disturbed: RetryDisturbedOption = 0,
    source: SourceOption = None,
    labels_file: LabelsFileOption = None,
    limit: LimitOption = None,
    overrides: OverridesOption = None,
    options_file: OptionsFileOption = None,
    reference: ReferenceOption = None,
    seed: SeedOption = 0,
    timeout: TimeoutOption = None,
    max_failed: MaxFailedOption = None,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    publishers: PublisherOption = None,
    store: StoreOption = None,
    definitions: DefinitionsOption = None,
    label: LabelOption = None,
    dry_run: DryRunOption = False,
    attach: AttachOption = None,
    cancel: CancelOption = False,
    on_stop: OnStopOption = OnStop.leave,
    as_json: JsonOption = False,
) -> None:
    """Run benchmarks and store one run record for each. Beam flags can follow after --."""
    destination = Destination(store, publishers or (), as_json, dry_run)
    if attach is not None:
        return execute_or_plan(_attached_work(context, attach), destination)
    if cancel:
        raise UsageError("--cancel goes with --attach JOB_ID")
    if pipeline is not None:
        return execute_or_plan(_existing_work(context, pipeline), destination)
    return execute_or_plan(_benchmark_work(context), destination)


def _attached_work(context: typer.Context, job_id: str) -> Work[AttachRequest]:
    """Return what follows a job that was started before."""
    given = context.params
    request = jobs.attached(
        context,
        job_id,
        given["names"] or [],
        store_url(given["store"]),
        given["definitions"],
        cancel=given["cancel"],
        on_stop=given["on_stop"].value,
        timeout=given["timeout"],
        labels=parse_labels(given["label"] or []),
    )
    return Work([request], _execution_by(ATTACHED, context))


def _execution_by(target: str, context: typer.Context) -> Callable[..., RunRecord]:
    """Import what runs requests of a kind; it gets the clock of this command line."""
    return functools.partial(load(target, "beambench"), clock=context.obj.clock)


def _shared(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what benchmarks and a pipeline of the user's own are both told."""
    names = ("runner", "repeats", "retry_disturbed", "seed", "timeout", "max_failed")
    return {"command": ["beambench", *sys.argv[1:]]} | {name: given[name] for name in names}


def _existing_work(context: typer.Context, pipeline: str) -> Work[ExistingRequest]:
    """Return what measures a pipeline of the user's own."""
    from beambench.request.existing import make_existing_request

    given = context.params
    _check_pipeline_options(context, given["names"])
    request = make_existing_request(
        pipeline,
        given["name"],
        benchmarks=library(given["definitions"]).names(),
        flags=context.obj.beam_flags,
        labels=parse_labels(given["label"] or []),
        **_shared(given),
    )
    return Work([request], _execution_by(EXISTING, context))


def _benchmark_work(context: typer.Context) -> Work[RunRequest]:
    """Return what runs benchmarks."""
    given = context.params
    known = library(given["definitions"])
    names = _checked_names(given["names"], given["name"], given["output"])
    same = ("variant", "source", "labels_file", "limit", "options_file", "output", "overwrite")
    options = {
        **{name: given[name] for name in (*same, "dry_run")},
        "profile": chosen_profile(context, given["profile"]),
        "overrides": given["overrides"] or [],
        "reference": given["reference"] is not None,
        "labels": parse_labels(given["label"] or []),
        "beam_flags": context.obj.beam_flags,
        "on_stop": given["on_stop"].value,
    }
    _check_on_stop(context, given["runner"])
    requests = _benchmark_requests(known, names, **_shared(given), **options)
    details = functools.partial(jobs.job_of, known, given["store"])
    return Work(requests, _execution_by(BENCHMARK, context), details)


def _checked_names(names: list[str] | None, name: str | None, output: str | None) -> list[str]:
    """Return the names of benchmarks; refuse options that do not go with them."""
    if name is not None:
        raise UsageError("--name goes with --pipeline: a benchmark has the name of its definition")
    if not names:
        raise UsageError("Missing argument 'NAME...' or --pipeline. See `beambench run --help`")
    if output is not None and len(names) > 1:
        raise UsageError("--output goes with one benchmark: the next would replace its predictions")
    return names


def _benchmark_requests(
    known: Library, names: Sequence[str], **options: object
) -> list[RunRequest]:
    """Return the requests of some benchmarks, and say what is to be known of them."""
    from beambench.request.benchmark import make_request

    requests = [make_request(known, name, **options) for name in names]
    for request in requests:
        for warning in request.warnings:
            say(f"{request.name}: {warning}")
    return requests


def chosen_profile(context: typer.Context, profile: str) -> str | None:
    """Return the profile that was chosen, if one was: else the runner has one."""
    origin = context.get_parameter_source("profile")
    return profile if origin is not None and origin.name != "DEFAULT" else None


def _check_on_stop(context: typer.Context, runner: str) -> None:
    """Refuse --on-stop where no job goes on."""
    if not find_runner(runner).has_jobs and is_given(context, "on_stop"):
        with_jobs = " or ".join(known.name for known in built_in_runners() if known.has_jobs)
        raise UsageError(f"--on-stop goes with --runner {with_jobs} or --attach")


def _check_pipeline_options(context: typer.Context, names: list[str] | None) -> None:
    """Refuse what a pipeline of the user's own has no part for.

    Settings of the environment and the project file are for benchmarks, and say nothing here.
    """
    if names:
        raise UsageError(f"{names[0]}: give names of benchmarks or --pipeline, not both")
    for parameter in context.command.params:
        if parameter.name in FOR_BENCHMARKS and is_given(context, parameter.name):
            raise UsageError(
                f"{parameter.opts[0]} goes with benchmarks, not with --pipeline: give the "
                "pipeline's own flags after --"
            )


def parse_labels(pairs: Sequence[str], option: str = "--label") -> dict[str, str]:
    """Parse ``key=value`` labels, which were given by an option.

    Raises:
        UsageError: no equals sign, an empty key, or a key twice.
    """
    labels: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{option} {pair!r}: expected key=value")
        if key in labels:
            raise UsageError(f"{option} {pair!r}: {key!r} is given twice")
        labels[key] = value
    return labels
