"""What `run --pipeline` was asked for: a pipeline that exists already, and what can be checked."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from beambench.credentials.masking import masked, secrets, without
from beambench.definition.publish import Publish
from beambench.definition.runners import DEFAULT, find_runner, runner_names
from beambench.definition.schema import Name
from beambench.errors import UsageError
from beambench.metrics.registry import check_metrics
from beambench.request.checks import (
    check_count,
    check_failed_share,
    check_flags,
    check_folder,
    check_retries,
    check_seed,
    check_timeout,
)

EXISTING = "existing"
"""Variant and profile of a run whose settings are the pipeline's own."""

REPEATS = 3
TIMEOUT_S = 1800.0
MAX_FAILED = 0.01
"""As a definition has it that says nothing."""

LONGEST_NAME = 100


@dataclass(frozen=True)
class ExistingRequest:
    """Options of `beambench run --pipeline`.

    Attributes:
        pipeline: ``module:function``.
        source_file: file of the module.
        source_digest: SHA-256 of that file.
        flags: all that follows `--`, with secrets.
    """

    name: str
    pipeline: str
    source_file: str
    source_digest: str
    runner: str = DEFAULT
    repeats: int | None = None
    retry_disturbed: int = 0
    seed: int = 0
    timeout: float | None = None
    max_failed: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    flags: Sequence[str] = ()
    shown_command: Sequence[str] = ()

    @property
    def publish(self) -> Publish:
        return Publish()

    @property
    def repeat_count(self) -> int:
        return self.repeats or REPEATS

    @property
    def time_limit(self) -> float:
        """Seconds for the whole run."""
        return self.timeout or TIMEOUT_S

    @property
    def failed_share(self) -> float:
        """Share of the elements of a RunInference that may fail."""
        return MAX_FAILED if self.max_failed is None else self.max_failed

    @property
    def interpreter(self) -> str:
        """Path of the Python that runs the workers."""
        return sys.executable

    @property
    def search_path(self) -> list[str]:
        """Folders in which the workers look for modules first."""
        return search_path()

    @property
    def shown_flags(self) -> list[str]:
        """The flags as they may be shown and kept."""
        return masked(self.flags)

    def identity(self) -> dict[str, str]:
        """Return what the record names the run by; the hash is over function, source and flags."""
        content = {
            "pipeline": self.pipeline,
            "source": self.source_digest,
            "flags": self.shown_flags,
        }
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return {
            "benchmark": self.name,
            "variant": EXISTING,
            "profile": EXISTING,
            "definition_hash": hashlib.sha256(canonical.encode()).hexdigest(),
        }

    def configuration(self) -> dict[str, object]:
        """Return all that was resolved, for the record."""
        return {
            "pipeline": self.pipeline,
            "source_file": self.source_file,
            "source_digest": self.source_digest,
            "repeats": self.repeat_count,
            "retry_disturbed": self.retry_disturbed,
            "seed": self.seed,
            "timeout": self.time_limit,
            "max_failed": self.failed_share,
            "beam_flags": self.shown_flags,
        }

    def without_secrets(self, text: str) -> str:
        """Return a text with the values of secret flags masked."""
        return without(secrets(self.flags), text)


def make_existing_request(
    pipeline: str,
    name: str | None,
    benchmarks: Collection[str],
    flags: Sequence[str],
    command: Sequence[str],
    **options: object,
) -> ExistingRequest:
    """Find the module without importing it, and check the request.

    Args:
        pipeline: ``module:function``.
        name: name to store the runs under; None: made of module and function.
        benchmarks: names of benchmarks, whose histories are not to be mixed with this one.
        flags: all that follows `--`.
        command: the command line.
        options: other fields of `ExistingRequest`.

    Raises:
        UsageError: the request cannot be right.
    """
    check_metrics()
    check_folder()
    module, function = parts(pipeline)
    _check_hidden()
    file = find_module(module, pipeline)
    request = ExistingRequest(
        name=checked_name(derived_name(module, function) if name is None else name, benchmarks),
        pipeline=pipeline,
        source_file=str(file),
        source_digest=_digest(file, pipeline),
        flags=flags,
        shown_command=masked(command),
        **options,  # type: ignore[arg-type]
    )
    _check_runner(request.runner)
    check_count("repeats", request.repeats)
    check_retries(request.retry_disturbed)
    check_seed(request.seed)
    check_timeout(request.timeout if request.timeout is not None else request.time_limit)
    check_failed_share(request.failed_share)
    check_flags(flags)
    return request


