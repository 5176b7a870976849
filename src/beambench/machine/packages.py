"""The packages that are installed, without importing any."""

from __future__ import annotations

import re
from importlib import metadata


def installed_packages() -> dict[str, str]:
    """Return name and version of every installed distribution, sorted by normalised name."""
    versions: dict[str, str] = {}
    for distribution in metadata.distributions():
        # A half-removed package leaves a folder without name or version.
        headers = _headers(distribution)
        name, version = headers.get("name"), headers.get("version")
        if name and version:
            # The first one on the path is the one that is imported.
            versions.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return dict(sorted(versions.items()))


def _headers(distribution: metadata.Distribution) -> dict[str, str]:
    """Return the first value of each header line of a distribution's metadata, names in lower case.

    ``distribution.metadata`` parses the description that follows too, six times as long.
    """
    names = ("METADATA", "PKG-INFO", "")  # the last: an egg-info file of old
    text = next(filter(None, map(distribution.read_text, names)), "")
    headers: dict[str, str] = {}
    for line in text.partition("\n\n")[0].splitlines():
        name, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            headers.setdefault(name.lower(), value.strip())
    return headers
