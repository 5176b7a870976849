"""The scratch folder of a run. Those that killed runs left behind are swept by the next run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from beambench.errors import RunError

PREFIX = "beambench-run-"
LOCK = ".lock"


@contextlib.contextmanager
def work_dir() -> Iterator[Path]:
    """Make a folder for one run and remove it afterwards.

    Its owner holds a lock on a file in it. The kernel lets go of the lock when the owner dies,
    however it dies, so a folder whose lock can be had belongs to nobody.

    Raises:
        RunError: no folder can be made.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        descriptor = _lock(folder)
    except OSError as error:
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


def _lock(folder: Path) -> int | None:
    """Return a descriptor that holds the folder's lock, or None if another process has it."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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
            if folder.stat().st_uid != os.getuid() or not (folder / LOCK).is_file():
                continue  # of another user, or made this instant and not locked yet
            descriptor = _lock(folder)
        except OSError:
            continue
        if descriptor is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)
