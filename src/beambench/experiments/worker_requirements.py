"""What has to be installed on a worker that runs a benchmark."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from beambench import __version__
from beambench.definition.schema import Definition
from beambench.workloads.base import load_class


def worker_requirements(definition: Definition) -> list[str]:
    """Return the lines of a requirements file: the versions that are installed here.

    A local build (`2.13.0+cpu`) is in no index, so the release it was built from is pinned, and a
    comment says so; what is not installed here is named without a version.
    """
    lines = [f"beambench=={__version__}"]
    for name in ("apache-beam", *load_class(definition.workload).requirements_of(definition)):
        try:
            installed = version(name.partition("[")[0])
        except PackageNotFoundError:
            lines += [f"# {name} is not installed here, so no version is pinned", name]
            continue
        release, plus, _ = installed.partition("+")
        lines += [f"# {name} {installed} is installed here"] if plus else []
        lines.append(f"{name}=={release}")
    return lines
