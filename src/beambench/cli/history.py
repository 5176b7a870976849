"""`beambench history`."""

from __future__ import annotations

from typing import Annotated

import typer

from beambench.cli.settings import DefinitionsOption, JsonOption, StoreOption, library, store_url
from beambench.errors import UsageError, nearest


def history(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A benchmark.")],
    limit: Annotated[int, typer.Option(min=1, help="Runs at most, the newest first.")] = 20,
    store: StoreOption = None,
    definitions: DefinitionsOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the stored runs of a benchmark, the newest first."""
    from beambench.presentation.runs import print_history
    from beambench.presentation.values import print_json
    from beambench.store.run_store import RunStore

    with RunStore.open(store_url(store)) as runs:
        rows = runs.summaries(name, limit=limit)
        stored = runs.benchmarks()
    if not rows:
        known = sorted({*library(definitions).names(), *stored})
        if name not in known:
            raise UsageError(
                f"no benchmark {name!r}{nearest(name, known)}: `beambench list` shows all"
            )
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
    else:
        print_history(name, rows)
