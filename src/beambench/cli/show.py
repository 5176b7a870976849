"""`beambench show`."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from beambench.cli.comparison.compare import print_as
from beambench.cli.settings import DefinitionsOption, JsonOption, StoreOption, library, store_url
from beambench.errors import UsageError

RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
COMPARISON_ID = re.compile(r"compare-\d{4}.*")


def show(
    wanted: Annotated[
        str,
        typer.Argument(metavar="RUN|COMPARISON|NAME", help="A run, a comparison, or a benchmark."),
    ],
    store: StoreOption = None,
    definitions: DefinitionsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a stored run or comparison, or the definition of a benchmark."""
    from beambench.presentation.plans import print_definition
    from beambench.presentation.runs import print_record
    from beambench.presentation.values import print_json

    known = library(definitions)
    name = known.add_if_file(wanted)
    if name in known.names():
        document = _definition(known, name)
        print_json(document) if as_json else print_definition(document)
        return
    if COMPARISON_ID.fullmatch(wanted):
        print_as("json" if as_json else "text", _stored_comparison(wanted, store_url(store)))
        return
    record = _stored(wanted, store_url(store), known.names())
    print_json(record.model_dump(mode="json")) if as_json else print_record(record)


def _definition(known: Any, name: str) -> dict[str, Any]:
    definition = known.resolve_unprofiled(name)
    return {
        "definition_hash": definition.digest(),
        "file": str(known.path_of(name)),
        "distribution": known.distribution_of(name),
        "variants": known.raw(name)[1],
        **definition.model_dump(mode="json"),
    }


def _stored_comparison(wanted: str, url: str) -> Any:
    from beambench.store.run_store import RunStore

    with RunStore.open(url) as runs:
        comparison = runs.comparisons.get(wanted)
    if comparison is None:
        raise UsageError(f"no comparison {wanted!r} in this store")
    return comparison


def _stored(wanted: str, url: str, names: list[str]) -> Any:
    from beambench.errors import nearest
    from beambench.store.run_store import RunStore

    with RunStore.open(url) as runs:
        looks_like_run = RUN_ID.fullmatch(wanted) or (len(wanted) >= 4 and wanted[0].isdigit())
        record = runs.get(wanted) if looks_like_run else None
    if record is None:
        raise UsageError(
            f"no run and no benchmark {wanted!r}{nearest(wanted, names)}: `beambench list` shows "
            "the benchmarks, `beambench history NAME` the runs of one"
        )
    return record
