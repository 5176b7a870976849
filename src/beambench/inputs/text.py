"""Text files that users write: lists of paths and label files, one entry on each line."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from beambench.errors import UsageError
from beambench.inputs.files import chunks, is_address

# A longer value would bury the message that quotes it.
LONGEST_QUOTE = 160
HEAD_BYTES = 8192


def quoted(value: str) -> str:
    """Return ``value`` in quotes, on one line and cut to a readable length."""
    text = value if len(value) <= LONGEST_QUOTE else value[:LONGEST_QUOTE] + "…"
    return repr(text)


def read_lines(path: str | Path, expected: str) -> Iterator[tuple[int, str]]:
    """Yield the line number (from 1) and the text of every line that is not blank.

    Whitespace around a line and a byte order mark are dropped. ``expected`` says in the message
    what the file should have been. Raises UsageError for a file that cannot be read or is not
    UTF-8 text.
    """
    path = path if is_address(str(path)) else Path(path)
    try:
        lines = _content(path, expected).removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path}: cannot be read ({reason}): expected {expected}") from error
    for number, line in enumerate(lines, start=1):
        text = _decoded(path, number, line).strip()
        if text:
            yield number, text


def _content(path: str | Path, expected: str) -> bytes:
    # Opening anything else, a pipe for instance, could wait for ever.
    if isinstance(path, Path) and not stat.S_ISREG(path.stat().st_mode):
        raise UsageError(f"{path}: is no file: expected {expected}")
    parts: list[bytes] = []
    for chunk in chunks(str(path)):
        # Looked at first: a video or an archive may be too large to be read as lines.
        if not parts and b"\0" in chunk[:HEAD_BYTES]:
            raise UsageError(f"{path}: is not a text file: expected {expected}")
        parts.append(chunk)
    return b"".join(parts)


def _decoded(path: str | Path, number: int, line: bytes) -> str:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: line {number} is not UTF-8 text (byte 0x{line[error.start]:02x} at column"
            f" {error.start + 1}): save the file as UTF-8"
        ) from error
    if "\0" in text:
        raise UsageError(f"{path}: line {number} holds a NUL byte: remove it")
    return text
