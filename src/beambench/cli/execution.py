"""Executing what `beambench run` was asked for: what is printed of it, and the exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import typer

from beambench.cli.console.messages import say
from beambench.cli.console.process import Interruption, cancelled_by_signals
from beambench.cli.console.terminal import reader_left, unwritten
from beambench.cli.settings import store_url
from beambench.definition.runners import is_local_runner
from beambench.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_TIMED_OUT,
    EXIT_UNPUBLISHED,
    BeambenchError,
    worst,
)

if TYPE_CHECKING:
    from beambench.cancellation import Cancellation
    from beambench.controller.session import Announce
    from beambench.experiments.experiment import Request
    from beambench.experiments.saving import RunSaver, Saved
    from beambench.record.run_record import RunRecord

R = TypeVar("R", bound="Request")

STATUS_CODES = {
    "succeeded": EXIT_OK,
    "failed": EXIT_FAILED,
    "cancelled": EXIT_INTERRUPTED,
    "timed_out": EXIT_TIMED_OUT,
}


def no_details(request: Request) -> Mapping[str, Any]:
    """Add nothing to a plan."""
    return {}


@dataclass(frozen=True)
class Work(Generic[R]):
    """Requests of one kind, and what is done with each.

    Attributes:
        execute: runs one and returns its record.
        details: what a dry run finds out of one beyond its configuration.
    """

    requests: Sequence[R]
    execute: Callable[[R, Cancellation, Announce], RunRecord]
    details: Callable[[R], Mapping[str, Any]] = no_details


@dataclass(frozen=True)
class Destination:
    """Where the runs go: store, publishers and stdout."""

    store: str | None
    publishers: Sequence[str]
    as_json: bool
    dry_run: bool


def execute_or_plan(work: Work[R], destination: Destination) -> None:
    """Run the requests and leave with the exit code, or print what would be run."""
    publishers = [_checked(request, destination.publishers) for request in work.requests]
    if destination.dry_run:
        _print_plans(work, destination.as_json)
    else:
        url = store_url(destination.store)
        raise typer.Exit(_execute_all(work, publishers, url, destination.as_json))


def _checked(request: Request, named: Sequence[str]) -> list[str]:
    """Return the publishers of a request; refuse what cannot be reached, early."""
    if not (named or request.publish.to):
        return []
    from beambench.experiments.publishing import check_publishers

    chosen = check_publishers(named or request.publish.to, request.publish, request.name)
    identity = request.identity()
    variant, profile = identity["variant"], identity["profile"]
    if (variant, profile) != ("stock", "full"):
        say(
            f"{request.name}: rows in Beam's format say nothing of variant {variant} and "
            f"profile {profile}: they stand beside those of the suite"
        )
    return chosen


def _print_plans(work: Work[R], as_json: bool) -> None:
    from beambench.presentation.plans import print_plan
    from beambench.presentation.values import print_json

    documents: list[dict[str, Any]] = [
        {
            **request.identity(),
            "runner": request.runner,
            "config": request.configuration(),
            **work.details(request),
        }
        for request in work.requests
    ]
    if as_json:
        print_json(documents if len(documents) > 1 else documents[0])
    else:
        for document in documents:
            print_plan(document)


@dataclass
class _Results:
    """What came of the requests so far: an error before there was a run, or a run."""

    saved: list[Saved] = field(default_factory=list)
    errors: list[BeambenchError] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.saved) + len(self.errors)

    def codes(self) -> Iterable[int]:
        yield from (error.exit_code for error in self.errors)
        for saved in self.saved:
            yield STATUS_CODES[saved.record.status]
            yield EXIT_OK if saved.is_stored else EXIT_FAILED
            yield EXIT_OK if saved.rows_error is None else EXIT_UNPUBLISHED


def _execute_all(
    work: Work[R], publishers: Sequence[Sequence[str]], url: str, as_json: bool
) -> int:
    """Run, save and print one request after the other; return the exit code."""
    from beambench.cli.console.progress import ProgressReporter
    from beambench.experiments.experiment import execute_all
    from beambench.experiments.saving import RunSaver
    from beambench.presentation.runs import print_record
    from beambench.store.run_store import RunStore

    results, total = _Results(), len(work.requests)
    opened = RunStore.open(url)
    with cancelled_by_signals() as interruption, opened as store:
        saver = RunSaver(store, interruption.cancelled)
        progress = ProgressReporter()
        executed = execute_all(work.requests, interruption.cancelled, progress.begin, work.execute)
        for (request, result), chosen in zip(executed, publishers, strict=False):
            progress.close()
            if isinstance(result, BeambenchError):
                results.errors.append(result)
                with interruption.printing():
                    _complain(f"{request.name}: {result}", total, result)
            else:
                saved = saver.save(result, chosen)
                results.saved.append(saved)
                for message in saved.messages:  # also after a signal: where a record was rescued to
                    say(message)
                if not as_json:
                    with interruption.printing():
                        print_record(result)
        with interruption.printing():
            _print_end(results.saved, total, as_json)
        codes = list(results.codes())
        if results.count < total or interruption.has_cut_output:
            codes.append(EXIT_INTERRUPTED)
        codes.append(_deliver(saver, interruption))
    return worst(codes)


def _complain(message: str, runs: int, error: BeambenchError) -> None:
    if runs == 1:
        raise error
    say(message)


def _print_end(results: Sequence[Saved], runs: int, as_json: bool) -> None:
    """Print the records as JSON, and why runs did not succeed."""
    from beambench.presentation.values import print_json

    if as_json and results:
        documents = [saved.record.model_dump(mode="json") for saved in results]
        print_json(documents if runs > 1 else documents[0])
    _flush(results)  # a server may keep the attempt to deliver waiting
    for saved in results:
        if saved.record.error is not None:
            say(f"{saved.record.benchmark}: {_reason(saved.record)}")


def _flush(results: Sequence[Saved]) -> None:
    """Write out what was printed; if that fails, say where the runs are."""
    error = unwritten()
    if error is not None and not reader_left(error):
        for record in (saved.record for saved in results if saved.is_stored):
            say(f"{record.benchmark}: stored: `beambench show {record.run_id}` prints it")


def _reason(record: RunRecord) -> str:
    """Say why a run did not succeed, and what to do where that is known."""
    if record.status == "timed_out" and is_local_runner(record.runner.requested):
        from beambench.record.configuration import Limits

        limits = Limits.model_validate(record.config)
        return f"{record.error}: give more than {limits.timeout:g} s with --timeout"
    return f"failed: {record.error}" if record.status == "failed" else str(record.error)


def _deliver(saver: RunSaver, interruption: Interruption) -> int:
    """Make the attempt to deliver rows, and say what is not delivered; return the exit code."""
    messages = [message for attempt in saver.deliver() for message in attempt.messages]
    with interruption.printing():
        for message in messages:
            say(message)
    return EXIT_UNPUBLISHED if messages else EXIT_OK
