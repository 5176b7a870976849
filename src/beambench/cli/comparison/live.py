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
    from beambench.experiments.comparison.several import ComparedBenchmarks
    from beambench.experiments.live_comparison.live import FinishedComparison
    from beambench.record.comparison import Comparison
    from beambench.request.comparison import ComparisonRequest
    from beambench.store.run_store import RunStore


def compare_live(context: typer.Context, margin: float) -> tuple[ComparedBenchmarks, int]:
    """Measure what the command line asks for, and store it; return documents and exit code.

    Of several benchmarks those are left out that cannot have both sides, unless none can.
    """
    from beambench.experiments.comparison.several import ComparedBenchmarks, clearest_first
    from beambench.store.run_store import RunStore

    given = context.params
    documents: list[Comparison] = []
    codes = [EXIT_OK]
    with RunStore.open(store_url(given["store"])) as store:
        earlier = _earlier(context, store)
        requests, left_out = _requests(context, earlier)
        if given["dry_run"]:
            _print_plans(requests, given["as_json"])
            return ComparedBenchmarks(()), EXIT_OK
        for request in requests:
            try:
                finished = _measured(context, store, request, earlier, margin)
            except UsageError as error:  # of its preparation; what others measured is kept
                if len(requests) == 1:
                    raise
                left_out[request.name] = str(error)
                codes.append(EXIT_FAILED)
                continue
            documents += finished.documents
            codes += _codes(finished, strict=given["strict"])
            if finished.documents[0].status == "cancelled":
                break
    reached = {document.benchmark for document in documents}
    left_out |= {
        request.name: "the comparison was cancelled before it"
        for request in requests
        if request.name not in reached and request.name not in left_out
    }
    several = clearest_first(documents) if len(requests) > 1 else documents
    return ComparedBenchmarks(several, left_out), worst(codes)


def _measured(
    context: typer.Context,
    store: RunStore,
    request: ComparisonRequest,
    earlier: Comparison | None,
    margin: float,
) -> FinishedComparison:
    from beambench.analysis.comparison import ALPHA
    from beambench.experiments.comparison.effects import Limits

    for side in request.sides:
        for warning in side.request.warnings:
            say(f"{side.name}: {warning}")
    if earlier is not None and not is_given(context, "margin"):
        margin = earlier.margin
    limits = Limits(margin, ALPHA, looks=max(1, len(request.budget.looks())))
    return _carried_out(context, store, request, earlier, limits)


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


def _requests(
    context: typer.Context, earlier: Comparison | None
) -> tuple[list[ComparisonRequest], dict[str, str]]:
    """Return what is to be measured, and why benchmarks are left out where several are named."""
    if earlier is not None:
        return [_request(context, _kept(earlier), earlier)], {}
    names = context.params["wanted"] or []
    if not names:
        raise UsageError("0 names: give benchmarks with --candidate SETTINGS, or two runs")
    requests: list[ComparisonRequest] = []
    left_out: dict[str, str] = {}
    for name in dict.fromkeys(names):
        try:
            requests.append(_request(context, _options(context, name), None))
        except UsageError as error:
            if len(names) == 1:
                raise
            left_out[name] = str(error)
    if not requests:
        raise UsageError("; ".join(f"{name}: {reason}" for name, reason in left_out.items()))
    return requests, left_out


def _request(
    context: typer.Context, options: dict[str, Any], earlier: Comparison | None
) -> ComparisonRequest:
    from beambench.request.comparison import make_comparison

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


def _options(context: typer.Context, name: str) -> dict[str, Any]:
    given = context.params
    return {
        **{option: given[option] for option in (*SAME, *OWN)},
        "name": _located(name),
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


def _print_plans(requests: Sequence[ComparisonRequest], as_json: bool) -> None:
    from beambench.presentation.plans import print_plan
    from beambench.presentation.values import print_json

    plans = {request.name: _plans(request) for request in requests}
    if as_json:
        print_json(plans if len(plans) > 1 else plans[requests[0].name])
        return
    for request in requests:
        for side, document in zip(request.sides, plans[request.name].values(), strict=True):
            say(f"{side.name}: {side.shown_settings or 'as defined'}")
            print_plan(document)


def _plans(request: ComparisonRequest) -> dict[str, dict[str, Any]]:
    """Return what would be run, by side."""
    return {
        side.name: {
            **side.request.identity(),
            "runner": side.request.runner,
            "config": side.request.configuration(),
        }
        for side in request.sides
    }
