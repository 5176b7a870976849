"""`beambench compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from beambench.cli.settings import JsonOption, StoreOption, store_url
from beambench.errors import UsageError

if TYPE_CHECKING:
    from beambench.experiments.comparison.effects import Limits
    from beambench.record.comparison import Comparison

Format = Literal["text", "json", "markdown"]


def compare(
    wanted: Annotated[
        list[str], typer.Argument(metavar="RUN RUN", help="Two stored runs: base and candidate.")
    ],
    allow_different: Annotated[
        bool,
        typer.Option("--allow-different", help="Compare runs that are not alike, and say in what."),
    ] = False,
    margin: Annotated[
        str, typer.Option(metavar="PERCENT", help="Change up to which both are the same.")
    ] = "3%",
    form: Annotated[
        Format, typer.Option("--format", help="How it is printed: text, json, markdown.")
    ] = "text",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two stored runs: faster, slower, the same, or inconclusive."""
    from beambench.analysis.comparison import ALPHA
    from beambench.experiments.comparison.effects import Limits

    if as_json and form == "markdown":
        raise UsageError("--json and --format markdown: give one of them")
    limits = Limits(fraction(margin, "--margin"), ALPHA)
    if len(wanted) != 2:
        raise UsageError(f"{len(wanted)} names: give two runs, the base and the candidate")
    comparison = _stored(wanted, store_url(store), limits, allow_different)
    print_as("json" if as_json else form, comparison)


def _stored(wanted: list[str], url: str, limits: Limits, allow_different: bool) -> Comparison:
    from beambench.experiments.comparison.stored import compare_stored
    from beambench.experiments.publishing import runs_named
    from beambench.store.run_store import RunStore

    with RunStore.open(url) as runs:
        base, candidate = runs_named(runs, wanted)
        comparison = compare_stored(base, candidate, limits, allow_different=allow_different)
        runs.comparisons.add(comparison)
    return comparison


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


def fraction(text: str, option: str) -> float:
    """Return a share that a user wrote as `3%` or `0.03`. Raises UsageError for anything else."""
    number, percent = text.strip().removesuffix("%"), text.strip().endswith("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise UsageError(f"{option} {text}: expected a share between 0 and 1, such as 3% or 0.03")
    return value
