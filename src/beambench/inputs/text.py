"""Text files that users write: sentences, lists of paths and label files, one entry on each line.

A line ends with a line feed, a carriage return, or both, as Python's universal newlines do.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from beambench.definition.text_encoding import (
    BYTE_ORDER_MARKS,
    HEAD_BYTES,
    as_utf8,
    problem_of,
    wide_encoding,
)
from beambench.errors import UsageError
from beambench.inputs.compression import decompressed
from beambench.inputs.files import chunks, is_address

# A longer value would bury the message that quotes it.
LONGEST_QUOTE = 160
SIGNATURES = {
    b"\x1f\x8b": "gzip data without a name that ends in .gz",
    b"\x28\xb5\x2f\xfd": "Zstandard data without a name that ends in .zst",
    b"\xfd7zXZ\0": "XZ data without a name that ends in .xz",
    b"BZh91AY&SY": "bzip2 data without a name that ends in .bz2",
    b"PK\x03\x04": "a ZIP archive (as .docx, .xlsx and .npz are)",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF87a": "a GIF image",
    b"GIF89a": "a GIF image",
    b"%PDF-": "a PDF document",
    b"{\\rtf": "a rich text document (RTF)",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Office document (as .doc and .xls are)",
    b"PAR1\x15": "a Parquet file",
    b"ARROW1\0\0": "an Arrow file",
    b"Obj\x01": "an Avro file",
    b"SQLite format 3\0": "an SQLite database",
    b"\x89HDF\r\n": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x1f\x9d": "compressed with compress (as .Z is)",
    b"version https://git-lfs": "a pointer of Git LFS (fetch the file with git lfs pull)",
}
"""How files begin that are no text, whatever their bytes look like."""


def quoted(value: str) -> str:
    """Return ``value`` in quotes, on one line and cut to a readable length."""
    text = value if len(value) <= LONGEST_QUOTE else value[:LONGEST_QUOTE] + "…"
    return repr(text)


def read_lines(path: str | Path, expected: str) -> Iterator[tuple[int, str]]:
    """Yield the line number (from 1) and the text of every line that is not blank.

    Whitespace around a line is dropped. ``expected`` says in the message what the file should have
    been. Raises UsageError for a file that cannot be read or is not text in UTF-8, or in the
    encoding of its byte-order mark.
    """
    for number, line in enumerate(content_of(str(path), expected).splitlines(), start=1):
        text = _decoded(path, number, line).strip()
        if text:
            yield number, text


def content_of(path: str, expected: str, most_nuls: float = 0) -> bytes:
    """Return a text file in UTF-8, decompressed by its name as Beam's ReadFromText does it.

    What follows a missing or right byte-order mark may still hold lines that are not UTF-8.

    Args:
        path: on this machine, or an address.
        expected: what the file should be, for errors.
        most_nuls: share of NUL bytes above which it is no text.

    Raises:
        UsageError: it cannot be read or decompressed, or is no text.
    """
    try:
        # Opening anything else, a pipe for instance, could wait for ever.
        if not is_address(path) and not stat.S_ISREG(Path(path).stat().st_mode):
            raise UsageError(f"{path or '.'}: is no file: expected {expected}")
        parts: list[bytes] = []
        for chunk in decompressed(path, chunks(path)):
            # Looked at first: a video or an archive may be too large to be read as lines.
            if not parts:
                _check_beginning(path, chunk[:HEAD_BYTES], expected, most_nuls)
            parts.append(chunk)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path}: cannot be read ({reason}): expected {expected}") from error
    return as_utf8(b"".join(parts), path)


def _check_beginning(path: str, head: bytes, expected: str, most_nuls: float) -> None:
    kind = next((kind for start, kind in SIGNATURES.items() if head.startswith(start)), None)
    if kind is not None:
        raise UsageError(f"{path}: is {kind}, not a text file: expected {expected}")
    if head.startswith(BYTE_ORDER_MARKS) or wide_encoding(head) is not None:
        return
    if head.count(0) > most_nuls * len(head):
        raise UsageError(f"{path}: is not a text file: expected {expected}")


def _decoded(path: str | Path, number: int, line: bytes) -> str:
    problem = problem_of(line)
    if problem is not None:
        raise UsageError(f"{path}: line {number} is {problem}: save the file as UTF-8")
    if b"\0" in line:
        raise UsageError(f"{path}: line {number} holds a NUL byte: remove it")
    return line.decode()


def text_of(raw: bytes) -> str:
    """Return the text of an element that is a line.

    Raises:
        ValueError: it is not UTF-8; the message names the byte.
    """
    problem = problem_of(raw)
    if problem is not None:
        raise ValueError(problem)
    return raw.decode()
