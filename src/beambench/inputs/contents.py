"""The contents of files and objects: size and digest, read or as their store tells."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import NamedTuple

from beambench.errors import UsageError
from beambench.inputs import files

# What a file that cannot be read contributes to the digest.
UNREADABLE = "unreadable"

READ_OBJECTS = 1000

READ_BYTES = 256 << 20
"""Objects of a store are read for the digest if they are no more than this, and no larger in all;
else it covers what the store says of them."""

READERS = 16


class Content(NamedTuple):
    """What is known of a file: SHA-256 in hex or what stands for it, size in bytes."""

    digest: str
    size: int


def content_at(path: str) -> Content | None:
    """Return what the file contains, or None if it cannot be read."""
    if not is_file(path):
        return None
    return content_of(files.chunks(path))


def content_of(chunks: Iterable[bytes]) -> Content | None:
    digest, size = sha256(), 0
    try:
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
    except OSError:
        return None
    return Content(digest.hexdigest(), size)


def read_objects(addresses: list[str]) -> dict[str, Content | None] | None:
    """Read objects of a store; return None if they are too many or too large."""
    left = READ_BYTES if len(addresses) <= READ_OBJECTS else -1

    def affordable(address: str) -> Iterator[bytes]:
        nonlocal left
        for chunk in files.chunks(address):
            left -= len(chunk)
            if left < 0:
                return
            yield chunk

    def content(address: str) -> Content | None:
        return None if left < 0 else content_of(affordable(address))

    with ThreadPoolExecutor(READERS) as pool:
        contents = dict(zip(addresses, pool.map(content, addresses), strict=True))
    return None if left < 0 else contents


def described(addresses: list[str]) -> dict[str, Content | None]:
    """Return what the store says of objects, listing each folder once."""
    folders = sorted({f"{address.rpartition('/')[0]}/" for address in addresses})
    with ThreadPoolExecutor(READERS) as pool:
        listed = [entry for objects in pool.map(listed_in, folders) for entry in objects]
    known = {
        entry.path: Content(f"address {entry.path} {entry.size} {entry.changed:.6f}", entry.size)
        for entry in listed
    }
    return {address: known.get(address) for address in addresses}


def listed_in(folder: str) -> list[files.Stored]:
    try:
        return files.stored_in(folder)
    except OSError as error:
        raise unlisted(folder, error) from None


def digest_of(parts: Iterable[str]) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()


CHECK_ADDRESS = "check the address"


def unlisted(source: str, error: OSError) -> UsageError:
    return UsageError(f"{source}: cannot be read ({error.strerror}): {CHECK_ADDRESS}")


def is_file(path: str) -> bool:
    """Tell whether ``path`` is a regular file; what cannot be looked at is none."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - pathlib's may raise
    except (OSError, ValueError):
        return False
