"""What installed distributions bring along: entry points of the groups below.

Nothing of a distribution is imported here, so that listing benchmarks stays fast and runs no code
of others.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Collection
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any, Protocol, TypeVar

from beambench.errors import UsageError

WORKLOADS = "beambench.workloads"
"""Name of a workload -> ``module:Class``."""
RUNNERS = "beambench.runners"
"""Name of a runner -> ``module:NAME`` of a `beambench.definition.runners.Runner`."""
PUBLISHERS = "beambench.publishers"
"""Name of a publisher -> ``module:NAME`` of a `beambench.definition.publishers.Publisher`."""
METRICS = "beambench.metrics"
"""Name of a metric -> ``module:NAME`` of a `beambench.metrics.Metric`."""
CATALOGS = "beambench.catalogs"
"""Any name -> package or module, in whose folder the definitions lie."""


class Named(Protocol):
    """What knows its name."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


@dataclass(frozen=True)
class EntryPoint:
    """One entry point; as text, what an error about it begins with.

    Attributes:
        distribution: name and version of the distribution that it belongs to.
    """

    group: str
    name: str
    value: str
    distribution: str

    def __str__(self) -> str:
        return f"{self.distribution}: entry point {self.name!r} of {self.group}"


@functools.cache
def entry_points(group: str) -> tuple[tuple[EntryPoint, ...], tuple[str, ...]]:
    """Return the entry points of a group, and a line for each distribution that is broken.

    Not `importlib.metadata.entry_points`: that fails for all if one file cannot be parsed.
    """
    by_distribution: dict[str, list[EntryPoint]] = {}
    problems = []
    for distribution in metadata.distributions():
        label = f"a distribution without a name in {distribution.locate_file('')}"
        try:
            if group not in (distribution.read_text("entry_points.txt") or ""):
                continue
            if distribution.metadata["Name"]:
                label = f"{distribution.metadata['Name']} {distribution.version}"
            by_distribution.setdefault(  # what stands further back on the search path is hidden
                distribution.metadata["Name"] or label,
                [
                    EntryPoint(group, entry.name, entry.value, label)
                    for entry in distribution.entry_points
                    if entry.group == group
                ],
            )
        except Exception as error:  # whatever is wrong with a file of others
            text = " ".join(f"{type(error).__name__}: {error}".split())
            problems.append(f"{label}: entry_points.txt or METADATA cannot be read: {text[:200]}")
    everything = [entry for name in sorted(by_distribution) for entry in by_distribution[name]]
    return tuple(everything), tuple(problems)


def entry_of(
    group: str, kind: str, name: str, built_in: Collection[str], advice: str
) -> EntryPoint | None:
    """Return the entry point of the installed distribution that brings a name, if one does.

    Raises:
        UsageError: two bring it, or beambench has it itself; `advice` says what to do.
    """
    entries = [entry for entry in entry_points(group)[0] if entry.name == name]
    owners = (["beambench"] if name in built_in else []) + [entry.distribution for entry in entries]
    if len(owners) > 1:
        raise UsageError(f"{kind} {name!r} is in {' and in '.join(owners)}: {advice}")
    return entries[0] if entries else None


def names_of(group: str, built_in: Collection[str]) -> list[str]:
    """Return the names of a group, those of beambench first; nothing is imported."""
    return [*built_in, *(entry.name for entry in entry_points(group)[0])]


def broken(group: str) -> str:
    """Return what is wrong with distributions, as the end of an error that a name is unknown."""
    return "".join(f"; {problem}" for problem in entry_points(group)[1])


def load_entry(entry: EntryPoint, kind: type[T]) -> T:
    """Return what an entry point names, which has to be of a kind, and to have its name.

    Raises:
        UsageError: it cannot be imported, or is something else.
    """
    value = load(entry.value, str(entry))
    if not isinstance(value, kind) or value.name != entry.name:
        raise UsageError(f"{entry}: {entry.value} is no {kind.__name__} named {entry.name!r}")
    return value


def catalog_folder(entry: EntryPoint) -> Path:
    """Return the folder of the package or module that a catalog's entry point names.

    Raises:
        UsageError: there is none.
    """
    top, *below = entry.value.split(".")
    if not all(part.isidentifier() for part in (top, *below)):
        raise UsageError(f"{entry}: expected the name of a package, not {entry.value!r}")
    try:
        spec = util.find_spec(top)  # of a package within one it would import the outer
    except (ImportError, ValueError):
        spec = None
    roots = list(spec.submodule_search_locations or ()) if spec is not None else []
    if spec is not None and not roots and not below and spec.has_location:
        return Path(str(spec.origin)).parent
    for root in roots:
        place = Path(root, *below)
        if place.is_dir():
            return place
        if place.with_suffix(".py").is_file():
            return place.parent
    raise UsageError(f"{entry}: no package {entry.value!r}: install the distribution again")


def load(target: str, where: str = "runner") -> Any:
    """Return what ``module:name`` names.

    Raises:
        UsageError: it cannot be imported.
    """
    module, _, name = target.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # whatever a module of others does wrong
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(f"{where}: {target} cannot be imported: {text[:300]}") from error
