"""The predictions that a pipeline wrote: reading them back and naming what is missing or double."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence

from beambench.inputs.files import lines_of
from beambench.instrumentation.handler import Output


def read_predictions(path: str) -> Iterator[Output]:
    """Yield the outputs of a predictions file, one JSON array a line."""
    for line in lines_of(path):
        element_id, label, evidence, error = json.loads(line)
        yield element_id, label, evidence, error


def named_differences(ids: Sequence[str], seen: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the ids that did not come out and those that came out too often, in input order."""
    expected, found = Counter(ids), Counter(seen)
    missing = list((expected - found).elements())
    duplicates = list((found - expected).elements())
    return missing, duplicates
