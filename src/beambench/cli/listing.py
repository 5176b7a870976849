"""`beambench list`."""

from __future__ import annotations

from beambench.cli.settings import DefinitionsOption, JsonOption, library, warn_of

COLUMNS = ("name", "title", "workload", "scenario", "model", "input", "cluster")


def list_benchmarks(definitions: DefinitionsOption = None, as_json: JsonOption = False) -> None:
    """List the benchmarks: those of the catalog, of installed distributions and your own."""
    from beambench.presentation.plans import print_benchmarks
    from beambench.presentation.values import print_json

    known = library(definitions)
    said = len(known.problems)
    contents = [definition.model_dump(mode="json") for definition in known.unprofiled()]
    warn_of(known.problems[said:])
    rows = [
        {key: content[key] for key in COLUMNS}
        | {"distribution": known.distribution_of(content["name"])}
        for content in contents
    ]
    if as_json:
        print_json(rows)
    else:
        print_benchmarks(rows)
