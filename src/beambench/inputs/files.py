"""Files on this machine and objects in a store, read and written alike.

What has a scheme (``gs://…``) goes through Beam's file systems, which only a worker may import;
they are imported on first use. Whatever goes wrong there is an OSError, as for a file.
"""

from __future__ import annotations

import contextlib
import errno
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

SCHEME = "://"
CHUNK_BYTES = 1 << 20


def is_address(path: str) -> bool:
    """Tell an address with a scheme from a path on this machine."""
    return SCHEME in path


def joined(folder: str, name: str) -> str:
    """Return the path or address of a file in a folder."""
    return f"{folder.rstrip('/')}/{name}" if is_address(folder) else str(Path(folder) / name)


def chunks(path: str) -> Iterator[bytes]:
    """Yield the content in pieces, byte for byte: Beam would unpack what is named .gz.

    Raises:
        OSError: it is not there or cannot be read.
    """
    if not is_address(path):
        with Path(path).open("rb") as local:
            while chunk := local.read(CHUNK_BYTES):
                yield chunk
        return
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    with _as_os_errors(path):
        remote = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    with remote:
        while True:
            with _as_os_errors(path):
                chunk = remote.read(CHUNK_BYTES)
            if not chunk:
                return
            yield chunk


def read_bytes(path: str) -> bytes:
    return b"".join(chunks(path))


def lines_of(path: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 text without their ends; a line ends with a line feed only."""
    remote = io.BytesIO(read_bytes(path)) if is_address(path) else None
    with remote or Path(path).open("rb") as content:
        for line in io.TextIOWrapper(content, encoding="utf-8", newline="\n"):
            yield line.removesuffix("\n")


def remove(path: str) -> None:
    """Remove a file or an object if it is there."""
    if not is_address(path):
        Path(path).unlink(missing_ok=True)
        return
    from apache_beam.io.filesystems import FileSystems

    with _as_os_errors(path):
        FileSystems.delete([path])


@contextlib.contextmanager
def _as_os_errors(path: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        _raise_os_error(path, error)


def _raise_os_error(path: str, error: Exception) -> NoReturn:
    """Raise what a file in the same state would raise: the client of each store has its own."""
    while (inner := _inner(error)) is not None:
        error = inner
    code = getattr(error, "code", None)
    if code == 404:
        raise FileNotFoundError(errno.ENOENT, "no such object or bucket", path) from error
    if code in (401, 403):
        raise PermissionError(errno.EACCES, "access denied", path) from error
    lines = str(error).strip().splitlines() or [type(error).__name__]
    raise OSError(errno.EIO, lines[0][:200], path) from error


def _inner(error: Exception) -> Exception | None:
    """Return the error of one path that Beam wrapped in its own for several."""
    details = getattr(error, "exception_details", None) or {}
    return next((one for one in details.values() if isinstance(one, Exception)), None)
