"""What has to be installed on a worker that runs a benchmark."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from beambench import __version__
from beambench.definition.schema import Definition
from beambench.experiments.interpreter import versions_in
from beambench.workloads.base import load_class


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
    own = definition.interpreter
    where = "here" if own is None else f"in {own}"
    names = [name.partition("[")[0] for name in needed]
    versions = [_here(name) for name in names] if own is None else versions_in(own, file, names)
    lines = [f"beambench=={__version__}"]
    if versions is None:
        return [*lines, f"# {own} is not there, so no version is pinned", *needed]
    for name, installed in zip(needed, versions, strict=True):
        if installed is None:
            lines += [f"# {name} is not installed {where}, so no version is pinned", name]
            continue
        release, plus, _ = installed.partition("+")
        lines += [f"# {name} {installed} is installed {where}"] if plus else []
        lines.append(f"{name}=={release}")
    return lines


def _here(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
