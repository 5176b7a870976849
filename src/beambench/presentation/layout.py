"""Lines and tables that fit the terminal: no word is broken inside, and no name is cut."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import markup
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from beambench.printable import printable

PLAIN_WIDTH = 120
"""Columns where stdout is no terminal, so that logs are not folded at 80."""

LEAST_WIDTH = 20


@dataclass(frozen=True)
class TableColumn:
    """A column of a table.

    Attributes:
        name: its header.
        right: whether it is set to the right.
        whole: whether its cells stay on one line each.
        spare: whether it is left out where there is no room, since another column says the same.
    """

    name: str
    right: bool = False
    whole: bool = False
    spare: bool = False


class Page:
    """What is printed to stdout, in the width of the terminal or of ``COLUMNS``."""

    def __init__(self) -> None:
        columns = shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns
        self.width = max(LEAST_WIDTH, columns)
        self._console = Console(width=self.width, highlight=False)

    def print(self, line: str) -> None:
        """Print text with markup of rich, folded between words."""
        for paragraph in Text.from_markup(line).split("\n", allow_blank=True):
            for part in paragraph.divide(list(_folds(paragraph.plain, self.width))):
                part.rstrip()
                self.print_whole(part)

    def print_entry(self, line: str) -> None:
        """Print a line that scripts may search for: folded on a terminal only."""
        (self.print if sys.stdout.isatty() else self.print_whole)(line)

    def print_whole(self, line: str | Text) -> None:
        """Print what people copy, such as a path or a document, without folding it."""
        self._console.print(line, soft_wrap=True)

    def print_table(self, columns: Sequence[TableColumn], rows: Sequence[Sequence[str]]) -> None:
        """Print cells, which are text of others; a block for each row where a table has no room."""
        grid = [[printable(cell) for cell in row] for row in rows]
        main = [index for index, column in enumerate(columns) if not column.spare]
        for chosen, gap in ((range(len(columns)), 2), (main, 2), (main, 1)):
            shown = [columns[index] for index in chosen]
            cells = [[row[index] for index in chosen] for row in grid]
            widths = _widths(shown, cells, self.width - gap * (len(shown) - 1))
            if widths is not None:
                self._console.print(_table(shown, cells, widths, gap))
                return
        if columns[0].name:
            self.print_whole(f"[bold]{columns[0].name}[/bold]")
        for row in grid:
            self._print_block(columns, row)

    def _print_block(self, columns: Sequence[TableColumn], row: Sequence[str]) -> None:
        self.print_whole(Text(row[0]))
        pairs = zip(columns[1:], row[1:], strict=True)
        parts = [
            f"{column.name}: {cell}" if column.name else cell for column, cell in pairs if cell
        ]
        text = Text("; ".join(parts))
        for part in text.divide(list(_folds(text.plain, self.width - 2))):
            part.rstrip()
            self.print_whole(Text("  ") + part)


def escape(text: str) -> str:
    """Return text of others as text in one line: no markup, and nothing that steers a terminal."""
    return markup.escape(printable(text))


def _folds(text: str, width: int) -> Iterator[int]:
    """Yield where a text goes on in the next line: before a word that does not fit."""
    used = 0
    for match in re.finditer(r"\s*\S+\s*", text):
        length = cell_len(match[0].rstrip())
        if used and used + length > width:
            yield match.start()
            used = 0
        used += cell_len(match[0])


def _widths(
    columns: Sequence[TableColumn], rows: Sequence[Sequence[str]], room: int
) -> list[int] | None:
    """Return widths in which every word fits into the room, or None."""
    least, most = [], []
    for index, column in enumerate(columns):
        cells = [row[index] for row in rows]
        words = [word for cell in [column.name, *cells] for word in cell.split()]
        full = [column.name, *(line for cell in cells for line in cell.split("\n"))]
        most.append(max(map(cell_len, full)))
        least.append(most[-1] if column.whole else max(map(cell_len, words), default=0))
    wanted = [wide - narrow for wide, narrow in zip(most, least, strict=True)]
    free = room - sum(least)
    if free < 0:
        return None
    if sum(wanted) <= free:
        return most
    return [narrow + free * wish // sum(wanted) for narrow, wish in zip(least, wanted, strict=True)]


def _table(
    columns: Sequence[TableColumn], rows: Sequence[Sequence[str]], widths: Sequence[int], gap: int
) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column.name, width=width, justify="right" if column.right else "left")
    for row in rows:
        table.add_row(*map(markup.escape, row))
    return table
