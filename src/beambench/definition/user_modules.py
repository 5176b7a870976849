"""Modules of the user's own, which are looked for beside a definition and in the current folder."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

from beambench.definition.library import Resolved


def search_path(resolved: Resolved) -> list[str]:
    """Folders in which a workload module of the user's own is looked for."""
    if ":" not in resolved.definition.workload:  # built in, or installed
        return []
    return list(dict.fromkeys([str(resolved.path.parent.resolve()), os.getcwd()]))  # noqa: PTH109


@contextlib.contextmanager
def importable(folders: Sequence[str]) -> Iterator[None]:
    """Make the modules of some folders importable in this process."""
    sys.path[:0] = folders
    try:
        yield
    finally:
        for folder in folders:
            sys.path.remove(folder)