def _check_runner(runner: str) -> None:
    """Refuse a runner that would not run the pipeline."""
    if runner not in runner_names() or find_runner(runner).existing is None:
        raise UsageError(
            f"runner {runner!r}: --pipeline runs on the direct runner only: leave --runner, "
            "BEAMBENCH_RUNNER and `runner:` of beambench.yaml out, or give --runner direct"
        )


def parts(pipeline: str) -> tuple[str, str]:
    """Split ``module:function``."""
    module, _, function = pipeline.partition(":")
    if not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(f"--pipeline {pipeline}: expected module:function, as in my.module:run")
    return module, function


def search_path() -> list[str]:
    """Folders in which a module of the user's own is looked for first."""
    return [os.getcwd()]  # noqa: PTH109


def find_module(module: str, pipeline: str) -> Path:
    """Return the source file of a module, without running code of it or of a package around it."""
    top, *names = module.split(".")
    spec = _top_level(top)
    file = Path(spec.origin) if spec is not None and spec.origin is not None else None
    folders = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    known = spec is not None
    for name in names:
        file, folders = _inside(folders, name)
        known = known and (file is not None or bool(folders))
    if not known and names[-1:] == ["py"]:
        raise UsageError(
            f"--pipeline {pipeline}: no module {module!r}: name it without .py: "
            f"{pipeline.replace('.py:', ':')}"
        )
    if not known:
        raise UsageError(
            f"--pipeline {pipeline}: no module {module!r}: is it installed, or its folder on "
            "PYTHONPATH?"
        )
    if file is None or not _is_file(file):
        raise UsageError(f"--pipeline {pipeline}: {module} is no Python file")
    return file


def _check_hidden() -> None:
    """Refuse a folder whose files stand in the way of modules that Python itself needs.

    Raises:
        UsageError: the worker, which looks into that folder first, could not even start.
    """
    for folder in search_path():
        names = {name.removesuffix(".py") for name in os.listdir(folder)}  # noqa: PTH208
        for name in sorted(names & sys.stdlib_module_names & set(sys.modules)):
            spec = _top_level(name)  # what is built in or frozen cannot be hidden
            if spec is not None and Path(spec.origin or "").is_relative_to(folder):
                raise UsageError(
                    f"{spec.origin}: hides Python's own module {name!r} from all that is imported "
                    "in this folder: rename it, or run from another folder"
                )


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - never raises, however long the name


def _digest(file: Path, pipeline: str) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(
            f"--pipeline {pipeline}: {file}: cannot be read: {error.strerror or error}"
        ) from None


def _top_level(name: str) -> ModuleSpec | None:
    for finder in sys.meta_path:
        spec = finder.find_spec(name, [*search_path(), *sys.path])
        if spec is not None:
            return spec
    return None


def _inside(folders: Sequence[Path], name: str) -> tuple[Path | None, list[Path]]:
    """Return the file of a module in a package's folders, and its own folders if it is one."""
    for folder in folders:
        package, module = folder / name / "__init__.py", folder / f"{name}.py"
        if _is_file(package):
            return package, [package.parent]
        if _is_file(module):
            return module, []
    inside = [folder / name for folder in folders]
    return None, [folder for folder in inside if os.path.isdir(folder)]  # noqa: PTH112 - likewise


def derived_name(module: str, function: str) -> str:
    """Return a benchmark's name made of those of module and function."""
    text = re.sub(r"[^a-z0-9]+", "-", f"{module}-{function}".lower())
    name = text[-LONGEST_NAME:].strip("-")
    if not name:
        raise UsageError(f"--pipeline {module}:{function}: give it a name with --name")
    return name


def checked_name(name: str, benchmarks: Collection[str]) -> str:
    """Return a name under which runs can be stored and which no benchmark has."""
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise UsageError(
            f"--name {name!r}: small letters, digits and hyphens only, up to {LONGEST_NAME}"
        ) from None
    if name in benchmarks:
        raise UsageError(f"{name}: is a benchmark's name: give the pipeline another with --name")
    return name
