"""`beambench options`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from beambench.cli.settings import DefinitionsOption, JsonOption, library
from beambench.definition.runners import DEFAULT, find_runner


def options(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A benchmark, or a definition file.")],
    runner: Annotated[
        str, typer.Option(envvar="BEAMBENCH_RUNNER", help="Runner: direct, dataflow.")
    ] = DEFAULT,
    variant: Annotated[
        str, typer.Option(envvar="BEAMBENCH_VARIANT", help="Settings under a name.")
    ] = "stock",
    profile: Annotated[
        str, typer.Option(envvar="BEAMBENCH_PROFILE", help="How much is run: smoke, local, full.")
    ] = "local",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.SUBKEY=VALUE", help="Change the definition."),
    ] = None,
    requirements: Annotated[
        bool, typer.Option("--requirements", help="Print the requirements file of the workers.")
    ] = False,
    image: Annotated[
        Path | None,
        typer.Option(
            "--dockerfile",
            metavar="FOLDER",
            help="Write a Dockerfile of an image for the workers there, and all that it copies.",
        ),
    ] = None,
    definitions: DefinitionsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a benchmark as flags of Beam, one a line, as `run --options-file` reads them."""
    from beambench.definition.options_file.flags import flags_of
    from beambench.definition.options_file.syntax import as_line
    from beambench.definition.user_modules import importable, search_path
    from beambench.presentation.values import print_json, print_text
    from beambench.setup.worker_requirements import worker_requirements, write_image
    from beambench.workloads.registry import check_workload, load_class

    find_runner(runner)
    benchmarks = library(definitions)
    resolved = benchmarks.resolve(
        benchmarks.add_if_file(name), variant=variant, profile=profile, overrides=overrides or []
    )
    definition = resolved.definition
    with importable(search_path(resolved)):
        check_workload(definition)
        if image is not None:
            files = write_image(definition, resolved.path, image)
            lines = [str(file) for file in files]
            answer: dict[str, Any] = {"benchmark": definition.name, "files": lines}
        elif requirements:
            lines = worker_requirements(definition, resolved.path)
            answer = {"benchmark": definition.name, "requirements": lines}
        else:
            flags = flags_of(definition, runner, load_class(definition.workload).model_flag)
            lines = [as_line(flag) for flag in flags]
            answer = {"benchmark": definition.name, "runner": runner, "flags": flags}
    if as_json:
        print_json(answer)
    else:
        print_text("\n".join(lines))
