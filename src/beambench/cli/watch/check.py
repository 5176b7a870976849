"""`beambench check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from beambench.cli.settings import (
    FormatOption,
    JsonOption,
    StoreOption,
    fraction,
    store_url,
)
from beambench.cli.watch.baseline import named
from beambench.errors import EXIT_INCONCLUSIVE, EXIT_REGRESSION, UsageError

if TYPE_CHECKING:
    from beambench.record.baseline import Baseline
    from beambench.store.run_store import RunStore
    from beambench.store.summaries import HistoryRun
    from beambench.watch.series import HistoricRun


def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A benchmark.")],
    against: Annotated[str, typer.Option(metavar="BASELINE", help="What it is measured against.")],
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="The run to check; default: the newest.")
    ] = None,
    max_slowdown: Annotated[
        str, typer.Option(metavar="PERCENT", help="How much worse a metric may be.")
    ] = "5%",
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="M", help="Check this metric (see `beambench metrics`); can be repeated."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 4 if too little is known to pass.")
    ] = False,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Exit code 0 whatever is said.")
    ] = False,
    form: FormatOption = "text",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the newest run of a benchmark against a baseline: exit code 1 if it is slower."""
    from beambench.presentation.baselines import print_report, report_document, report_markdown
    from beambench.presentation.values import print_json, print_text
    from beambench.store.run_store import RunStore
    from beambench.watch.gate import report

    allowed = fraction(max_slowdown, "--max-slowdown")
    with RunStore.open(store_url(store)) as runs:
        baseline = named(runs, against)
        if baseline.benchmark != name:
            raise UsageError(f"baseline {against}: is of {baseline.benchmark}, not of {name}")
        history = runs.history_runs(name)
        candidate = _candidate(runs, history, baseline, run)
    result = report(baseline, candidate, history, metric or None, allowed)
    if as_json or form == "json":
        print_json(report_document(result))
    elif form == "markdown":
        print_text(report_markdown(result))
    else:
        print_report(result)
    if report_only:
        return
    if result.verdict == "failed":
        raise typer.Exit(EXIT_REGRESSION)
    if result.verdict == "inconclusive" and strict:
        raise typer.Exit(EXIT_INCONCLUSIVE)


def _candidate(
    runs: RunStore, history: list[HistoryRun], baseline: Baseline, wanted: str | None
) -> HistoricRun:
    from beambench.experiments.publishing import runs_named
    from beambench.watch.baselines import candidate_of

    first = next((each for each in history if each.run_id in baseline.run_ids), None)
    missing = set(baseline.run_ids) - {each.run_id for each in history}
    if first is None or missing:
        raise UsageError(
            f"baseline {baseline.name}: run {min(missing)} is not in this store: save it again"
        )
    if wanted is not None:
        (candidate,) = runs_named(runs, [wanted])
        if candidate.run_id in baseline.run_ids:
            raise UsageError(f"run {candidate.run_id} is part of baseline {baseline.name}")
        return candidate
    newest = candidate_of(baseline, first, history)
    if newest is None:
        raise UsageError(
            f"no run of {baseline.benchmark} beside those of baseline {baseline.name}: run it first"
        )
    return newest
