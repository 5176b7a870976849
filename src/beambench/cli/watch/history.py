"""`beambench history`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from beambench.cli.settings import DefinitionsOption, JsonOption, StoreOption, library, store_url
from beambench.errors import UsageError, nearest

if TYPE_CHECKING:
    from beambench.store.run_store import RunStore
    from beambench.watch.series import Series

T = TypeVar("T")
LISTED, DRAWN = 20, 200
"""Runs at most, where no limit is given."""


def history(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A benchmark.", show_default=False)
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at most, the newest: 20, or 200 with --metric."),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="M",
            help="Draw this metric over time, with its changes: see `beambench metrics`.",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Draw a column of a CSV file instead."),
    ] = None,
    value_column: Annotated[
        str | None, typer.Option(metavar="V", help="Column of the values of --csv.")
    ] = None,
    group_column: Annotated[
        str | None,
        typer.Option(metavar="G", help="Column of --csv: levels are compared within a group."),
    ] = None,
    time_column: Annotated[
        str | None, typer.Option(metavar="T", help="Column of --csv that is shown beside a value.")
    ] = None,
    store: StoreOption = None,
    definitions: DefinitionsOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the stored runs of a benchmark, or draw one of their metrics with its changes."""
    if file is not None:
        if value_column is None or name is not None or metric is not None:
            raise UsageError("--csv takes --value-column, and neither NAME nor --metric")
        from beambench.watch.series import series_of_file

        _show(
            str(file), [series_of_file(file, value_column, group_column, time_column)], {}, as_json
        )
        return
    if name is None or any((value_column, group_column, time_column)):
        raise UsageError("give the NAME of a benchmark, or --csv FILE with --value-column")
    if metric is not None:
        _draw(name, metric, limit or DRAWN, store, definitions, as_json)
    else:
        _list(name, limit or LISTED, store, definitions, as_json)


def _draw(
    name: str,
    metric: str,
    limit: int,
    store: str | None,
    definitions: list[Path] | None,
    as_json: bool,
) -> None:
    from beambench.watch.series import series_of_runs

    records = _stored(name, store, definitions, lambda runs: runs.history_runs(name, limit=limit))
    series, left_out = series_of_runs(records, metric)
    _show(name, series, left_out, as_json)


def _show(name: str, series: Sequence[Series], left_out: Mapping[str, int], as_json: bool) -> None:
    from beambench.presentation.histories import as_document, print_series
    from beambench.presentation.values import print_json

    if as_json:
        print_json(as_document(name, series, left_out))
    else:
        print_series(name, series, left_out)


def _list(
    name: str, limit: int, store: str | None, definitions: list[Path] | None, as_json: bool
) -> None:
    from beambench.presentation.runs import print_history
    from beambench.presentation.values import print_json

    rows = _stored(name, store, definitions, lambda runs: runs.summaries(name, limit=limit))
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
    else:
        print_history(name, rows)


def _stored(
    name: str,
    store: str | None,
    definitions: list[Path] | None,
    read: Callable[[RunStore], list[T]],
) -> list[T]:
    """Return what is read of a benchmark.

    Raises UsageError without any, if neither the store nor a definition knows the benchmark.
    """
    from beambench.store.run_store import RunStore

    with RunStore.open(store_url(store)) as runs:
        rows, stored = read(runs), runs.benchmarks()
    known = [] if rows else sorted({*library(definitions).names(), *stored})
    if not rows and name not in known:
        raise UsageError(f"no benchmark {name!r}{nearest(name, known)}: `beambench list` shows all")
    return rows
