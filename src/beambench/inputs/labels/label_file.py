"""Labels: which class each file belongs to, matched by path as far as it is given."""

from __future__ import annotations

import csv
import itertools
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from beambench.errors import UsageError
from beambench.inputs.folders import IMAGE_SUFFIXES
from beambench.inputs.text import quoted, read_lines

EXPECTED = "a text file with file,class_index on each line"
INTEGER = re.compile(r"[+-]?[0-9]+")
# Nine digits at most: far more classes than any model has, and no absurdly long number.
CLASS_INDEX = re.compile(r"[0-9]{1,9}")


class LabelRow(NamedTuple):
    """A line of a label file."""

    name: str
    class_index: int
    line: int


@dataclass
class Labels:
    """The rows of a label file, each path once, by base name.

    ``path`` is that of the file itself. ``by_end`` holds the rows by what their paths end with.
    """

    path: str
    rows: dict[str, dict[str, LabelRow]] = field(default_factory=dict)
    by_end: dict[str, list[LabelRow]] = field(default_factory=dict)

    def add(self, row: LabelRow) -> None:
        """Add a row; raises UsageError if its path stands there with another class."""
        same_name = self.rows.setdefault(_base_name(row.name), {})
        earlier = same_name.setdefault(_normal(row.name), row)
        if earlier.class_index != row.class_index:
            raise UsageError(
                f"{self.path}: line {row.line}: {quoted(row.name)} has class {row.class_index} here"
                f" and {earlier.class_index} on line {earlier.line}: keep one of the two"
            )
        if earlier is row:
            for end in _ends(_normal(row.name)):
                self.by_end.setdefault(end, []).append(row)

    def first(self) -> LabelRow:
        """Return the first row of the file."""
        return next(iter(next(iter(self.rows.values())).values()))

    def check_classes(self, classes: int, model: str) -> None:
        """Raise UsageError for a class that a model does not have."""
        for same_name in self.rows.values():
            for row in same_name.values():
                if row.class_index >= classes:
                    hint = ": are they counted from 1?" if row.class_index == classes else ""
                    raise UsageError(
                        f"{self.path}: line {row.line}: {quoted(row.name)} has class"
                        f" {row.class_index}, but {model} has the classes 0 to {classes - 1}{hint}"
                    )


def read_labels(path: str | Path) -> Labels:
    """Return the class index of every file that ``path`` labels.

    The file is CSV or TSV: a file name and a class index (an integer from 0), further columns
    ignored, the first line may be a header. A field that contains the delimiter stands in double
    quotes. Raises UsageError, naming line and value.
    """
    labels = Labels(str(path))
    delimiter: str | None = None
    for number, line in read_lines(path, EXPECTED):
        where = f"{path}: line {number}"
        is_first = delimiter is None
        delimiter = delimiter or _delimiter(line)
        fields = _fields(line, delimiter, where)
        if is_first and _is_header(fields):
            continue
        name, class_index = _label(fields, where)
        labels.add(LabelRow(name, class_index, number))
    if not labels.rows:
        raise UsageError(f"{path}: labels no file: put file,class_index on each line")
    return labels


def rows_for(ids: Iterable[str], labels: Labels, root: str = "") -> dict[str, LabelRow]:
    """Return the row that labels each element by id; an element without a label is left out.

    A row labels the element whose path ends as its own does, as far as both have folders: the row
    that shares most folders, of those that a row fits the one with just its path. ``root`` is the
    folder of all elements: where rows of different classes are longer than an element's id, the
    row counts that shares most folders with the whole path. Raises UsageError where a row fits
    several elements, or several rows of different classes fit one.
    """
    chosen: dict[LabelRow, list[str]] = {}
    for element in dict.fromkeys(ids):
        row = _row_of(element, labels, root)
        if row is not None:
            chosen.setdefault(row, []).append(element)
    rows_by_id: dict[str, LabelRow] = {}
    for row, elements in chosen.items():
        exact = [element for element in elements if _normal(element) == _normal(row.name)]
        if len(elements) > 1 and len(exact) != 1:
            raise UsageError(
                f"{labels.path}: line {row.line}: {quoted(row.name)} fits {len(elements)} elements,"
                f" as {quoted(elements[0])} and {quoted(elements[1])}: write their paths"
            )
        rows_by_id[(exact or elements)[0]] = row
    return rows_by_id


