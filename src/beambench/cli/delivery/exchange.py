"""`beambench export` and `beambench import`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beambench.cli.console.messages import say
from beambench.cli.delivery.publishers import HISTORIES
from beambench.cli.settings import DefinitionsOption, JsonOption, StoreOption, library, store_url
from beambench.errors import UsageError, nearest

if TYPE_CHECKING:
    from beambench.definition.schema import Definition
    from beambench.experiments.exchange import ReadFile
    from beambench.record.run_record import RunRecord


class Format(str, Enum):
    """How runs are written."""

    json = "json"
    csv = "csv"
    markdown = "markdown"


def export_runs(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="RUN...", help="Ids of runs, or their beginnings.")
    ] = None,
    benchmark: Annotated[
        str | None, typer.Option(metavar="NAME", help="All runs of a benchmark.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="All runs from this time on.")
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="Whole records, or a row for each metric.")
    ] = Format.json,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="PATH", help="Default: stdout.")
    ] = None,
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Write stored runs as JSON (whole, for import), CSV or Markdown."""
    from beambench.experiments import exchange
    from beambench.experiments.publishing import runs_named
    from beambench.presentation.exports import FORMATS
    from beambench.presentation.values import print_json
    from beambench.store.run_store import RunStore

    if (bool(runs), benchmark is not None, since is not None).count(True) != 1:
        raise UsageError("give one of RUN, --benchmark and --since")
    if as_json and form is not Format.json:
        raise UsageError(f"--json and --format {form.value}: give one of them")
    with RunStore.open(store_url(store)) as known:
        if benchmark is not None:
            records = known.history(benchmark)
            if not records:
                names = known.benchmarks()
                raise UsageError(
                    f"no run of {benchmark!r} in this store{nearest(benchmark, names)}"
                )
        else:
            records = known.since(since) if since is not None else runs_named(known, runs or [])
    if output is None and form is Format.json:
        print_json([record.model_dump(mode="json") for record in records])
    elif output is None:
        sys.stdout.write(FORMATS[form.value](records))
    else:
        exchange.write(output, FORMATS[form.value](records))
        say(f"{len(records)} run{'s' if len(records) != 1 else ''} written to {output}")


def import_runs(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE...",
            help="What `beambench export` wrote as JSON, or rows of Beam's suite as JSON or CSV.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar=HISTORIES,
            help="In place of FILE: the database that Beam's suite filled.",
        ),
    ] = None,
    benchmark: Annotated[
        str | None, typer.Option(metavar="NAME", help="The benchmark whose history the rows are.")
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Table (DATASET.TABLE or PROJECT.DATASET.TABLE) or measurement; default: that of "
            "the benchmark.",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1.0, metavar="SECONDS", help="Time limit of --from.")
    ] = 300.0,
    store: StoreOption = None,
    definitions: DefinitionsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring in runs of another store, or the history that Beam's own suite has published."""
    from beambench.experiments import exchange
    from beambench.presentation.values import print_json, print_text
    from beambench.store.run_store import RunStore

    _check_source(source, files)
    if source is not None and benchmark is None:
        raise UsageError(f"--from {source}: say whose history it is with --benchmark NAME")
    if table is not None and source is None:
        raise UsageError("--table goes with --from")
    now = datetime.now(timezone.utc).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
    definition = _definition(benchmark, definitions) if benchmark is not None else None
    imports: list[ReadFile] = [exchange.read_file(path, benchmark, now) for path in files or []]
    if source is not None and definition is not None:
        imports.append(exchange.read_database(source, definition, table, now, seconds=timeout))
    records, left_out = _together(imports)
    with RunStore.open(store_url(store)) as known:
        added = known.add_missing(list(records.values()))
    for line in left_out:
        say(f"left out: {line}")
    if as_json:
        print_json({"found": len(records), "added": added, "left_out": left_out})
    else:
        present = len(records) - added
        already = f", {present} were there already" if present else ""
        print_text(f"{added} run{'s' if added != 1 else ''} imported{already}")


def _together(imports: Sequence[ReadFile]) -> tuple[dict[str, RunRecord], list[str]]:
    """Return the runs of several files by their ids, and a line for all that was left out."""
    records: dict[str, RunRecord] = {}
    for source in imports:
        for record in source.records:
            records.setdefault(record.run_id, record)
    left_out = [line for source in imports for line in source.left_out]
    twice = sum(len(source.records) for source in imports) - len(records)
    if twice:
        left_out.append(f"{twice} with the id of a run that came before in this import")
    return records, left_out


def _check_source(source: str | None, files: list[Path] | None) -> None:
    from beambench.definition.publishers import with_history

    if source is not None and source not in with_history():
        known = ", ".join(map(repr, with_history()))
        raise UsageError(f"--from {source}: {source!r} is not one of {known}")
    if bool(files) == (source is not None):
        raise UsageError(f"give FILE or --from {' or --from '.join(with_history())}")


def _definition(benchmark: str, definitions: list[Path] | None) -> Definition:
    resolved = library(definitions).resolve(benchmark, variant="stock")
    definition: Definition = resolved.definition
    return definition
