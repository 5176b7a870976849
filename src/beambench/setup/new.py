"""`beambench new`: a benchmark of the user's own, from a template that runs as it is."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from beambench.definition.library import Library
from beambench.definition.schema import Name
from beambench.definition.yaml_file import parse
from beambench.errors import UsageError, nearest

TEMPLATES = Path(__file__).parents[1] / "templates"
PLACEHOLDER = "my-benchmark"
"""Name of the benchmark in every template. So each template is code that can be checked and run."""


@dataclass(frozen=True)
class Written:
    """A benchmark that was written.

    Attributes:
        files: all that was written, in the order in which one would read it.
        commands: what to type next.
    """

    name: str
    template: str
    files: list[Path]
    commands: list[str]


def templates() -> list[str]:
    return sorted(folder.name for folder in TEMPLATES.iterdir() if folder.is_dir())


def write_benchmark(name: str, template: str, into: Path, library: Library) -> Written:
    """Write workload module, definition, sample input and test of a new benchmark.

    Raises:
        UsageError: a name that it cannot have, no such template, or a file that is in the way;
            nothing was written. Or a folder that cannot be written to.
    """
    known = templates()
    if template not in known:
        raise UsageError(
            f"no template {template!r}{nearest(template, known)}: there is {', '.join(known)}"
        )
    contents = {
        into / _renamed(path.name, name): _renamed(path.read_text("utf-8"), name)
        for path in sorted((TEMPLATES / template).iterdir(), key=_reading_order)
        if path.is_file()
    }
    for path in contents:
        if os.path.lexists(path):  # which never raises, and finds a broken link too
            raise UsageError(f"{path}: exists already: choose another name, or --into a new folder")
    check_name(name, library)
    for path, text in contents.items():
        try:
            into.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from None
    return Written(name, template, list(contents), _commands(name, into))


def check_name(name: str, library: Library) -> None:
    """Check that a benchmark, a Python module and a class can have this name.

    Raises:
        UsageError: they cannot, with the reason.
    """
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise UsageError(
            f"name {name!r}: expected up to 100 lower-case letters, digits and hyphens, a letter "
            "first"
        ) from None
    module, class_name = _module(name), _class(name)
    if not module.isidentifier() or not class_name.isidentifier():
        raise UsageError(f"name {name!r}: a Python module begins with a letter: choose another")
    if iskeyword(module) or iskeyword(class_name) or parse(name, name) != name:
        raise UsageError(f"name {name!r}: is a word of Python or YAML: choose another name")
    if name in library.names():
        raise UsageError(f"name {name!r}: is taken by {library.path_of(name)}: choose another name")
    if module in sys.stdlib_module_names or find_spec(module) is not None:
        raise UsageError(
            f"name {name!r}: there is a module {module!r} already: choose another name"
        )


def _module(name: str) -> str:
    return name.replace("-", "_")


def _class(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _title(name: str) -> str:
    return " ".join(name.split("-")).capitalize()


def _renamed(text: str, name: str) -> str:
    """Put a name in the place of the placeholder, in every way that it is written."""
    for written in (str, _module, _class, _title):
        text = text.replace(written(PLACEHOLDER), written(name))
    return text


def _reading_order(path: Path) -> tuple[bool, bool, str]:
    """Definition first, test last."""
    return path.stem.startswith("test_"), path.suffix != ".yaml", path.name


def _commands(name: str, into: Path) -> list[str]:
    # A definition in the current folder keeps its ./, which tells a file from a name at a glance.
    definition = f"./{name}.yaml" if into == Path() else str(into / f"{name}.yaml")
    run = f"beambench run {shlex.quote(definition)}"
    return [
        f"{run} --profile smoke",
        f"{run} --reference loop",
        f"pytest {shlex.quote(str(into / f'test_{_module(name)}.py'))}",
    ]