def labels_for(ids: Iterable[str], labels: Labels, root: str = "") -> dict[str, int]:
    """Return the class index by element id, as `rows_for` finds it. Raises UsageError."""
    return {element: row.class_index for element, row in rows_for(ids, labels, root).items()}


def lies_elsewhere(row: LabelRow, element: str, root: str) -> bool:
    """Tell whether a row names other folders than those that its element lies in."""
    shorter, longer = sorted((_normal(row.name), _normal(_joined(root, element))), key=len)
    return shorter != longer and not longer.endswith(f"/{shorter}")


def _row_of(element: str, labels: Labels, root: str) -> LabelRow | None:
    best = _fitting(_normal(element), labels)
    if len({row.class_index for row in best}) > 1:
        whole = _normal(_joined(root, element))
        shared = {row: _shared_parts(_normal(row.name), whole) for row in best}
        most = max(shared.values())
        best = [row for row in best if shared[row] == most]
    if len({row.class_index for row in best}) > 1:
        first, other = best[:2]
        raise UsageError(
            f"{labels.path}: lines {first.line} and {other.line}: {quoted(first.name)} and"
            f" {quoted(other.name)} have different classes and both fit element {quoted(element)}:"
            " write paths that end as its own does"
        )
    return best[0] if best else None


def _fitting(path: str, labels: Labels) -> list[LabelRow]:
    """Return the rows that share most parts with a path, in the order of the file."""
    same_name = labels.rows.get(_base_name(path), {})
    longer = labels.by_end.get(path, [])
    if path in same_name or longer:
        own = [same_name[path]] if path in same_name else []
        return sorted([*own, *longer], key=lambda row: row.line)
    return next(([same_name[end]] for end in _ends(path) if end in same_name), [])


def _ends(path: str) -> Iterator[str]:
    """Yield what a path ends with after each of its slashes, the longest first."""
    while "/" in path:
        path = path.partition("/")[2]
        yield path


def _shared_parts(left: str, other: str) -> int:
    """Count the parts that two paths have in common at their ends."""
    pairs = zip(reversed(left.split("/")), reversed(other.split("/")), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _joined(root: str, element: str) -> str:
    return f"{root}/{element}" if root else element


def _normal(path: str) -> str:
    """Return a path without what does not tell files apart: a root, ``.``, a leading ``..``.

    A letter with an accent is one character, or two as a Mac writes it: both are made one.
    """
    normal = unicodedata.normalize("NFC", posixpath.normpath(path)).lstrip("/")
    while normal.startswith("../"):
        normal = normal.removeprefix("../")
    return normal


def _base_name(path: str) -> str:
    return unicodedata.normalize("NFC", path.rsplit("/", 1)[-1])


def _delimiter(line: str) -> str:
    """Return the delimiter of the first line: the one after which the class index stands.

    A file name may contain the other one, so their mere presence decides only for a header.
    """
    for delimiter in ("\t", ","):
        try:
            fields = _split(line, delimiter)
        except csv.Error:
            continue
        if len(fields) > 1 and INTEGER.fullmatch(fields[1]):
            return delimiter
    return "\t" if "\t" in line else ","


def _split(line: str, delimiter: str) -> list[str]:
    return [field.strip() for field in next(csv.reader([line], delimiter=delimiter, strict=True))]


def _fields(line: str, delimiter: str, where: str) -> list[str]:
    try:
        return _split(line, delimiter)
    except csv.Error as error:
        raise UsageError(
            f"{where}: {quoted(line)} cannot be split into columns ({error}):"
            " put double quotes around the whole file name and double those within"
        ) from error


def _is_header(fields: list[str]) -> bool:
    """Tell a header from a first row with a mistake in it, which must not be skipped in silence.

    Such a row begins with the name of an image or has its integer in a later column.
    """
    if len(fields) < 2 or fields[0].lower().endswith(IMAGE_SUFFIXES):
        return False
    return not any(INTEGER.fullmatch(field) for field in fields[1:])


def _label(fields: list[str], where: str) -> tuple[str, int]:
    if len(fields) < 2:
        raise UsageError(
            f"{where}: {quoted(fields[0])} has no second column: expected file,class_index"
        )
    if not CLASS_INDEX.fullmatch(fields[1]):
        raise UsageError(
            f"{where}: class index {quoted(fields[1])} is not an integer from 0: expected"
            " file,class_index, with a file name that contains the delimiter in double quotes"
        )
    if not _base_name(fields[0]):
        raise UsageError(f"{where}: {quoted(fields[0])} is no file name: expected file,class_index")
    return fields[0], int(fields[1])
