"""The files of a site: each is written whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
FOLDERS = ("benchmarks", "runs", "comparisons", "assets")


def write_page(path: Path, text: str) -> None:
    """Write a page. Halves of surrogate pairs, which UTF-8 has not, are written as escapes."""
    partial = path.with_name(f".{path.name[:200]}.partial")
    partial.write_bytes(text.encode("utf-8", "backslashreplace"))
    partial.replace(path)


def copy_assets(out: Path) -> None:
    """Copy styles, scripts and the chart library."""
    shutil.copytree(
        ASSETS,
        out / "assets",
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__", "*.py"),
    )


def remove_others(folder: Path, names: set[str]) -> None:
    """Remove the pages of a folder of the site that are of nothing in the store any more."""
    for path in folder.iterdir():
        if path.suffix in (".html", ".js", ".partial") and path.name not in names:
            path.unlink()
