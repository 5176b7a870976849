"""Labels: which class each file belongs to, matched by base name."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path

from beambench.errors import UsageError
from beambench.inputs.text import quoted, read_lines

EXPECTED = "a text file with file,class_index on each line"
INTEGER = re.compile(r"[+-]?[0-9]+")
# Nine digits at most: far more classes than any model has, and no absurdly long number.
CLASS_INDEX = re.compile(r"[0-9]{1,9}")
# First fields that end so are file names, hence the line is no header.
FILE_NAME = re.compile(r".*\.(jpe?g|png|webp|bmp)", re.IGNORECASE)


def read_labels(path: str | Path) -> dict[str, int]:
    """Return the class index of every file that ``path`` labels, by the file's base name.

    The file is CSV or TSV: a file name and a class index (an integer from 0), further columns
    ignored, the first line may be a header. A field that contains the delimiter stands in double
    quotes. Raises UsageError, naming line and value.
    """
    labels: dict[str, int] = {}
    seen_in: dict[str, int] = {}
    delimiter: str | None = None
    for number, line in read_lines(path, EXPECTED):
        where = f"{path}: line {number}"
        is_first = delimiter is None
        delimiter = delimiter or _delimiter(line)
        fields = _fields(line, delimiter, where)
        if is_first and _is_header(fields):
            continue
        name, class_index = _label(fields, where)
        if labels.setdefault(name, class_index) != class_index:
            raise UsageError(
                f"{where}: {quoted(name)} has class {class_index} here and {labels[name]} on line"
                f" {seen_in[name]}: base names must be unique, keep one of the two"
            )
        seen_in.setdefault(name, number)
    if not labels:
        raise UsageError(f"{path}: labels no file: put file,class_index on each line")
    return labels


def labels_for(ids: Iterable[str], labels: dict[str, int]) -> dict[str, int]:
    """Return the class index by element id; an element without a label is left out."""
    names = {element: _base_name(element) for element in ids}
    return {element: labels[name] for element, name in names.items() if name in labels}


def _base_name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


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
    if len(fields) < 2 or FILE_NAME.fullmatch(fields[0]):
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
    name = _base_name(fields[0])
    if not name:
        raise UsageError(f"{where}: {quoted(fields[0])} is no file name: expected file,class_index")
    return name, int(fields[1])
