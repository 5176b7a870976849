"""`beambench compare NAME`: configurations that are measured now."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from beambench.cli.comparison.options import OWN, SAME, WITH_RESUME
from beambench.cli.console.messages import say
from beambench.cli.console.process import cancelled_by_signals
from beambench.cli.execution import STATUS_CODES
from beambench.cli.run import chosen_profile, parse_labels
from beambench.cli.settings import is_given, library, store_url
from beambench.errors import EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_OK, UsageError, worst

if TYPE_CHECKING:
    from beambench.experiments.comparison.effects import Limits
    from beambench.experiments.live_comparison.live import FinishedComparison
    from beambench.record.comparison import Comparison
    from beambench.request.comparison import ComparisonRequest
    from beambench.store.run_store import RunStore


def compare_live(context: typer.Context, margin: float) -> tuple[Sequence[Comparison], int]:
    """Measure what the command line asks for, and store it; return documents and exit code."""
    from beambench.analysis.comparison import ALPHA
    from beambench.experiments.comparison.effects import Limits
    from beambench.store.run_store import RunStore

    given = context.params
    with RunStore.open(store_url(given["store"])) as store:
        earlier = _earlier(context, store)
        request = _request(context, earlier)
        if given["dry_run"]:
            _print_plan(request, given["as_json"])
            return (), EXIT_OK
        for side in request.sides:
            for warning in side.request.warnings:
                say(f"{side.name}: {warning}")
        if earlier is not None and not is_given(context, "margin"):
            margin = earlier.margin
        limits = Limits(margin, ALPHA, looks=max(1, len(request.budget.looks())))
        finished = _carried_out(context, store, request, earlier, limits)
    return finished.documents, worst(list(_codes(finished, strict=given["strict"])))


def _carried_out(
    context: typer.Context,
    store: RunStore,
    request: ComparisonRequest,
    earlier: Comparison | None,
    limits: Limits,
) -> FinishedComparison:
    from beambench.cli.console.progress import ProgressReporter
    from beambench.experiments.live_comparison.live import LiveComparison
    from beambench.experiments.saving import RunSaver

    with cancelled_by_signals() as interruption:
        progress = ProgressReporter()
        live = LiveComparison(
            request,
            store,
            RunSaver(store, interruption.cancelled),
            interruption.cancelled,
            limits,
            progress.begin(request.sides[0].request),
            context.obj.clock,
            earlier,
            say,
        )
        try:
            finished = live.carry_out()
        finally:
            progress.close()
        for message in [*(line for run in finished.saved for line in run.messages)]:
            say(message)
        for error in finished.errors:
            say(error)
    return finished


def _codes(finished: FinishedComparison, *, strict: bool) -> list[int]:
    first = finished.documents[0]
    codes = [STATUS_CODES[first.status]]
    if finished.errors or not all(saved.is_stored for saved in finished.saved):
        codes.append(EXIT_FAILED)
    compared = [document for document in finished.documents if not _is_control(document)]
    if strict and any(document.verdict == "inconclusive" for document in compared):
        codes.append(EXIT_INCONCLUSIVE)
    return codes


def _is_control(document: Comparison) -> bool:
    return any("control" in side.settings for side in document.sides)


def _earlier(context: typer.Context, store: RunStore) -> Comparison | None:
    """Return the comparison that is resumed."""
    comparison_id = context.params["resume"]
    if comparison_id is None:
        return None
    from beambench.experiments.live_comparison.live import resumable

    for parameter in context.command.params:
        name = str(parameter.name)
        if name not in WITH_RESUME and is_given(context, name):
            label = parameter.opts[0] if name != "wanted" else "NAME"
            raise UsageError(f"{label} does not go with --resume: the comparison has its own")
    return resumable(store, comparison_id)


def _request(context: typer.Context, earlier: Comparison | None) -> ComparisonRequest:
    from beambench.request.comparison import make_comparison

    options = _options(context) if earlier is None else _kept(earlier)
    known = library([Path(path) for path in options.pop("definitions")])
    request = make_comparison(known, options.pop("name"), **options)
    # Kept with the request: where a comparison that is resumed finds its definitions.
    return request.with_option("definitions", options_of_definitions(context, earlier))


def options_of_definitions(context: typer.Context, earlier: Comparison | None) -> Sequence[str]:
    """Return the definitions of the user's own, as absolute paths."""
    if earlier is not None:
        return list(_kept(earlier)["definitions"])
    return [str(path.absolute()) for path in context.params["definitions"] or []]


def _kept(earlier: Comparison) -> dict[str, Any]:
    assert earlier.live is not None
    return dict(earlier.live.request)


def _options(context: typer.Context) -> dict[str, Any]:
    given = context.params
    names = given["wanted"] or []
    if len(names) != 1:
        raise UsageError(f"{len(names)} names: give one benchmark with --candidate, or two runs")
    return {
        **{name: given[name] for name in (*SAME, *OWN)},
        "name": _located(names[0]),
        "base": given["base"] or "",
        "candidates": _candidates(given),
        "definitions": options_of_definitions(context, None),
        "profile": chosen_profile(context, given["profile"]),
        "overrides": given["overrides"] or [],
        "labels": parse_labels(given["label"] or []),
        "beam_flags": context.obj.beam_flags,
        "command": ["beambench", *sys.argv[1:]],
        "dry_run": given["dry_run"],
    }


def _candidates(given: Mapping[str, Any]) -> list[str]:
    """Return the settings of the candidates: those of the base, for another Python alone."""
    chosen: list[str] = given["candidates"] or []
    if not chosen and (given["base_python"] or given["candidate_python"]) is not None:
        return [given["base"] or ""]
    return chosen


def _located(name: str) -> str:
    """Return a definition file by its absolute path, which holds wherever it is resumed."""
    return str(Path(name).absolute()) if name.endswith((".yaml", ".yml")) else name


def _print_plan(request: ComparisonRequest, as_json: bool) -> None:
    from beambench.presentation.plans import print_plan
    from beambench.presentation.values import print_json

    documents: list[dict[str, Any]] = [
        {
            **side.request.identity(),
            "runner": side.request.runner,
            "config": side.request.configuration(),
        }
        for side in request.sides
    ]
    if as_json:
        names = [side.name for side in request.sides]
        print_json(dict(zip(names, documents, strict=True)))
        return
    for side, document in zip(request.sides, documents, strict=True):
        say(f"{side.name}: {side.shown_settings or 'as defined'}")
        print_plan(document)
