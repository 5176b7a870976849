"""The Python that runs the workers, where a definition names one of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from beambench.errors import RunError
from beambench.machine.processes import run_bounded
from beambench.version import __version__

SECONDS_TO_ANSWER = 5.0
OLDEST = (3, 10)
FIX = "`make setup-vllm` builds that of the text-generation benchmarks"
# Asks for metadata only: importing Beam takes seconds.
QUESTION = """
import importlib.metadata, json, sys

def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None

print(json.dumps([sys.version_info[:2], *map(version, sys.argv[1:])]))
"""
# Finds the package without importing it.
SOURCE_QUESTION = """
import hashlib, importlib.util, json, pathlib

folder = pathlib.Path(importlib.util.find_spec("beambench").origin).parent
digest = hashlib.sha256()
for path in sorted(folder.rglob("*.py")):
    digest.update(str(path.relative_to(folder)).encode() + b"\\0" + path.read_bytes())
print(json.dumps(digest.hexdigest()))
"""


def find_interpreter(named: str | None, definition: Path) -> str:
    """Return the absolute path of a definition's interpreter; of ours if it names none.

    Raises:
        RunError: there is none, or workers cannot run with it.
    """
    if named is None:
        return sys.executable
    path = locate(named, _places(definition))
    if path is None:
        raise RunError(
            f"interpreter {named}: is neither beside the definition, nor in the current folder, "
            f"nor beside beambench's environment: {FIX}"
        )
    check_interpreter(path)
    return path


def versions_in(named: str, definition: Path, names: Sequence[str]) -> list[str | None] | None:
    """Return the version of each distribution in a definition's interpreter, None if it has none.

    None in place of the list: there is no such interpreter.

    Raises:
        RunError: the interpreter does not answer.
    """
    path = locate(named, _places(definition))
    if path is None:
        return None
    try:
        _, *versions = versions_of(path, names)
    except OSError as error:
        raise RunError(f"interpreter {path}: {error.strerror or error}: {FIX}") from None
    except (ValueError, TypeError):
        raise RunError(f"interpreter {path}: is no Python that answers: {FIX}") from None
    return versions


def find_other_environment(named: str) -> str:
    """Return the absolute path of another environment's Python, which has the same beambench.

    Raises:
        RunError: there is none, it has another beambench, or workers cannot run with it.
    """
    path = locate(str(Path(named).expanduser()), (Path.cwd(),))
    if path is None:
        raise RunError(f"python {named}: no such file: name the bin/python of an environment")
    problem = next(_problems(path), None) or _difference_of_source(path)
    if problem is not None:
        raise RunError(f"python {path}: {problem}: install the same beambench there")
    return path


def _difference_of_source(path: str) -> str | None:
    """Return how an interpreter's beambench of our version differs from ours, if it does.

    An editable installation says a version and has whatever its folder has.
    """
    try:
        ours, theirs = _source_in(sys.executable), _source_in(path)
    except (OSError, ValueError) as error:
        return f"its beambench cannot be read ({error})"
    return None if ours == theirs else "has a beambench with other source"


def _source_in(path: str) -> str:
    """Return a digest of the modules of an interpreter's beambench."""
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    finished = run_bounded([path, "-c", SOURCE_QUESTION], SECONDS_TO_ANSWER, environment)
    digest: str = json.loads(finished.stdout)
    return digest


def _places(definition: Path) -> tuple[Path, ...]:
    return definition.parent, Path.cwd(), Path(sys.prefix).parent


def locate(named: str, places: Iterable[Path]) -> str | None:
    """Return the absolute path of an interpreter in the first place that has it; run nothing."""
    paths = (place / named for place in places)
    # The link itself: what it points at is another environment's. And isfile never raises.
    return next((os.path.abspath(path) for path in paths if os.path.isfile(path)), None)  # noqa: PTH100, PTH113


def check_interpreter(path: str) -> None:
    """Ask an interpreter whether workers can run with it.

    Raises:
        RunError: they cannot.
    """
    problem = next(_problems(path), None)
    if problem is not None:
        raise RunError(f"interpreter {path}: {problem}: {FIX}")


def _problems(path: str) -> Iterator[str]:
    if not os.access(path, os.X_OK):
        yield "cannot be executed"
    try:
        python, ours, beam = versions_of(path, ("beambench", "apache-beam"))
    except OSError as error:
        yield str(error.strerror or error)
        return
    except (ValueError, TypeError):
        yield "is no Python that answers"
        return
    if tuple(python) < OLDEST:
        yield f"is Python {python[0]}.{python[1]}, but 3.10 or newer is needed"
    if ours != __version__:
        yield f"has beambench {ours}, but {__version__} is needed" if ours else "has no beambench"
    if beam is None:
        yield "has no apache-beam"


def versions_of(path: str, names: Sequence[str]) -> list[Any]:
    """Return major and minor version of a Python, then the version of each distribution there."""
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    finished = run_bounded([path, "-c", QUESTION, *names], SECONDS_TO_ANSWER, environment)
    answer: list[Any] = json.loads(finished.stdout)
    return answer
