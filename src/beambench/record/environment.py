"""What is read again of a record's `environment`, by type: a key that nobody writes is an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from beambench.record.reading import tolerant


class _Facts(BaseModel):
    """Facts of which any may be unknown: another machine or version wrote them."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Cores(_Facts):
    logical: int | None = None
    physical: int | None = None


class Machine(_Facts):
    cpu_model: str | None = None
    cores: Cores = Cores()
    instructions: dict[str, bool] = Field(default_factory=dict)


class Python(_Facts):
    version: str | None = None


class Torch(_Facts):
    threads: int | None = None


class Git(_Facts):
    commit: str | None = None


class Environment(_Facts):
    """Where a run took place, as far as that is read again.

    Attributes:
        git: of the folders `project` and `beambench`.
        torch: None where it was not loaded.
    """

    machine: Machine = Machine()
    python: Python = Python()
    packages: dict[str, str] = Field(default_factory=dict)
    torch: Torch | None = None
    git: dict[str, Git | None] = Field(default_factory=dict)
    machine_digest: str | None = None
    fingerprint_digest: str | None = None


def read_environment(environment: Mapping[str, Any]) -> Environment:
    """Return what is known of an environment; a part of another form is unknown.

    A record that was imported may come from anywhere.
    """
    return tolerant(Environment, environment)


def machine_digest(environment: Mapping[str, Any]) -> str | None:
    """Return the digest of the machine alone, without reading the rest; None is unknown."""
    digest = environment.get("machine_digest")
    return digest if isinstance(digest, str) else None


def differences(before: Environment, after: Environment) -> list[str]:
    """Return what differs between two environments, as far as both are known, a line each."""
    pairs: list[tuple[str, object, object]] = [
        ("cpu", before.machine.cpu_model, after.machine.cpu_model),
        ("cores", before.machine.cores.logical, after.machine.cores.logical),
        ("python", before.python.version, after.python.version),
    ]
    for project in sorted({*before.git, *after.git}):
        old_commit, new_commit = (_commit(side, project) for side in (before, after))
        pairs.append((f"commit of {project}", old_commit, new_commit))
    lines = [
        f"{name} {old} -> {new}"
        for name, old, new in pairs
        if None not in (old, new) and old != new
    ]
    if not (before.packages and after.packages):
        return lines
    for name in sorted({*before.packages, *after.packages}):
        old, new = before.packages.get(name, "none"), after.packages.get(name, "none")
        if old != new:
            lines.append(f"{name} {old} -> {new}")
    return lines


def _commit(environment: Environment, project: str) -> str | None:
    git = environment.git.get(project)
    return git.commit[:10] if git is not None and git.commit is not None else None
