"""Text as people save it: byte-order marks, UTF-16 and UTF-32, and bytes that are no text."""

from __future__ import annotations

import codecs
import re
import shlex
import unicodedata

from beambench.errors import UsageError

MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "UTF-32LE"),
    (codecs.BOM_UTF32_BE, "UTF-32BE"),
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF16_LE, "UTF-16LE"),
    (codecs.BOM_UTF16_BE, "UTF-16BE"),
)
BYTE_ORDER_MARKS = tuple(mark for mark, _ in MARKS)
WIDE = ("UTF-32LE", "UTF-32BE", "UTF-16LE", "UTF-16BE")
LINE_END = re.compile(r"\r\n|\r|\n")
HEAD_BYTES = 8192
LEAST_NULS = 0.01
"""Share of NUL bytes from which a text may be UTF-16: a Chinese one has them at its line ends."""

NOT_IN_TEXT = ("Cc", "Cn", "Co", "Cs")


def as_utf8(content: bytes, name: str) -> bytes:
    """Return text in UTF-8 without a byte-order mark; what has no such mark comes back as it is.

    Args:
        content: of the whole file.
        name: of the file, for errors.

    Raises:
        UsageError: it is not what its mark says, or is UTF-16 or UTF-32 without a mark.
    """
    for mark, encoding in MARKS:
        if content.startswith(mark):
            content = content.removeprefix(mark)
            return content if encoding == "UTF-8" else _converted(content, encoding, name)
    encoding_without_mark = wide_encoding(content)
    if encoding_without_mark is not None:
        raise UsageError(
            f"{name}: seems to be {encoding_without_mark} without a byte-order mark: convert it, "
            f"for example with: iconv -f {encoding_without_mark} -t UTF-8 {shlex.quote(name)}"
        )
    return content


def _converted(content: bytes, encoding: str, name: str) -> bytes:
    try:
        return content.decode(encoding).encode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(encoding)
        number = len(LINE_END.findall(before)) + 1
        offset = error.start + len(codecs.BOM_UTF32_LE if "32" in encoding else codecs.BOM_UTF16_LE)
        raise UsageError(
            f"{name}: line {number} is not {encoding} text, as the byte-order mark says (byte "
            f"0x{content[error.start]:02x} at offset {offset}): save the file as UTF-8"
        ) from None


def wide_encoding(content: bytes) -> str | None:
    """Return the encoding that makes text of bytes without a mark, if only UTF-16 or 32 does."""
    head = content[:HEAD_BYTES]
    if head.count(0) < max(1.0, LEAST_NULS * len(head)):
        return None
    return next((encoding for encoding in WIDE if _is_text(head, encoding)), None)


def _is_text(head: bytes, encoding: str) -> bool:
    """Tell whether the beginning of a file decodes to nothing but characters that text has."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        text = decoder.decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    narrow = sum(character < "\u0100" for character in text)  # these have the NUL bytes
    blanks = text.count("\n") + text.count(" "), head.count(b"\n") + head.count(b" ")
    # Of text that is not in this encoding, blanks are halves of other characters.
    return (
        narrow >= max(1.0, LEAST_NULS * len(text))
        and 2 * blanks[0] >= blanks[1]
        and all(
            character in "\t\n\v\f\r" or unicodedata.category(character) not in NOT_IN_TEXT
            for character in text
        )
    )


def decoded(content: bytes, name: str) -> str:
    """Return the text of a whole file without its byte-order mark, every line ended by a line feed.

    Raises:
        UsageError: it is no text; the message names line and byte.
    """
    content = as_utf8(content, name)
    try:
        return LINE_END.sub("\n", content.decode())
    except UnicodeDecodeError as error:
        number = len(LINE_END.findall(content[: error.start].decode())) + 1
        line = content.splitlines()[number - 1]
        raise UsageError(
            f"{name}: line {number} is {problem_of(line)}: save the file as UTF-8"
        ) from None


def problem_of(line: bytes) -> str | None:
    """Say which byte of a line is no UTF-8; None if all are. Columns are bytes, from 1."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8 text (byte 0x{line[error.start]:02x} at column {error.start + 1})"
    return None
