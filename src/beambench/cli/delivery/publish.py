"""`beambench publish`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from beambench.cli.console.messages import say
from beambench.cli.delivery.changes import send_changes
from beambench.cli.delivery.publishers import PublisherOption
from beambench.cli.settings import JsonOption, StoreOption, store_url
from beambench.errors import EXIT_OK, EXIT_UNPUBLISHED, UsageError

if TYPE_CHECKING:
    from beambench.publishers.outbox import Report
    from beambench.record.run_record import RunRecord
    from beambench.store.deliveries import Delivery
    from beambench.store.run_store import RunStore


def publish(
    context: typer.Context,
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="RUN...", help="Ids of runs, or their beginnings.")
    ] = None,
    pending: Annotated[
        bool, typer.Option("--pending", help="Try every queued row now, whatever its back-off.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Publish all runs that began at this time or later."),
    ] = None,
    status: Annotated[
        bool, typer.Option("--status", help="Count rows by publisher and state; send nothing.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read the rows of RUN back and compare them.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Send also what was delivered, as to another server.")
    ] = False,
    changes: Annotated[
        bool,
        typer.Option("--changes", help="Send to InfluxDB where the levels of histories changed."),
    ] = False,
    publishers: PublisherOption = None,
    timeout: Annotated[float, typer.Option(min=1.0, metavar="SECONDS", help="Time limit.")] = 300.0,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send stored runs on to InfluxDB or BigQuery, or say what is still to be sent."""
    from beambench.experiments import publishing
    from beambench.publishers import outbox
    from beambench.store.run_store import RunStore

    given = {"RUN": bool(runs), "--pending": pending, "--since": since is not None}
    _check_choice(
        {**given, "--status": status, "--changes": changes}, {"--verify": verify, "--again": again}
    )
    names = outbox.check(publishers or [])
    with RunStore.open(store_url(store)) as known:
        if status:
            _print_status(known, as_json)
            return
        if changes:
            send_changes(known, timeout, as_json)
            return
        if pending:
            # What the environment or the project file chooses is for new runs.
            origin = context.get_parameter_source("publishers")
            is_given = origin is not None and origin.name == "COMMANDLINE"
            _finish(_deliver_all(known, names if is_given else [], timeout), known, as_json)
        records = (
            known.since(since) if since is not None else publishing.runs_named(known, runs or [])
        )
        if verify:
            raise typer.Exit(_verify(records, names, timeout, as_json))
        _send(known, records, names, again=again, timeout=timeout, as_json=as_json)


def _send(
    store: RunStore,
    records: Sequence[RunRecord],
    names: Sequence[str],
    *,
    again: bool,
    timeout: float,
    as_json: bool,
) -> None:
    from beambench.experiments import publishing
    from beambench.publishers import outbox

    wanted = publishing.queue(store, records, names, again=again)
    reports = outbox.deliver(
        store.deliveries,
        sorted({name for of_run in wanted.values() for name in of_run}),
        seconds=timeout,
        runs=list(wanted),
    )
    _finish(reports, store, as_json, list(wanted))


def _check_choice(given: Mapping[str, bool], of_runs: Mapping[str, bool]) -> None:
    """Refuse what says nothing, or two things, to do; `of_runs` goes with runs only."""
    chosen = [name for name, is_given in given.items() if is_given]
    if len(chosen) != 1:
        raise UsageError(
            f"give one of RUN, --pending, --since, --status and --changes"
            f"{', not ' + ' and '.join(chosen) if chosen else ''}"
        )
    for option, is_given in of_runs.items():
        if is_given and not (given["RUN"] or given["--since"]):
            raise UsageError(f"{option} goes with RUN or --since")


def _deliver_all(store: RunStore, names: Sequence[str], timeout: float) -> list[Report]:
    from beambench.publishers import outbox

    known = [name for name, states in store.deliveries.counts().items() if any(states.values())]
    wanted = [name for name in known if not names or name in names]
    return outbox.deliver(store.deliveries, wanted, seconds=timeout)


def _finish(
    reports: Sequence[Report],
    store: RunStore,
    as_json: bool,
    runs: Sequence[str] | None = None,
) -> None:
    """Print what was done and what is left; leave with the exit code.

    Rows that a server refused are a failure of the runs that were asked for by name, but not of
    emptying the queue.
    """
    from beambench.experiments.publishing import undelivered
    from beambench.presentation.deliveries import print_reports
    from beambench.presentation.values import print_json

    parked = store.deliveries.rows(runs=runs, states=("parked",))
    if as_json:
        print_json([_document(report, parked) for report in reports])
    else:
        print_reports(reports, parked)
    advice = ": send them later with `beambench publish --pending`" if runs is not None else ""
    for report in reports:
        if report.queued:
            say(undelivered(report.publisher, report.queued, report.problem) + advice)
    failed = any(report.queued for report in reports) or (runs is not None and bool(parked))
    raise typer.Exit(EXIT_UNPUBLISHED if failed else EXIT_OK)


def _document(report: Report, parked: Sequence[Delivery]) -> dict[str, Any]:
    from beambench.presentation.deliveries import parked_document

    return {
        "publisher": report.publisher,
        "delivered": report.delivered,
        "queued": report.queued,
        "problem": report.problem,
        "parked": [parked_document(row) for row in parked if row.publisher == report.publisher],
    }


def _print_status(store: RunStore, as_json: bool) -> None:
    from beambench.definition.publishers import publisher_names
    from beambench.presentation.deliveries import print_status
    from beambench.presentation.values import print_json
    from beambench.store.deliveries import STATES

    counts = {
        name: dict.fromkeys(STATES, 0) for name in publisher_names()
    } | store.deliveries.counts()
    if as_json:
        print_json(counts)
    else:
        print_status(counts, store.deliveries.rows(states=("parked",)))


def _verify(
    records: Sequence[RunRecord], names: Sequence[str], timeout: float, as_json: bool
) -> int:
    from beambench.experiments.publishing import publishers_of
    from beambench.presentation.deliveries import print_verified
    from beambench.presentation.values import print_json
    from beambench.publishers import outbox
    from beambench.publishers.base import UnavailableError

    end, checks = time.monotonic() + timeout, []
    for record in records:
        for name in publishers_of(record, names):
            try:
                checks += outbox.verify(record, name, seconds=end - time.monotonic())
            except UnavailableError as error:
                say(f"{name}: run {record.run_id} cannot be read back: {error}")
                return EXIT_UNPUBLISHED
    if as_json:
        print_json([check.as_document() for check in checks])
    else:
        print_verified(checks)
    return EXIT_OK if all(check.equal == check.rows for check in checks) else EXIT_UNPUBLISHED
