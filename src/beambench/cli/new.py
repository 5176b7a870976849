"""`beambench new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beambench.cli.settings import JsonOption, library


def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and hyphens.")
    ],
    template: Annotated[
        str,
        typer.Option(
            "--from", metavar="TEMPLATE", help="What to start from: minimal, pytorch, scikit-learn."
        ),
    ],
    into: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder to write to; made if it is missing.")
    ] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Write a benchmark of your own: workload module, definition and test, which run at once."""
    from beambench.presentation.environment import print_written
    from beambench.presentation.values import print_json
    from beambench.setup.new import write_benchmark

    written = write_benchmark(name, template, into, library(None))
    if as_json:
        print_json(
            {
                "name": written.name,
                "template": written.template,
                "files": [str(path) for path in written.files],
                "commands": written.commands,
            }
        )
    else:
        print_written(written)
