"""Folders of generated files that are made once and used again.

A folder appears under its name complete or not at all, so a killed process leaves nothing that
could be taken for input, and the files are checked against an index whenever they are used.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from beambench.errors import RunError

INDEX = "index.json"
# Long enough for another process to make the 50,000 images of a full profile.
LOCK_WAIT_S = 1800.0
LOCK_POLL_S = 0.05


class CachedFile(NamedTuple):
    """A file of the folder: name, SHA-256 in hex, size in bytes."""

    name: str
    sha256: str
    bytes: int


def cached_folder(
    folder: Path, count: int, make: Callable[[], Iterable[tuple[str, bytes]]]
) -> list[CachedFile]:
    """Return the ``count`` files of ``folder``, writing what ``make`` yields if it is not there.

    ``make`` yields name and content, each content once. A damaged folder is made anew. Raises
    RunError if it cannot be written.
    """
    files = _verified(folder, count)
    if files is not None:
        return files
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.parent / f".{folder.name}.lock"):
            # Another process may have made it while this one waited.
            files = _verified(folder, count)
            return _made(folder, count, make()) if files is None else files
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be made ({error.strerror or error}):"
            " free space there or choose another cache folder"
        ) from error


def _verified(folder: Path, count: int) -> list[CachedFile] | None:
    """Return the files if they are exactly what was written, else None."""
    try:
        index = [CachedFile(*row) for row in json.loads((folder / INDEX).read_bytes())]
        entries = [_described(name, (folder / name).read_bytes()) for name, _, _ in index]
    except (OSError, ValueError, TypeError):
        return None
    return index if entries == index and _complete(index, count) else None


def _complete(files: list[CachedFile], count: int) -> bool:
    return len({file.sha256 for file in files}) == len(files) == count


def _described(name: str, content: bytes) -> CachedFile:
    return CachedFile(name, sha256(content).hexdigest(), len(content))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock, which the kernel releases if the process dies."""
    deadline = time.monotonic() + LOCK_WAIT_S
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RunError(
                        f"{path}: held by another process for over {LOCK_WAIT_S:.0f} s:"
                        " end that process or choose another cache folder"
                    ) from None
                time.sleep(LOCK_POLL_S)
        yield


def _made(folder: Path, count: int, content: Iterable[tuple[str, bytes]]) -> list[CachedFile]:
    # Only the holder of the lock writes, so what others left behind belongs to no living process.
    for stale in folder.parent.glob(f".{folder.name}.*.part"):
        shutil.rmtree(stale, ignore_errors=True)
    part = folder.parent / f".{folder.name}.{os.getpid()}.part"
    part.mkdir()
    try:
        files = []
        for name, data in content:
            (part / name).write_bytes(data)
            files.append(_described(name, data))
        assert _complete(files, count), "each file is made once and differs from all others"
        (part / INDEX).write_text(json.dumps(files))
        _remove(folder)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return files


def _remove(damaged: Path) -> None:
    if damaged.is_symlink() or damaged.is_file():
        damaged.unlink()
    elif damaged.exists():
        shutil.rmtree(damaged)
