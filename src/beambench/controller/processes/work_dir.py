"""The scratch folder of a run. Those that killed runs left behind are swept by the next run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from platformdirs import user_cache_dir

from beambench.errors import RunError

PREFIX = "beambench-run-"
LOCK = ".lock"
UNLOCKED_SECONDS = 60.0
"""A folder without a lock that is older belongs to nobody: it takes an instant to get one."""


def cache_dir() -> Path:
    """Return the folder of what runs make once and use again: inputs, weights, templates."""
    return Path(user_cache_dir("beambench", appauthor=False))


@contextlib.contextmanager
def work_dir() -> Iterator[Path]:
    """Make a folder for one run and remove it afterwards.

    Its owner holds a lock on a file in it. The kernel lets go of the lock when the owner dies,
    however it dies, so a folder whose lock can be had belongs to nobody.

    Raises:
        RunError: no folder can be made.
    """
    folder = None
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        descriptor = _lock(folder / f"{LOCK}.new")
        (folder / f"{LOCK}.new").rename(folder / LOCK)  # seen by others only once it is locked
    except OSError as error:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise RunError(
            f"no folder for temporary files ({error.strerror or error}): make room, or set TMPDIR"
        ) from None
    try:
        sweep(folder.parent)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def _lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock, or None if another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def sweep(parent: Path) -> None:
    """Remove the folders of dead runs of this user."""
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            status = folder.lstat()
            if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode):
                continue
            if not (folder / LOCK).is_file():
                # Made this instant, or its owner was killed in that instant.
                if time.time() - status.st_mtime > UNLOCKED_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            descriptor = _lock(folder / LOCK)
        except OSError:
            continue
        if descriptor is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)
