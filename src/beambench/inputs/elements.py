"""The elements of a run as lines of a text file, which the pipeline reads and the loop too.

An element that lies somewhere is one line with its id, its path below the root. One that is itself
a line of text stands behind its id, after a tab, as JSON: ASCII only, whatever bytes it holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Element(NamedTuple):
    """An element: its id, and its content or the path where that lies."""

    id: str
    source: str | bytes


def written(ids: Iterable[str], contents: Iterable[bytes] | None) -> Iterator[str]:
    """Yield the lines of the elements."""
    if contents is None:
        yield from ids
        return
    for element_id, content in zip(ids, contents, strict=True):
        yield f"{element_id}\t{json.dumps(content.decode('utf-8', 'surrogateescape'))}"


def parsed(line: str, root: str | None) -> Element:
    """Return the element of a line; `root` is the folder of all, None if their content follows."""
    if root is None:
        element_id, _, content = line.partition("\t")
        return Element(element_id, json.loads(content).encode("utf-8", "surrogateescape"))
    return Element(line, f"{root}/{line}" if root else line)
