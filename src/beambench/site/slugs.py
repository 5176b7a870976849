"""File names of pages: of a benchmark, a run or a comparison, whatever it is called."""

from __future__ import annotations

import hashlib
import re

LONGEST = 100
"""Characters of a file name, without its suffix."""

DIGEST = 8
SAFE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
"""A name that is a file name as it is, of `LONGEST` characters at most."""


def slug(name: str) -> str:
    """Return a safe file name for a name; one that had to change has a digest, so none clash."""
    if SAFE.fullmatch(name):
        return name
    safe = re.sub(r"[^A-Za-z0-9._-]", "-", name).lstrip(".")
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST]
    return f"{safe[: LONGEST - DIGEST - 1]}-{digest}"
