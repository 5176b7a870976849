"""What has to be installed on a worker that runs a benchmark."""

from __future__ import annotations

import sys
from pathlib import Path

from beambench.controller.processes.interpreter import find_interpreter, versions_in, versions_of
from beambench.definition.schema import Definition
from beambench.errors import RunError, UsageError
from beambench.runners.dataflow.packaging import dockerfile, installed_version, pinned, wheels_of
from beambench.version import __version__
from beambench.workloads.registry import load_class, shipped

DOCKERFILE = "Dockerfile"


def worker_requirements(definition: Definition, file: Path) -> list[str]:
    """Return the lines of a requirements file: the versions in the Python that runs the workers.

    A local build (`2.13.0+cpu`) is in no index, so the release it was built from is pinned, and a
    comment says so; what is not installed there is named without a version.

    Args:
        definition: a resolved definition.
        file: its file, beside which an interpreter of its own is looked for.

    Raises:
        RunError: the definition's own interpreter does not answer.
    """
    needed = ("apache-beam", *load_class(definition.workload).requirements_of(definition))
    own, first = definition.interpreter, f"beambench=={__version__}"
    where = "here" if own is None else f"in {own}"
    names = [name.partition("[")[0] for name in needed]
    if own is None:
        return [first, *pinned(needed, map(installed_version, names), where)]
    versions = versions_in(own, file, names)
    if versions is None:
        return [first, f"# {own} is not there, so no version is pinned", *needed]
    return [first, *pinned(needed, versions, where)]


def write_image(definition: Definition, file: Path, folder: Path) -> list[Path]:
    """Write a Dockerfile of an image for workers, and all that it copies; return the files.

    Args:
        definition: a resolved definition.
        file: its file.
        folder: where they are written; made if it is not there.

    Raises:
        UsageError: the folder holds something else than an earlier image's files.
        RunError: it cannot be written, or the definition's own interpreter does not answer.
    """
    own = definition.interpreter
    python, beam = here_or_in(own, file)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / DOCKERFILE).is_file():
            raise UsageError(f"{folder}: is not empty and holds no {DOCKERFILE}: name a new folder")
        wheels = wheels_of(*shipped(definition.workload), folder)
        requirements = folder / "requirements.txt"
        lines = [
            line
            for line in worker_requirements(definition, file)
            if not line.startswith(("beambench==", "apache-beam", "# apache-beam"))
        ]
        requirements.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        image = f"apache/beam_python{python}_sdk:{beam}"
        (folder / DOCKERFILE).write_text(dockerfile(image, wheels, requirements), "utf-8")
    except OSError as error:
        raise RunError(f"{folder}: cannot be written: {error.strerror or error}") from None
    return [folder / DOCKERFILE, requirements, *wheels]


def here_or_in(own: str | None, file: Path) -> tuple[str, str]:
    """Return the versions of Python (major.minor) and Beam that the image is for.

    Raises:
        RunError: the definition's own interpreter is not there.
    """
    if own is None:
        return f"{sys.version_info[0]}.{sys.version_info[1]}", str(installed_version("apache-beam"))
    path = find_interpreter(own, file)
    python, beam = versions_of(path, ("apache-beam",))
    return ".".join(map(str, python)), beam
