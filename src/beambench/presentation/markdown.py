"""Text of others within Markdown: escaped in a table, or as code, without mentions and links."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from beambench.presentation.layout import TableColumn
from beambench.printable import printable

LONGEST = 200


def cell(text: str) -> str:
    """Return text that cannot end a cell, a line or become markup."""
    visible = "".join(character if character.isprintable() else " " for character in text)
    escaped = " ".join(visible.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_~$\[\]|])", r"\\\1", escaped)


def table(columns: Sequence[TableColumn], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, its cells escaped."""
    alignment = ["---:" if column.right else "---" for column in columns]
    header = [column.name for column in columns]
    lines = [header, alignment, *([cell(text) for text in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def code(text: str) -> str:
    """Return a text of others as code within a line, cut to 200 characters."""
    shown = printable(text)[:LONGEST] or " "
    fence = "`" * (1 + _longest_run(shown))
    space = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{space}{shown}{space}{fence}"


def code_block(lines: Sequence[str]) -> str:
    """Return lines with text of others as a block of code, each cut to 200 characters."""
    shown = [printable(line)[:LONGEST] for line in lines]
    fence = "`" * max(3, 1 + _longest_run("\n".join(shown)))
    return "\n".join((f"{fence}text", *shown, fence))


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
