"""The files of a site: each is written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
PAGES = ("benchmarks", "runs", "comparisons")
FOLDERS = (*PAGES, "assets")


def write_page(path: Path, text: str) -> None:
    """Write a page. Halves of surrogate pairs, which UTF-8 has not, are written as escapes."""
    partial = path.with_name(f".{path.name[:180]}.{os.getpid()}.partial")
    partial.write_bytes(text.encode("utf-8", "backslashreplace"))
    partial.replace(path)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait until no other build writes into a folder, which exists, and keep others out."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def copy_assets(out: Path) -> None:
    """Copy styles, scripts and the chart library."""
    shutil.copytree(
        ASSETS,
        out / "assets",
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__", "*.py"),
    )


def page_names(out: Path) -> Iterator[str]:
    """Yield the names of the pages of a site that are not over all benchmarks, relative to it.

    What a link leads to is not ours.
    """
    for folder in PAGES:
        if (out / folder).is_symlink():
            continue
        with os.scandir(out / folder) as entries:
            yield from (f"{folder}/{entry.name}" for entry in entries)


def remove_others(out: Path, names: Collection[str]) -> None:
    """Remove the pages of a site that are of nothing in the store any more."""
    for name in list(page_names(out)):
        if name.endswith((".html", ".js", ".partial")) and name not in names:
            (out / name).unlink()
