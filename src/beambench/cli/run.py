"""`beambench run`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from beambench.cli import jobs
from beambench.cli.execution import Destination, Work, execute_or_plan
from beambench.cli.jobs import OnStop
from beambench.cli.messages import say
from beambench.cli.publishers import PublisherOption
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


class Reference(str, Enum):
    """What a pipeline can be compared with in the same run."""

    loop = "loop"


def run(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Benchmarks, or definition files."),
    ] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="In place of NAME: measure a pipeline that exists already, unverified; what "
            "follows -- is given to its run(argv, test_pipeline=...).",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="With --pipeline: the name to store its runs under.")
    ] = None,
    profile: Annotated[
        str,
        typer.Option(
            envvar="BEAMBENCH_PROFILE",
            help="How much is run: smoke, local, full; with --runner dataflow full is the default.",
        ),
    ] = "local",
    variant: Annotated[
        str, typer.Option(envvar="BEAMBENCH_VARIANT", help="Settings under a name.")
    ] = "stock",
    runner: Annotated[
        str, typer.Option(envvar="BEAMBENCH_RUNNER", help="Where the pipeline is executed.")
    ] = DEFAULT,
    repeats: Annotated[
        int | None,
        typer.Option(
            min=1,
            envvar="BEAMBENCH_REPEATS",
            help="Whole executions; intervals need 6. With --runner dataflow, 1 unless given.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="PATH",
            help="A directory of images or a text file with one path a line; for text, a file "
            "with one sentence or prompt a line, here or at gs://; `packaged` or `synthetic`. All "
            "elements are used unless --limit is given.",
        ),
    ] = None,
    labels_file: Annotated[
        str | None,
        typer.Option(
            "--labels", metavar="PATH", help="Rows of file,class_index (or tabs), for accuracy."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Elements at most.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.SUBKEY=VALUE", help="Change the definition."),
    ] = None,
    options_file: Annotated[
        str | None,
        typer.Option(
            "--options-file",
            metavar="PATH",
            help="Flags, one a line, as in Beam's option files; --set and --input go before them.",
        ),
    ] = None,
    reference: Annotated[
        Reference | None,
        typer.Option(help="Also run the same work without Beam, in turns, for the efficiency."),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(min=0, envvar="BEAMBENCH_SEED", help="Seed of samples and random weights."),
    ] = 0,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", envvar="BEAMBENCH_TIMEOUT", help="Time limit of the whole run."
        ),
    ] = None,
    max_failed: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            metavar="SHARE",
            envvar="BEAMBENCH_MAX_FAILED",
            help="Share of failed elements above which the run fails.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET",
            help="Write the predictions, in the pipeline that is measured: PATH.jsonl, PATH.txt or "
            "PATH.parquet, here or at gs://..., or bq:PROJECT.DATASET.TABLE.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is at --output already.")
    ] = False,
    publishers: PublisherOption = None,
    store: StoreOption = None,
    definitions: DefinitionsOption = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A label kept in the record.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be run; run and store nothing.")
    ] = False,
    attach: Annotated[
        str | None,
        typer.Option(
            metavar="JOB_ID",
            help="Take up a Dataflow job that `run` started: follow it, read it back, store the "
            "run. NAME is not needed; if given, its definition must still be that of the job.",
        ),
    ] = None,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="With --attach: end the job and store the run.")
    ] = False,
    on_stop: Annotated[
        OnStop,
        typer.Option(help="On Ctrl-C or at the time limit: let a Dataflow job go on, or end it."),
    ] = OnStop.leave,
    as_json: JsonOption = False,
) -> None:
    """Run benchmarks and store one run record for each. Beam flags can follow after --."""
    destination = Destination(store, publishers or (), as_json, dry_run)
    if attach is not None:
        attached = jobs.attached(
            context,
            attach,
            names or [],
            store_url(store),
            definitions,
            cancel=cancel,
            on_stop=on_stop.value,
            timeout=timeout,
            labels=parse_labels(label or []),
        )
        return execute_or_plan(Work([attached], load(ATTACHED)), destination)
    if cancel:
        raise UsageError("--cancel goes with --attach JOB_ID")
    if pipeline is not None:
        _check_pipeline_options(context, names)
    known = library(definitions)
    shared = {
        "command": ["beambench", *sys.argv[1:]],
        "runner": runner,
        "repeats": repeats,
        "seed": seed,
        "timeout": timeout,
        "max_failed": max_failed,
    }
    if pipeline is not None:
        existing = _existing_work(pipeline, name, known, label, context, shared)
        return execute_or_plan(existing, destination)
    names = _checked_names(names, name, output)
    options = {
        "variant": variant,
        "profile": _profile(context, profile),
        "overrides": overrides or [],
        "source": source,
        "labels_file": labels_file,
        "limit": limit,
        "reference": reference is not None,
        "labels": parse_labels(label or []),
        "beam_flags": context.obj,
        "options_file": options_file,
        "output": output,
        "overwrite": overwrite,
        "dry_run": dry_run,
        "on_stop": on_stop.value,
    }
    _check_on_stop(context, runner)
    requests = _benchmark_requests(known, names, **shared, **options)
    details = functools.partial(jobs.job_of, known, store)
    return execute_or_plan(Work(requests, load(BENCHMARK), details), destination)


def _existing_work(
    pipeline: str,
    name: str | None,
    known: Library,
    label: Sequence[str] | None,
    context: typer.Context,
    shared: Mapping[str, Any],
) -> Work[ExistingRequest]:
    """Return what measures a pipeline of the user's own."""
    from beambench.request.existing import make_existing_request

    request = make_existing_request(
        pipeline,
        name,
        taken=known.names(),
        flags=context.obj,
        labels=parse_labels(label or []),
        **shared,
    )
    return Work([request], load(EXISTING))


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


def _profile(context: typer.Context, profile: str) -> str | None:
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


def parse_labels(pairs: Sequence[str]) -> dict[str, str]:
    """Parse ``key=value`` labels.

    Raises:
        UsageError: no equals sign, an empty key, or a key twice.
    """
    labels: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--label {pair!r}: expected key=value")
        if key in labels:
            raise UsageError(f"--label {pair!r}: {key!r} is given twice")
        labels[key] = value
    return labels
