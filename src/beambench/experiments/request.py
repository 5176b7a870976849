"""What `run` was asked for, and all of it that can be checked before a worker starts."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from beambench.definition.library import Library, Resolved
from beambench.definition.schema import Definition
from beambench.errors import RunError, UsageError, nearest
from beambench.inputs.labels import read_labels
from beambench.inputs.manifest import check_source
from beambench.machine.devices import cuda_devices
from beambench.workloads.base import BUILT_IN, check_workload

RUNNERS = ("direct",)
KEYWORD_SOURCES = ("packaged", "synthetic")


@dataclass(frozen=True)
class RunRequest:
    """Options of `beambench run` for one benchmark; None: what the definition or profile says."""

    resolved: Resolved
    runner: str = "direct"
    repeats: int | None = None
    source: str | None = None
    labels_file: str | None = None
    limit: int | None = None
    reference: bool = False
    seed: int = 0
    timeout: float | None = None
    max_failed: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    beam_flags: Sequence[str] = ()
    command: Sequence[str] = ()

    @property
    def repeat_count(self) -> int:
        return self.repeats or self.resolved.profile.repeats

    @property
    def time_limit(self) -> float:
        """Seconds for the whole run."""
        return self.timeout or self.resolved.profile.timeout

    @property
    def failed_share(self) -> float:
        """Share of failed elements above which the run fails."""
        chosen = self.max_failed
        return self.resolved.definition.max_failed if chosen is None else chosen

    @property
    def effective_source(self) -> str:
        return self.source or self._located(self.resolved.definition.input.source)

    @property
    def effective_labels(self) -> str | None:
        """Label file; that of the definition goes with the definition's own input only."""
        own = self.resolved.definition.input.labels if self.source is None else None
        return self.labels_file or (self._located(own) if own is not None else None)

    def _located(self, path: str) -> str:
        """Return a definition's path: beside the definition if it is there, else as it stands."""
        beside = self.resolved.path.parent / path
        return str(beside) if path not in KEYWORD_SOURCES and beside.exists() else path

    @property
    def effective_limit(self) -> int | None:
        """Elements at most; a profile's limit applies to the benchmark's own input only."""
        if self.limit is not None or self.source not in (None, *KEYWORD_SOURCES):
            return self.limit
        return self.resolved.profile.limit

    @property
    def placed_definition(self) -> Definition:
        """The definition with the path of its weights found beside it or from here."""
        definition = self.resolved.definition
        if definition.model.path is None:
            return definition
        model = definition.model.model_copy(update={"path": self._located(definition.model.path)})
        return definition.model_copy(update={"model": model})

    def configuration(self) -> dict[str, object]:
        """Return all that was resolved, for the record."""
        return {
            "definition": self.resolved.definition.model_dump(mode="json"),
            "overrides": list(self.resolved.overrides),
            "source": self.effective_source,
            "labels": self.effective_labels,
            "limit": self.effective_limit,
            "repeats": self.repeat_count,
            "reference": "loop" if self.reference else None,
            "seed": self.seed,
            "timeout": self.time_limit,
            "max_failed": self.failed_share,
            "beam_flags": list(self.beam_flags),
        }


def make_request(library: Library, name: str, **options: object) -> RunRequest:
    """Resolve a name or definition file and check the request.

    Raises:
        UsageError: the request cannot be right.
        RunError: it is right, but not on this machine.
    """
    chosen = dict(options)
    resolved = library.resolve(
        library.add_if_file(name),
        variant=str(chosen.pop("variant", "stock")),
        profile=str(chosen.pop("profile", "local")),
        overrides=chosen.pop("overrides", ()),  # type: ignore[arg-type]
    )
    request = RunRequest(resolved, **chosen)  # type: ignore[arg-type]
    check(request)
    return request


def check(request: RunRequest) -> None:
    """Check all that needs no worker: runner, scenario, workload, input, labels, device."""
    definition = request.resolved.definition
    if request.runner not in RUNNERS:
        known = list(RUNNERS)
        raise UsageError(
            f"no runner {request.runner!r}{nearest(request.runner, known)}; "
            f"there is: {', '.join(known)}"
        )
    if definition.scenario == "streaming":
        raise RunError(f"{definition.name}: the streaming scenario cannot be run yet")
    with importable(request.resolved):
        check_workload(definition)
    check_source(definition.input.type, request.effective_source)
    if request.effective_labels is not None:
        read_labels(Path(request.effective_labels))
    if definition.model.device == "gpu":
        devices = cuda_devices()
        if not devices.count:
            raise RunError(f"{definition.name} needs a GPU: {devices.reason}")


def search_path(resolved: Resolved) -> list[str]:
    """Folders in which a workload module of the user's own is looked for."""
    if resolved.definition.workload in BUILT_IN:
        return []
    return list(dict.fromkeys([str(resolved.path.parent.resolve()), os.getcwd()]))  # noqa: PTH109


@contextlib.contextmanager
def importable(resolved: Resolved) -> Iterator[None]:
    """Make a workload module of the user's own importable in this process."""
    folders = search_path(resolved)
    sys.path[:0] = folders
    try:
        yield
    finally:
        for folder in folders:
            sys.path.remove(folder)
