"""Where settings come from: command line > environment > project file > definition > default."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from beambench.cli.console.messages import say
from beambench.errors import UsageError, nearest

PROJECT_FILE = "beambench.yaml"
RUN_SETTINGS = (
    "profile",
    "variant",
    "runner",
    "repeats",
    "retry_disturbed",
    "seed",
    "timeout",
    "max_failed",
    "publish",
)
SHARED_SETTINGS = ("store", "definitions")
MAPPED_SETTINGS = ("alarm_policy",)
"""Keys of the project file that are settings by name; they are read where they are used."""

WITH_RUN_SETTINGS = ("run", "compare", "options", "cost")
"""Verbs that take what RUN_SETTINGS say as a run does."""

ENVIRONMENT = tuple(f"BEAMBENCH_{name.upper()}" for name in (*SHARED_SETTINGS, *RUN_SETTINGS))
TEST_PREFIX = "BEAMBENCH_TEST_"
PROCESS_TREE = "BEAMBENCH_PROCESS_TREE"
"""Set by the controller for its workers; a workload may call beambench itself."""

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        envvar="BEAMBENCH_STORE",
        help="Store of runs: sqlite:///relative.db, sqlite:////absolute.db, postgresql://...",
        show_envvar=True,
    ),
]
DefinitionsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--definitions",
        metavar="PATH",
        envvar="BEAMBENCH_DEFINITIONS",
        help="Definition file or folder of your own, beside the catalog; can be repeated.",
    ),
]
Format = Literal["text", "json", "markdown"]
FormatOption = Annotated[
    Format, typer.Option("--format", help="How it is printed: text, json, markdown.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]


def check_environment() -> None:
    """Refuse unknown BEAMBENCH_* variables: a misspelt one would silently do nothing."""
    for name in sorted(os.environ):
        ours = name.startswith("BEAMBENCH_") and not name.startswith(TEST_PREFIX)
        if ours and name not in (*ENVIRONMENT, PROCESS_TREE):
            raise UsageError(
                f"environment variable {name} is not known{nearest(name, list(ENVIRONMENT))}"
            )


def project_settings() -> dict[str, Any]:
    """Read the project file of the current folder, if there is one."""
    path = Path(PROJECT_FILE)
    if not path.is_file():
        return {}
    from beambench.definition.yaml_file import read_mapping

    settings = read_mapping(path)
    known = [*SHARED_SETTINGS, *RUN_SETTINGS, *MAPPED_SETTINGS]
    for key, value in settings.items():
        if key not in known:
            raise UsageError(f"{path}: unknown key {key}{nearest(key, known)}")
        if key in ("definitions", "publish"):
            if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
                content = "paths" if key == "definitions" else "publishers"
                raise UsageError(f"{path}: {key}: expected a list of {content}")
        elif key in MAPPED_SETTINGS:
            if not isinstance(value, dict):
                raise UsageError(f"{path}: {key}: expected settings by name, not {value!r:.60}")
        elif not isinstance(value, str | int | float) or isinstance(value, bool):
            raise UsageError(f"{path}: {key}: expected text or a number, not {value!r:.60}")
    return settings


def default_map(settings: dict[str, Any], verbs: Iterable[str]) -> dict[str, Any]:
    """Return the project file as defaults of the verbs, which is how it yields to the rest."""
    run = {key: settings[key] for key in RUN_SETTINGS if key in settings}
    shared = {key: settings[key] for key in SHARED_SETTINGS if key in settings}
    defaults = {verb: shared | (run if verb in WITH_RUN_SETTINGS else {}) for verb in verbs}
    if "publish" in run:
        defaults["publish"] |= {"publishers": run["publish"]}
        defaults["run"] |= {"publishers": run["publish"]}
    return defaults


def store_url(chosen: str | None) -> str:
    if chosen is not None:
        return chosen
    from beambench.store.run_store import default_url

    return default_url()


def library(definitions: Sequence[Path] | None) -> Any:
    """Return the catalog with the user's own definitions; say what of others is left out."""
    from beambench.definition.library import Library

    known = Library(definitions or ())
    warn_of(known.problems)
    return known


def warn_of(problems: Sequence[str]) -> None:
    for problem in problems:
        say(f"warning: {problem}")


def is_given(context: typer.Context, parameter: str) -> bool:
    """Tell whether a parameter stands on the command line."""
    origin = context.get_parameter_source(parameter)
    return origin is not None and origin.name == "COMMANDLINE"


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
