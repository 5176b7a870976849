"""Text of others within Markdown."""

from __future__ import annotations

import re


def cell(text: str) -> str:
    """Return text that cannot end a cell, a line or become markup."""
    visible = "".join(character if character.isprintable() else " " for character in text)
    escaped = " ".join(visible.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_~$\[\]|])", r"\\\1", escaped)
