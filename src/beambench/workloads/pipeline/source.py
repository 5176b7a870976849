"""Sources: where the elements of a pipeline come from, a line each (`inputs.elements`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam

AddSource = Callable[[beam.Pipeline], Any]
"""Adds to a pipeline what reads the elements; returns their PCollection."""


def filter_empty_lines(line: str) -> Iterator[str]:
    if line.strip():
        yield line


def file_of_ids(path: str, *, spread: bool = False) -> AddSource:
    """Read a file with one element a line, which is bounded.

    Args:
        path: path or address of the file.
        spread: over the workers; FnApiRunner splits what a stage reads, and one file is not split.
    """

    def read(pipeline: beam.Pipeline) -> Any:
        elements = (
            pipeline
            # Not validated: it was just written, and a template names it before it is.
            | "ReadIds" >> beam.io.ReadFromText(path, validate=False)
            | "FilterEmptyLines" >> beam.FlatMap(filter_empty_lines)
        )
        return elements | "SpreadOverProcesses" >> beam.Reshuffle() if spread else elements

    return read
