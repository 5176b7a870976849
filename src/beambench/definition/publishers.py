"""The publishers: what is known of each, of those here and of those that distributions bring along.

Nothing outside `beambench.publishers` compares the name of a publisher: it asks for one of these
traits, or for the client, which is loaded where rows are made, sent or read back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from beambench.definition.entry_points import (
    PUBLISHERS,
    broken,
    entry_of,
    load,
    load_entry,
    names_of,
)
from beambench.definition.section import Section
from beambench.errors import UsageError, nearest

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Requirement:
    """A package that a publisher needs and that not everybody has.

    Attributes:
        module: that is imported of it.
        package: its name in messages.
        install: what `pip install` takes for it.
    """

    module: str
    package: str
    install: str


@dataclass(frozen=True)
class Publisher:
    """What beambench knows of a publisher before it makes a row.

    Attributes:
        name: what `--publish`, `publish.to`, the section of a definition and queued rows hold:
            lower-case words of letters and digits, with hyphens between.
        settings: schema of the section `publish.NAME` of a definition, every key optional. No
            secret belongs there: records hold it. Its module imports no client library.
        client: ``module:Class`` of a `beambench.publishers.base.Client`.
        requirement: a package that the client needs.
        portable_settings: settings that a record keeps when it is imported from a file, each with
            the form of its whole value: no more than names within a server and a project of ours,
            for a record of others must not say where our credentials are sent.
        has_history: Beam's own suite has published there: `beambench import --from` reads it.
    """

    name: str
    settings: type[Section]
    client: str
    requirement: Requirement | None = None
    portable_settings: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    has_history: bool = False


BUILT_IN = {
    "influxdb": "beambench.publishers.influxdb:INFLUXDB",
    "bigquery": "beambench.publishers.bigquery:BIGQUERY",
}
"""Name -> ``module:NAME`` of a `Publisher`."""


def publisher_names() -> list[str]:
    """Return the names of all publishers; nothing of a distribution is imported."""
    return names_of(PUBLISHERS, BUILT_IN)


def find_publisher(name: str) -> Publisher:
    """Return a publisher by name: built in, or of an installed distribution.

    Raises:
        UsageError: there is none, or its distribution is broken.
    """
    entry = entry_of(PUBLISHERS, "publisher", name, BUILT_IN, "uninstall one")
    if entry is None and name not in BUILT_IN:
        known = publisher_names()
        choice = f"choose {' or '.join(known)}{broken(PUBLISHERS)}"
        raise UsageError(f"no publisher {name!r}{nearest(name, known)}: {choice}")
    if entry is None:
        return built_in(name)
    if not NAME.fullmatch(name) or name == "to" or hasattr(BaseModel, name):
        raise UsageError(f"{entry}: a publisher cannot be named {name!r}")
    return load_entry(entry, Publisher)


def built_in(name: str) -> Publisher:
    """Return one of the publishers that beambench has itself."""
    publisher: Publisher = load(BUILT_IN[name], "beambench")
    return publisher


def lookup(name: str) -> Publisher | None:
    """Return the publisher that a record or a queued row names, or None if it cannot be had."""
    try:
        return find_publisher(name)
    except UsageError:
        return None


def with_history() -> list[str]:
    """Return the sorted names of the publishers that Beam's own suite has published to."""
    every = [lookup(name) for name in publisher_names()]
    return sorted(
        publisher.name for publisher in every if publisher is not None and publisher.has_history
    )
