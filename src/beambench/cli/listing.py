"""`beambench list`."""

from __future__ import annotations

from beambench.cli.settings import DefinitionsOption, JsonOption, library

COLUMNS = ("name", "title", "workload", "scenario", "model", "input", "cluster")


def list_benchmarks(definitions: DefinitionsOption = None, as_json: JsonOption = False) -> None:
    """List the benchmarks: those of the catalog and your own."""
    from beambench.cli.output import print_benchmarks, print_json

    known = library(definitions)
    contents = [known.resolve_unprofiled(name).model_dump(mode="json") for name in known.names()]
    rows = [{key: content[key] for key in COLUMNS} for content in contents]
    if as_json:
        print_json(rows)
    else:
        print_benchmarks(rows)
