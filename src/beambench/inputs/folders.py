"""The pictures of a folder and of all folders below it, on this machine or in a store.

Their order is that of their paths below the folder, compared as text code point by code point: the
same whatever the language of the machine, the file system and the store.
"""

from __future__ import annotations

import heapq
import os
import re
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from beambench.errors import UsageError
from beambench.inputs.text import quoted

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".avif", ".jp2", ".ppm", ".pgm"),
)
"""In lower case; in a name they may stand in any."""

NOT_MEANT = frozenset(("__macosx", "@eadir", "thumbs.db", "ehthumbs.db", "desktop.ini"))
"""Files and folders that systems leave among pictures, in lower case: as hidden as `.` names are.
In two of them lie pictures: AppleDouble files of a Mac's archive, and thumbnails of a NAS."""

NAMES_IN_WARNING = 3
SUFFIXES_IN_WARNING = 6

UNNAMEABLE = "not named in one line of text"
NO_SUFFIX = "without a usual suffix"
USUAL_SUFFIX = re.compile(r"\.[a-z0-9_+-]{1,12}")
BROKEN_LINK = "broken links"
NO_FILE = "neither file nor folder"
UNREADABLE_FOLDER = "folders that cannot be read"
READ_ALREADY = "links to folders that are read already or lie above"


class Listing(NamedTuple):
    """The elements that a directory or a list names, before any is read."""

    kind: str
    root: str
    ids: list[str]
    warnings: list[str]

    def paths(self, limit: int | None) -> list[str]:
        """Return the paths of the first ``limit`` elements."""
        prefix = f"{self.root.rstrip('/')}/" if self.root else ""
        return [f"{prefix}{element}" for element in self.ids[:limit]]


@dataclass
class _Contents:
    """Paths below a folder: of its pictures, and of what is left out, with the reason."""

    images: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    hidden: int = 0

    def add(self, path: str) -> None:
        """Add a file or an object by its name."""
        suffix = PurePosixPath(path).suffix.lower()
        if not _is_line(path):
            self.left_out[path] = UNNAMEABLE
        elif suffix in IMAGE_SUFFIXES:
            self.images.append(path)
        else:
            self.left_out[path] = suffix if USUAL_SUFFIX.fullmatch(suffix) else NO_SUFFIX

    def summary(self) -> str:
        """Count what is left out by its reason, the most frequent first."""
        counts = sorted(
            Counter(self.left_out.values()).items(), key=lambda counted: (-counted[1], counted[0])
        )
        parts = [f"{reason}: {count}" for reason, count in counts[:SUFFIXES_IN_WARNING]]
        rest = sum(count for _, count in counts[SUFFIXES_IN_WARNING:])
        return ", ".join([*parts, *([f"others: {rest}"] if rest else [])])


def folder_listing(source: str) -> Listing:
    """List a folder of this machine.

    Raises:
        UsageError: it cannot be read or holds no picture.
    """
    root = Path(source).resolve()
    try:
        return _listing(source, str(root), _walked(root))
    except OSError as error:
        raise UsageError(f"{source}: cannot be read ({error.strerror}): use chmod") from error


def object_listing(source: str, root: str, paths: list[str]) -> Listing:
    """List a folder of a store, given the paths of all objects below it.

    Raises:
        UsageError: it holds no picture.
    """
    contents = _Contents()
    for path in paths:
        if any(map(_is_hidden, path.split("/"))):
            contents.hidden += 1
        elif not path.endswith("/"):  # some tools make an object of a folder
            contents.add(path)
    return _listing(source, root, contents)


def _listing(source: str, root: str, contents: _Contents) -> Listing:
    left_out = contents.left_out
    if not contents.images:
        others = contents.summary()
        if contents.hidden:
            others += f"{', ' if others else ''}hidden: {contents.hidden}"
        raise UsageError(
            f"{source}: holds no image ({' '.join(IMAGE_SUFFIXES)}), in it or below"
            f"{f', but {others}' if others else ''}: name a directory that does"
        )
    warnings = []
    if left_out:
        shown = ", ".join(quoted(path) for path in sorted(left_out)[:NAMES_IN_WARNING])
        rest = ", …" if len(left_out) > NAMES_IN_WARNING else ""
        warnings.append(f"{source}: left out {len(left_out)} ({contents.summary()}): {shown}{rest}")
    return Listing("directory", root, sorted(contents.images), warnings)


def _walked(root: Path) -> _Contents:
    """Read a folder and those below it, each once, however many links lead to it.

    Links to folders are followed after all that lies below without one, in the order of their
    paths; one that leads to a folder above would lead to no end.

    Raises:
        OSError: the folder itself cannot be read.
    """
    contents = _Contents()
    seen = {_identity(folder) for folder in root.parents}
    folders, links = [""], list[str]()
    while folders or links:
        prefix = folders.pop() if folders else f"{heapq.heappop(links)}/"
        for entry in _entries(root, prefix, seen, contents):
            path = f"{prefix}{entry.name}"
            if _is_hidden(entry.name):
                contents.hidden += 1
            elif not _is_directory(entry):
                _add_file(contents, path, entry)
            elif not _is_line(path):
                contents.left_out[path] = UNNAMEABLE
            elif entry.is_symlink():
                heapq.heappush(links, path)
            else:
                folders.append(f"{path}/")
    return contents


def _entries(
    root: Path, prefix: str, seen: set[tuple[int, int]], contents: _Contents
) -> list[os.DirEntry[str]]:
    """Return what a folder holds; nothing of one that was seen or, below the root, is closed."""
    try:
        identity = _identity(root / prefix)
        if identity in seen:
            contents.left_out[prefix.rstrip("/")] = READ_ALREADY
            return []
        seen.add(identity)
        with os.scandir(root / prefix) as entries:
            return list(entries)
    except OSError:
        if not prefix:
            raise
        contents.left_out[prefix.rstrip("/")] = UNREADABLE_FOLDER
        return []


def _add_file(contents: _Contents, path: str, entry: os.DirEntry[str]) -> None:
    try:
        is_file = stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        contents.left_out[path] = BROKEN_LINK
        return
    if is_file:
        contents.add(path)
    else:
        contents.left_out[path] = NO_FILE


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in NOT_MEANT


def _is_line(path: str) -> bool:
    """Tell whether a path is a line of text: it stands as one in files, and in the record."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return not set("\r\n") & set(path)
