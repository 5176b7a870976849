"""`beambench validate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from beambench.cli.settings import DefinitionsOption, JsonOption, library
from beambench.errors import EXIT_USAGE, BeambenchError, UsageError


def validate(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME|FILE|DIR]...", help="None: the whole catalog."),
    ] = None,
    definitions: DefinitionsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check definitions: every variant in every profile, and what the workload knows of it."""
    from beambench.presentation.plans import print_validation
    from beambench.presentation.values import print_json

    places: list[str | None] = [*what] if what else [None]
    rows = [row for place in places for row in _check(place, definitions)]
    print_json(rows) if as_json else print_validation(rows)
    if any(row["error"] is not None for row in rows):
        raise typer.Exit(EXIT_USAGE)


def _check(kind: str | None, definitions: list[Path] | None) -> list[dict[str, Any]]:
    """Check one name, file or folder (None: all that is known); one row a definition."""
    if kind is None:
        known = library(definitions)
        return [_row(name, known, name) for name in known.names()]
    place = Path(kind)
    if os.path.isdir(place):  # noqa: PTH112 - never raises, however long the name
        from beambench.definition.library import definition_files

        files = [path for path in definition_files(place) if not path.stem.startswith("_")]
        if not files:
            raise UsageError(f"{place}: no definition in this folder (files ending in .yaml)")
        return _file_rows(files, library(definitions))
    if place.suffix in (".yaml", ".yml") or "/" in kind:
        return _file_rows([place], library(definitions))
    return [_row(kind, library(definitions), kind)]


def _file_rows(files: list[Path], known: Any) -> list[dict[str, Any]]:
    """Check files that may inherit from each other, whatever is wrong with one of them."""
    names: dict[Path, str | BeambenchError] = {}
    for path in files:
        try:
            names[path] = known.add_if_file(str(path))
        except BeambenchError as error:
            names[path] = error
    return [
        _row(str(path), known, name)
        if isinstance(name, str)
        else {"what": str(path), "name": None, "definition_hash": None, "error": str(name)}
        for path, name in names.items()
    ]


def _row(wanted: str, known: Any, name: str) -> dict[str, Any]:
    from beambench.definition.user_modules import importable, search_path
    from beambench.workloads.registry import check_workload

    row: dict[str, Any] = {"what": wanted, "name": name, "definition_hash": None, "error": None}
    try:
        for variant in known.variants(name):
            for profile in known.profiles(name, variant):
                resolved = known.resolve(name, variant=variant, profile=profile)
                with importable(search_path(resolved)):
                    check_workload(resolved.definition)
                if row["definition_hash"] is None:
                    row["definition_hash"] = resolved.definition_hash
    except BeambenchError as error:
        row["error"] = str(error)
    return row
