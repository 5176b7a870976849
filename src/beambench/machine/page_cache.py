"""How much of a file the page cache of the kernel holds."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterable
from pathlib import Path


def cached_share(files: Iterable[Path]) -> float | None:
    """Return the share of the pages of files that can be read without the disk.

    None is unknown: there are none, or the kernel does not tell. It tells only the owner of a file
    and who may write to it, and says that all is there to anybody else.
    """
    cached = pages = 0
    try:
        for file in files:
            if not os.access(file, os.W_OK):
                return None
            in_cache = _pages(file)
            cached, pages = cached + sum(in_cache), pages + len(in_cache)
    except (OSError, ValueError, AttributeError):  # no Linux, or no such file
        return None
    return cached / pages if pages else None


def _pages(file: Path) -> list[bool]:
    """Tell of each page of a file whether it is in memory."""
    size = file.stat().st_size
    if not size:
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    flags = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
    with (
        file.open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY) as memory,
    ):
        start = (ctypes.c_char * size).from_buffer(memory)  # ACCESS_COPY: an address to be written
        failed = libc.mincore(
            ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(size), flags
        )
        del start  # or the mapping could not be closed
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return [bool(flag & 1) for flag in flags]
