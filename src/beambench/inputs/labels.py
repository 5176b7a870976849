"""Labels: which class each file belongs to, matched by path as far as it is given."""

from __future__ import annotations

import csv
import posixpath
import re
import unicodedata
from collections.abc import Iterable
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

    ``path`` is that of the file itself.
    """

    path: str
    rows: dict[str, dict[str, LabelRow]] = field(default_factory=dict)

    def add(self, row: LabelRow) -> None:
        """Add a row; raises UsageError if its path stands there with another class."""
        same_name = self.rows.setdefault(_base_name(row.name), {})
        earlier = same_name.setdefault(_normal(row.name), row)
        if earlier.class_index != row.class_index:
            raise UsageError(
                f"{self.path}: line {row.line}: {quoted(row.name)} has class {row.class_index} here"
                f" and {earlier.class_index} on line {earlier.line}: keep one of the two"
            )

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


def labels_for(ids: Iterable[str], labels: Labels) -> dict[str, int]:
    """Return the class index by element id; an element without a label is left out.

    A row labels the element whose path ends as its own does, as far as both have folders: the row
    that shares most folders, of those that a row fits the one with just its path. Raises UsageError
    where a row fits several elements, or several rows of different classes fit one.
    """
    chosen: dict[LabelRow, list[str]] = {}
    for element in dict.fromkeys(ids):
        row = _row_of(element, labels)
        if row is not None:
            chosen.setdefault(row, []).append(element)
    labels_by_id: dict[str, int] = {}
    for row, elements in chosen.items():
        exact = [element for element in elements if _normal(element) == _normal(row.name)]
        if len(elements) > 1 and len(exact) != 1:
            raise UsageError(
                f"{labels.path}: line {row.line}: {quoted(row.name)} fits {len(elements)} elements,"
                f" as {quoted(elements[0])} and {quoted(elements[1])}: write their paths"
            )
        labels_by_id[(exact or elements)[0]] = row.class_index
    return labels_by_id


def _row_of(element: str, labels: Labels) -> LabelRow | None:
    same_name = labels.rows.get(_base_name(element))
    if same_name is None:
        return None
    path = _normal(element)
    fitting = {row: shared for name, row in same_name.items() if (shared := _shared(name, path))}
    most = max(fitting.values(), default=0)
    best = [row for row, shared in fitting.items() if shared == most]
    if len({row.class_index for row in best}) > 1:
        first, other = best[:2]
        raise UsageError(
            f"{labels.path}: lines {first.line} and {other.line}: {quoted(first.name)} and"
            f" {quoted(other.name)} have different classes and both fit element {quoted(element)}:"
            " write paths that end as its own does"
        )
    return best[0] if best else None


def _shared(left: str, other: str) -> int:
    """Count the parts of two paths if one is the end of the other, else return 0."""
    shorter, longer = sorted((left, other), key=len)
    is_end = shorter == longer or longer.endswith(f"/{shorter}")
    return shorter.count("/") + 1 if is_end else 0


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
