"""Text of others, made fit to be printed, written as JSON and stored."""

from __future__ import annotations

import json
import re
from typing import Any


def printable(text: str) -> str:
    """Return text in one line, everything escaped that could steer a terminal or hide text.

    That is what Python does not call printable: control characters (also those above 0x7f), line
    breaks, signs that turn the direction of writing, signs without width, halves of surrogate
    pairs.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode()
        for c in text
    )


def storable(text: str) -> str:
    """Return text without halves of surrogate pairs, which neither UTF-8 nor JSON holds.

    A file name that is not UTF-8 has them, and what a handler says may have them.
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def storable_values(content: Any) -> Any:
    """Return JSON content with every text in it made storable, names of fields too."""
    if isinstance(content, str):
        return storable(content)
    if isinstance(content, dict):
        return {storable_values(key): storable_values(value) for key, value in content.items()}
    if isinstance(content, list):
        return [storable_values(value) for value in content]
    return content


def json_text(document: Any) -> str:
    r"""Return JSON for people and programs: signs that are not printable as ``\uXXXX``."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return re.sub(r"[^\n\x20-\x7e]", _escaped, text)


def _escaped(match: re.Match[str]) -> str:
    sign = match[0]
    if sign.isprintable():
        return sign
    return json.dumps(sign)[1:-1] if ord(sign) > 0x7F else f"\\u{ord(sign):04x}"
