"""`beambench compare`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from beambench.cli.comparison.options import (
    LIVE,
    STORED,
    AcceptDisturbedOption,
    AllowDifferentOption,
    BaseLabelOption,
    BaseOption,
    BasePythonOption,
    CandidateLabelOption,
    CandidateOption,
    CandidatePythonOption,
    ControlOption,
    MarginOption,
    MaxTimeOption,
    PairsOption,
    ResumeOption,
    ScheduleOption,
    StrictOption,
    UntilOption,
    WantedArgument,
)
from beambench.cli.run import parse_labels
from beambench.cli.run_options import (
    DryRunOption,
    LabelOption,
    LabelsFileOption,
    LimitOption,
    MaxFailedOption,
    OptionsFileOption,
    OverridesOption,
    ProfileOption,
    RetryDisturbedOption,
    RunnerOption,
    SeedOption,
    SourceOption,
    TimeoutOption,
    VariantOption,
)
from beambench.cli.settings import (
    DefinitionsOption,
    Format,
    FormatOption,
    JsonOption,
    StoreOption,
    fraction,
    is_given,
    store_url,
)
from beambench.definition.runners import DEFAULT
from beambench.errors import EXIT_INCONCLUSIVE, EXIT_OK, UsageError

if TYPE_CHECKING:
    from beambench.experiments.comparison.several import ComparedBenchmarks
    from beambench.record.comparison import Comparison

RETRIES = 3
"""Pairs that are measured again, unless more are asked for."""


def compare(
    context: typer.Context,
    wanted: WantedArgument = None,
    base: BaseOption = None,
    candidates: CandidateOption = None,
    base_python: BasePythonOption = None,
    candidate_python: CandidatePythonOption = None,
    control: ControlOption = False,
    schedule: ScheduleOption = "interleaved",
    pairs: PairsOption = None,
    max_time: MaxTimeOption = None,
    until: UntilOption = None,
    accept_disturbed: AcceptDisturbedOption = False,
    retry_disturbed: RetryDisturbedOption = RETRIES,
    resume: ResumeOption = None,
    strict: StrictOption = False,
    base_labels: BaseLabelOption = None,
    candidate_labels: CandidateLabelOption = None,
    allow_different: AllowDifferentOption = False,
    margin: MarginOption = "3%",
    profile: ProfileOption = "local",
    variant: VariantOption = "stock",
    runner: RunnerOption = DEFAULT,
    source: SourceOption = None,
    labels_file: LabelsFileOption = None,
    limit: LimitOption = None,
    overrides: OverridesOption = None,
    options_file: OptionsFileOption = None,
    seed: SeedOption = 0,
    timeout: TimeoutOption = None,
    max_failed: MaxFailedOption = None,
    store: StoreOption = None,
    definitions: DefinitionsOption = None,
    label: LabelOption = None,
    dry_run: DryRunOption = False,
    form: FormatOption = "text",
    as_json: JsonOption = False,
) -> None:
    """Compare configurations of benchmarks, measured now in turns, or stored runs."""
    if as_json and form == "markdown":
        raise UsageError("--json and --format markdown: give one of them")
    least = fraction(margin, "--margin")
    if any((candidates, base_python, candidate_python, control, resume)) or len(wanted or []) == 1:
        from beambench.cli.comparison.live import compare_live

        _check_options(context, STORED, "stored runs, not with what is measured now")
        compared, code = compare_live(context, least)
    else:
        _check_options(context, LIVE, "a benchmark that is measured now, not with stored runs")
        compared = _stored(context, wanted or [], least)
        unknown = strict and any(each.verdict == "inconclusive" for each in compared.comparisons)
        code = EXIT_INCONCLUSIVE if unknown else EXIT_OK
    if compared.comparisons or compared.left_out:
        print_all("json" if as_json else form, compared)
    raise typer.Exit(code)


def _check_options(context: typer.Context, names: Sequence[str], goes_with: str) -> None:
    for parameter in context.command.params:
        if parameter.name in names and is_given(context, str(parameter.name)):
            raise UsageError(f"{parameter.opts[0]} goes with {goes_with}")


def _stored(context: typer.Context, wanted: list[str], margin: float) -> ComparedBenchmarks:
    from beambench.analysis.comparison import ALPHA
    from beambench.experiments.comparison.effects import Limits
    from beambench.experiments.comparison.several import ComparedBenchmarks, compare_labelled
    from beambench.experiments.comparison.stored import compare_stored
    from beambench.experiments.publishing import runs_named
    from beambench.store.run_store import RunStore

    given = context.params
    allow_different: bool = given["allow_different"]
    base = parse_labels(given["base_labels"] or [], "--base-label")
    candidate = parse_labels(given["candidate_labels"] or [], "--candidate-label")
    if (base or candidate) and (wanted or not base or not candidate):
        raise UsageError(
            "--base-label and --candidate-label go together, and without names: they choose the "
            "runs of all benchmarks"
        )
    if not base and len(wanted) != 2:
        raise UsageError(
            f"{len(wanted)} names: give two runs, or benchmarks with --candidate SETTINGS"
        )
    limits = Limits(margin, ALPHA)
    with RunStore.open(store_url(given["store"])) as runs:
        if base:
            return compare_labelled(runs, base, candidate, limits, allow_different=allow_different)
        first, second = runs_named(runs, wanted)
        comparison = compare_stored(runs, first, second, limits, allow_different=allow_different)
        return ComparedBenchmarks([comparison])


def print_all(form: Format, compared: ComparedBenchmarks) -> None:
    """Print comparisons to stdout: of several benchmarks with what they come to.

    Of several candidates of a benchmark JSON is a list, and text ends with a table.
    """
    from beambench.presentation.comparisons import print_candidates
    from beambench.presentation.several_comparisons import print_several
    from beambench.presentation.values import print_json

    comparisons = compared.comparisons
    if compared.left_out or len({each.benchmark for each in comparisons}) > 1:
        print_several(form, compared)
        return
    if form == "json" and len(comparisons) > 1:
        print_json([comparison.model_dump(mode="json") for comparison in comparisons])
        return
    for comparison in comparisons:
        print_as(form, comparison)
    if form == "text" and len(comparisons) > 1:
        print_candidates(comparisons)


def print_as(form: Format, comparison: Comparison) -> None:
    """Print a comparison to stdout."""
    from beambench.presentation.comparisons import as_markdown, print_comparison
    from beambench.presentation.values import print_json, print_text

    if form == "json":
        print_json(comparison.model_dump(mode="json"))
    elif form == "markdown":
        print_text(as_markdown(comparison).rstrip("\n"))
    else:
        print_comparison(comparison)
