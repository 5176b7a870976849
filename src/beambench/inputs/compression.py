"""Compressed text files, told by their names as Beam's `ReadFromText` tells them."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from beambench.errors import UsageError


def _zstandard() -> Any:
    import zstandard  # comes with apache-beam

    return zstandard.ZstdDecompressor().decompressobj()


SLICE_BYTES = 1 << 16
DECOMPRESSORS: dict[str, tuple[str, Callable[[], Any]]] = {
    ".gz": ("gzip", lambda: zlib.decompressobj(zlib.MAX_WBITS | 16)),
    ".bz2": ("bzip2", bz2.BZ2Decompressor),
    ".deflate": ("zlib", zlib.decompressobj),
    ".zst": ("Zstandard", _zstandard),
    ".zstd": ("Zstandard", _zstandard),
    ".xz": ("XZ", lzma.LZMADecompressor),
    ".lzma": ("LZMA", lzma.LZMADecompressor),
}
"""Suffixes as in Beam's `CompressionTypes`: name of the format, and what decompresses one stream.

A decompressor has `decompress(bytes)`, `eof` and `unused_data`.
"""


def without_suffix(path: str) -> str:
    """Return a path without the suffix that says how the file is compressed."""
    suffix = _suffix(path)
    return path[: -len(suffix)] if suffix else path


def _suffix(path: str) -> str:
    return next((suffix for suffix in DECOMPRESSORS if path.lower().endswith(suffix)), "")


def decompressed(path: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a file as it was before it was compressed, if its name says so.

    Raises:
        UsageError: it is not compressed so, is damaged, or ends in the middle.
    """
    suffix = _suffix(path)
    if not suffix:
        yield from chunks
        return
    kind, make = DECOMPRESSORS[suffix]
    stream = make()
    for chunk in _slices(chunks):
        rest = chunk
        while rest:
            if stream.eof:  # files that were compressed apart and joined
                if not rest.strip(b"\0"):
                    break  # filled up with NUL bytes, as on a tape
                stream = make()
            try:
                content = stream.decompress(rest)
            except Exception as error:  # each format has its own
                raise UsageError(
                    f"{path}: is not {kind} data, as its name says, or is damaged ({error}): "
                    "compress it again, or rename it"
                ) from None
            if content:
                yield content
            rest = stream.unused_data if stream.eof else b""
    if not stream.eof:
        raise UsageError(f"{path}: its {kind} data ends in the middle: copy the file again")


def _slices(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut up what may become a thousand times as large at once."""
    for chunk in chunks:
        for start in range(0, len(chunk), SLICE_BYTES):
            yield chunk[start : start + SLICE_BYTES]
