"""Workers elsewhere must have the versions that a pipeline was built with, or its numbers lie.

A job carries its versions in a pipeline option. Whatever of a pipeline a worker unpickles imports
`beambench.instrumentation` before anything else of ours, in each of its processes, and that checks.
"""

from __future__ import annotations

import json
import platform
from importlib import metadata
from typing import Any

import apache_beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.value_provider import RuntimeValueProvider

from beambench.definition.options_file.names import FOLDER
from beambench.errors import RunError

VERSIONS = "beambench_versions"
"""Option with the folder of a job, for whoever resumes it: Beam changes temp_location."""


class JobOptions(PipelineOptions):
    """Makes our options ones that Beam knows."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument(f"--{VERSIONS}", default=None)
        parser.add_argument(f"--{FOLDER}", default=None)


def versions() -> dict[str, str]:
    """Return what must be the same on both sides; of Python, major and minor version."""
    python = ".".join(platform.python_version_tuple()[:2])
    try:
        own = metadata.version("beambench")
    except metadata.PackageNotFoundError:  # on a path, not installed
        own = "unknown"
    return {"beambench": own, "Beam": apache_beam.__version__, "Python": python}


def version_flag() -> str:
    return f"--{VERSIONS}={json.dumps(versions())}"


def check_versions() -> None:
    """Compare with what the job says; do nothing where there is no job.

    Raises:
        RunError: they differ.
    """
    wanted = RuntimeValueProvider.get_value(VERSIONS, json.loads, None)
    if not wanted:
        return
    here = versions()
    different = [name for name in here if wanted.get(name) != here[name]]
    if different:
        job, worker = (
            ", ".join(f"{name} {side.get(name)}" for name in different) for side in (wanted, here)
        )
        raise RunError(f"the worker has {worker}, but the job was built with {job}")
