"""`beambench alarms`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from beambench.cli.console.messages import say
from beambench.cli.settings import DefinitionsOption, JsonOption, StoreOption, library, store_url
from beambench.cli.watch.settings import PolicyOption, policy_in_force
from beambench.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_REGRESSION,
    UsageError,
    nearest,
    worst,
)

if TYPE_CHECKING:
    from pathlib import Path

    from beambench.clock import Clock
    from beambench.store.run_store import RunStore
    from beambench.watch.alarms import WatchAlarm
    from beambench.watch.github.issues import Outcome
    from beambench.watch.github.marker import AlarmKey
    from beambench.watch.github.place import Place


def alarms(
    context: typer.Context,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Watch this benchmark only; can be repeated."),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(metavar="M", help="Watch this metric; can be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Runs of a benchmark, the newest.")] = 400,
    policy: PolicyOption = None,
    github: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/REPO",
            help="Open, update and close an issue for each alarm, with the token in GITHUB_TOKEN.",
        ),
    ] = None,
    github_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Its REST API; default: GITHUB_API_URL, or github.com."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --github: only say what would be done.")
    ] = False,
    store: StoreOption = None,
    definitions: DefinitionsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with the histories of a store: worse levels, missing runs, new definitions.

    Exit code 1 if there is an alarm that is new or open, 5 if GitHub did not take the issues.
    """
    from beambench.cancellation import Cancellation
    from beambench.clock import SystemClock
    from beambench.presentation.alarms import alarms_document, print_alarms
    from beambench.presentation.values import print_json
    from beambench.store.run_store import RunStore
    from beambench.watch.alarms import METRICS, alarms_of_benchmark

    rules = policy_in_force(policy)
    clock = context.obj.clock or SystemClock(Cancellation())
    place = _place(github, github_url, dry_run)
    with RunStore.open(store_url(store)) as runs:
        names, raised = _names(runs, benchmark, definitions), []
        for name in names:
            records = runs.history_runs(name, limit=limit)
            raised += alarms_of_benchmark(name, records, metric or METRICS, rules, clock.utc_now())
    if not as_json:
        print_alarms(raised, len(names))
    is_raised = any(alarm.state != "recovered" for alarm in raised)
    code = EXIT_REGRESSION if is_raised else EXIT_OK
    outcomes: list[Outcome] | None = None
    if place is not None:
        watched, outcomes = Watched(frozenset(names), frozenset(metric or METRICS)), []
        code = worst((code, _to_issues(place, clock, raised, watched, dry_run, as_json, outcomes)))
    if as_json:
        print_json(alarms_document(raised, outcomes))
    if code:
        raise typer.Exit(code)


def _names(
    runs: RunStore, benchmarks: list[str] | None, definitions: list[Path] | None
) -> list[str]:
    """Return the benchmarks to watch: those that were named, else all that have runs."""
    stored = runs.benchmarks()
    for name in benchmarks or ():
        if name not in stored:
            known = sorted({*library(definitions).names(), *stored})
            raise UsageError(f"no run of a benchmark {name!r} in this store{nearest(name, known)}")
    return benchmarks or list(stored)


def _place(github: str | None, url: str | None, dry_run: bool) -> Place | None:
    """Return where issues go, before anything is asked of the store."""
    if github is None:
        if url is not None or dry_run:
            raise UsageError("--github-url and --dry-run go with --github OWNER/REPO")
        return None
    from beambench.watch.github.client import session_of
    from beambench.watch.github.place import place_of

    place = place_of(github, url, needs_token=not dry_run)
    session_of(place).close()
    return place


@dataclass(frozen=True)
class Watched:
    """Of what this command would have seen an alarm."""

    benchmarks: frozenset[str]
    metrics: frozenset[str]

    def __call__(self, key: AlarmKey) -> bool:
        return key.benchmark in self.benchmarks and key.metric in (None, *self.metrics)


def _to_issues(
    place: Place,
    clock: Clock,
    alarms: Sequence[WatchAlarm],
    watched: Watched,
    dry_run: bool,
    as_json: bool,
    outcomes: list[Outcome],
) -> int:
    """Bring the issues of a repository up to date; collect outcomes; return the exit code."""
    from beambench.presentation.issues import alarm_texts, print_outcome
    from beambench.watch.github.client import GitHub, GitHubError
    from beambench.watch.github.issues import synchronise

    github = GitHub(place, clock)
    try:
        for outcome in synchronise(github, alarm_texts(alarms), watched, dry_run=dry_run):
            outcomes.append(outcome)
            if not as_json:
                print_outcome(outcome, dry_run)
    except GitHubError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted: the next call carries on with the issues")
        return EXIT_INTERRUPTED
    return EXIT_OK
