"""`beambench run`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from beambench.cli import dataflow
from beambench.cli.dataflow import OnStop
from beambench.cli.messages import say
from beambench.cli.process import cancelled_by_signals
from beambench.cli.publish import PublisherOption, attempt, deliveries_of
from beambench.cli.settings import (
    DefinitionsOption,
    JsonOption,
    StoreOption,
    is_given,
    library,
    store_url,
)
from beambench.cli.terminal import reader_left, unwritten
from beambench.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_TIMED_OUT,
    EXIT_UNPUBLISHED,
    BeambenchError,
    StoreError,
    UsageError,
    worst,
)

if TYPE_CHECKING:
    from beambench.experiments.dataflow_run import AttachRequest
    from beambench.experiments.external_request import ExternalRequest
    from beambench.experiments.request import RunRequest
    from beambench.record.run_record import RunRecord
    from beambench.store.deliveries import Delivery
    from beambench.store.run_store import RunStore

    Request = RunRequest | ExternalRequest | AttachRequest

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

STATUS_CODES = {
    "succeeded": EXIT_OK,
    "failed": EXIT_FAILED,
    "cancelled": EXIT_INTERRUPTED,
    "timed_out": EXIT_TIMED_OUT,
}


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
    ] = "direct",
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
    from beambench.experiments.request import make_request

    beam_flags: list[str] = context.obj
    if attach is not None:
        attached = dataflow.attached(
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
        _run_or_plan([attached], dataflow.execute_attached, store, as_json, dry_run, publishers)
        return
    if cancel:
        raise UsageError("--cancel goes with --attach JOB_ID")
    if pipeline is not None:
        _check_pipeline_options(context, names)
    known = library(definitions)
    command = ["beambench", *sys.argv[1:]]
    if pipeline is not None:
        from beambench.experiments.external import execute_external
        from beambench.experiments.external_request import make_external_request

        external = make_external_request(
            pipeline,
            name,
            taken=known.names(),
            flags=beam_flags,
            command=command,
            runner=runner,
            repeats=repeats,
            seed=seed,
            timeout=timeout,
            max_failed=max_failed,
            labels=parse_labels(label or []),
        )
        _run_or_plan([external], execute_external, store, as_json, dry_run, publishers)
        return
    if name is not None:
        raise UsageError("--name goes with --pipeline: a benchmark has the name of its definition")
    if not names:
        raise UsageError("Missing argument 'NAME...' or --pipeline. See `beambench run --help`")
    if output is not None and len(names) > 1:
        raise UsageError("--output goes with one benchmark: the next would replace its predictions")
    requests = [
        make_request(
            known,
            one,
            variant=variant,
            profile=_profile(context, profile, runner),
            overrides=overrides or [],
            runner=runner,
            repeats=repeats,
            source=source,
            labels_file=labels_file,
            limit=limit,
            reference=reference is not None,
            seed=seed,
            timeout=timeout,
            max_failed=max_failed,
            labels=parse_labels(label or []),
            beam_flags=beam_flags,
            options_file=options_file,
            output=output,
            overwrite=overwrite,
            command=command,
            dry_run=dry_run,
        )
        for one in names
    ]
    for request in requests:
        for warning in request.warnings:
            say(f"{request.resolved.definition.name}: {warning}")
    execute = _execution(context, runner, on_stop)
    more = functools.partial(dataflow.job_of, known, store)
    _run_or_plan(requests, execute, store, as_json, dry_run, publishers, more)


def _profile(context: typer.Context, profile: str, runner: str) -> str:
    """Return the profile: on a cluster the whole benchmark if none is said."""
    origin = context.get_parameter_source("profile")
    chosen = origin is not None and origin.name != "DEFAULT"
    return profile if chosen or runner != "dataflow" else "full"


def _execution(context: typer.Context, runner: str, on_stop: OnStop) -> Callable[..., RunRecord]:
    """Return what runs a benchmark on a runner.

    Raises:
        UsageError: --on-stop where no job goes on.
    """
    if runner == "dataflow":
        return dataflow.execution(on_stop)
    if is_given(context, "on_stop"):
        raise UsageError("--on-stop goes with --runner dataflow or --attach")
    from beambench.experiments.run import execute

    return execute


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


def _run_or_plan(
    requests: Sequence[Request],
    execute: Callable[..., RunRecord],
    store: str | None,
    as_json: bool,
    dry_run: bool,
    publishers: Sequence[str] | None,
    more: Callable[[RunRequest], dict[str, Any]] = lambda _: {},
) -> None:
    """Run the requests, or print what would be run and what `more` finds out of each."""
    names = _check_publishing(requests, publishers or ())
    if dry_run:
        _print_plans(requests, as_json, more)
    else:
        raise typer.Exit(_run_all(requests, execute, store_url(store), as_json, names))


def _check_publishing(requests: Sequence[Request], publishers: Sequence[str]) -> list[str]:
    """Return the publishers named on the command line; refuse what cannot be reached, early."""
    chosen = {request.name: list(publishers) or request.publish.to for request in requests}
    if not any(chosen.values()):
        return []
    from beambench.publishers import outbox

    names = outbox.check(publishers)
    for request in requests:
        for name in chosen[request.name]:
            outbox.check_settings(name, request.publish, request.name)
        identity = request.identity()
        what = [identity[key] for key in ("variant", "profile")]
        if what != ["stock", "full"] and chosen[request.name]:
            say(
                f"{request.name}: rows in Beam's format say nothing of variant {what[0]} and "
                f"profile {what[1]}: they stand beside those of the suite"
            )
    return names


def parse_labels(pairs: list[str]) -> dict[str, str]:
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


def _print_plans(
    requests: Sequence[Request],
    as_json: bool,
    more: Callable[[RunRequest], dict[str, Any]],
) -> None:
    from beambench.cli.output import print_json, print_plan

    documents: list[dict[str, Any]] = [
        {
            **request.identity(),
            "runner": request.runner,
            "config": request.configuration(),
            **more(cast("RunRequest", request)),
        }
        for request in requests
    ]
    if as_json:
        print_json(documents if len(documents) > 1 else documents[0])
    else:
        for document in documents:
            print_plan(document)


def _run_all(
    requests: Sequence[Request],
    execute: Callable[..., RunRecord],
    url: str,
    as_json: bool,
    publishers: Sequence[str],
) -> int:
    from beambench.cli.output import print_json, print_record
    from beambench.cli.progress import ProgressReporter
    from beambench.experiments.run import execute_all
    from beambench.store.run_store import RunStore

    records: list[RunRecord] = []
    kept: list[RunRecord] = []
    codes: list[int] = []
    opened = RunStore.open(url)
    with cancelled_by_signals() as interruption, opened as store:
        cancelled, printing = interruption.cancelled, interruption.printing
        store.hurry_when(cancelled)
        store.check_writable()
        progress = ProgressReporter()
        done = 0
        for request, result in execute_all(requests, cancelled, progress.begin, execute):
            progress.close()
            done += 1
            if isinstance(result, BeambenchError):
                with printing():
                    _complain(f"{request.name}: {result}", len(requests), result)
                codes.append(result.exit_code)
                continue
            records.append(result)
            chosen = publishers or request.publish.to
            rows = deliveries_of(result, chosen)
            code = _keep(store, result, rows)
            codes += [EXIT_UNPUBLISHED] if chosen and not rows else []
            codes += [STATUS_CODES[result.status], code]
            kept += [result] if code == EXIT_OK else []
            if not as_json:
                with printing():
                    print_record(result)
        with printing():
            if as_json and records:
                documents = [record.model_dump(mode="json") for record in records]
                print_json(documents if len(requests) > 1 else documents[0])
            _flush(kept)  # a server may keep the attempt below waiting
            for record in records:
                if record.error is not None:
                    say(f"{record.benchmark}: {_reason(record)}")
        if done < len(requests) or interruption.has_cut_output:
            codes.append(EXIT_INTERRUPTED)
        codes.append(attempt(store, kept, interruption))
    return worst(codes)


def _flush(kept: Sequence[RunRecord]) -> None:
    """Write out what was printed; if that fails, say where the runs are."""
    error = unwritten()
    if error is not None and not reader_left(error):
        for record in kept:
            say(f"{record.benchmark}: stored: `beambench show {record.run_id}` prints it")


def _complain(message: str, runs: int, error: BeambenchError) -> None:
    if runs == 1:
        raise error
    say(message)


def _reason(record: RunRecord) -> str:
    """Say why a run did not succeed, and what to do where that is known."""
    if record.status == "timed_out" and record.runner.requested == "direct":
        limit = record.config["timeout"]
        return f"{record.error}: give more than {limit:g} s with --timeout"
    return f"failed: {record.error}" if record.status == "failed" else str(record.error)


def _keep(store: RunStore, record: RunRecord, rows: Sequence[Delivery]) -> int:
    """Store a record and queue its rows with it, at once.

    If the store fails now, save the record beside, so that nothing measured is lost.
    """
    try:
        store.add(record, rows)
    except StoreError as error:
        rescue = Path(f"beambench-{record.run_id}.json")
        try:
            rescue.write_text(record.model_dump_json(indent=2), "utf-8")
            say(f"{error}; the record was saved as {rescue}")
        except OSError as second:
            say(f"{error}; saving it as {rescue} failed too: {second.strerror}")
        return EXIT_FAILED
    return EXIT_OK
