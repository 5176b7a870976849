"""Where a pipeline writes its predictions when it is told to: what can be said without Beam."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from beambench.errors import UsageError
from beambench.inputs.files import PATTERN, check_address, is_address
from beambench.printable import storable, storable_values

Format = Literal["jsonl", "parquet", "bigquery"]

SUFFIXES: dict[str, Format] = {".jsonl": "jsonl", ".txt": "jsonl", ".parquet": "parquet"}
TABLE = re.compile(r"bq:(?://)?([a-z0-9][a-z0-9.:-]*)\.([A-Za-z0-9_]+)\.([A-Za-z0-9_-]+)")
EXPECTED = "PATH.jsonl, PATH.txt, PATH.parquet, one of them at gs://…, or bq:PROJECT.DATASET.TABLE"


@dataclass(frozen=True)
class Target:
    """Where predictions are written, and how.

    Attributes:
        place: a path, a gs:// address, or ``PROJECT:DATASET.TABLE`` as Beam names a table.
        format: one JSON object a line, one Parquet file, or a table of BigQuery.
    """

    place: str
    format: Format

    @classmethod
    def of(cls, text: str) -> Target:
        """Return the target that a user names.

        Raises:
            UsageError: nothing can be written there.
        """
        if text.startswith("bq:"):
            table = TABLE.fullmatch(text)
            if table is None:
                raise UsageError(f"output {text!r:.160}: expected bq:PROJECT.DATASET.TABLE")
            return cls("{}:{}.{}".format(*table.groups()), "bigquery")
        if is_address(text):
            check_address(text, "output")
        chosen = SUFFIXES.get(Path(text).suffix.lower())
        if chosen is None:
            raise UsageError(f"output {text!r:.160}: expected {EXPECTED}")
        if PATTERN.search(text):
            raise UsageError(f"output {text!r:.160}: Beam would read * ? [ in it as a pattern")
        return cls(text, chosen)

    @property
    def is_here(self) -> bool:
        """Whether it is a file of this machine."""
        return self.format != "bigquery" and not is_address(self.place)

    def __str__(self) -> str:
        return f"bq:{self.place.replace(':', '.')}" if self.format == "bigquery" else self.place

    def document(self) -> dict[str, str]:
        """Return what the record says of it."""
        return {"target": str(self), "format": self.format}


def check_file(target: Target, *, overwrite: bool) -> None:
    """Check that a file of this machine can be written.

    Raises:
        UsageError: there is no such folder, or something else is there already.
    """
    path = Path(target.place)
    if not os.path.isdir(path.parent):  # noqa: PTH112 - never raises
        raise UsageError(f"output {path}: no folder {path.parent}: make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(f"output {path}: cannot be written: allow it with chmod")
    if os.path.isdir(path):  # noqa: PTH112
        raise UsageError(f"output {path}: is a folder: name a file")
    if os.path.lexists(path) and not overwrite:
        raise exists(str(path))


def exists(place: str) -> UsageError:
    return UsageError(f"output {place}: is there already: --overwrite replaces it")


def row(output: tuple[str, Any, Any, Any], *, text: bool) -> dict[str, Any]:
    """Return one prediction as it is written: id, label and error, of which one is null.

    Args:
        output: of the pipeline: id, label, evidence, failure.
        text: a label that is a class index becomes text, where a column has one type.
    """
    element_id, label, _, failure = output
    if text and label is not None:
        label = str(label)
    error = None if failure is None else storable(f"{failure[0]}: {failure[1]}")
    return {"id": storable(element_id), "label": storable_values(label), "error": error}
