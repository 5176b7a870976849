"""The batch sizes that were asked for, beside those that were seen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from beambench.definition.beam_flags import BeamFlags
from beambench.record.observation import Histogram

LIMITS = ("min_batch_size", "max_batch_size")


def limits_of(handler: Any) -> dict[str, int]:
    """Return the batch sizes that a handler asks of Beam; none if the pipeline forms batches."""
    if handler.should_skip_batching():
        return {}
    asked = handler.batch_elements_kwargs()
    if asked.get("max_batch_weight") is not None or asked.get("element_size_fn") is not None:
        return {}  # sizes are of another kind then
    return {name: asked[name] for name in LIMITS if isinstance(asked.get(name), int)}


def outside(asked: Mapping[str, int], sizes: Histogram) -> list[str]:
    """Say in which way no batch, or some, had the size that was asked for.

    Args:
        asked: `min_batch_size` and `max_batch_size`, each if it was asked for.
        sizes: batches of each size.
    """
    if not sizes:
        return []
    low, high = asked.get("min_batch_size"), asked.get("max_batch_size")
    seen, said = seen_sizes(sizes), []
    if low is not None and max(sizes) < low:
        said.append(f"min_batch_size {low} was reached by no batch: {seen}")
    if high is not None and max(sizes) > high:
        count = sum(number for size, number in sizes.items() if size > high)
        said.append(f"max_batch_size {high} was exceeded by {count} batches: {seen}")
    return said


def outside_flags(argv: Sequence[str], asked: Mapping[str, int], sizes: Histogram) -> list[str]:
    """Say which flags of a pipeline ask for a batch size that its batches do not have.

    Args:
        argv: flags of the pipeline.
        asked: what its handlers ask of Beam: a flag with such a value arrived there.
        sizes: batches of each size.
    """
    seen = seen_sizes(sizes)
    return [
        f"{name} {size}: {seen}"
        for name, size in _batch_size_flags(argv)
        if sizes and size not in asked.values() and not _is_met(name, size, sizes)
    ]


def _batch_size_flags(argv: Sequence[str]) -> Iterator[tuple[str, int]]:
    for name, value in BeamFlags(argv):
        named = re.fullmatch(r"(\w*[_-])?batch[_-]size", name)
        if named and value is not None and re.fullmatch(r"\d{1,9}", value):
            yield f"--{name}", int(value)


def _is_met(name: str, size: int, sizes: Histogram) -> bool:
    if "min" in name:
        return max(sizes) >= size
    return max(sizes) <= size if "max" in name else size in sizes


def seen_sizes(sizes: Histogram) -> str:
    """Return the batch sizes that were seen in words."""
    if not sizes:
        return "no batch was inferred"
    low, high = min(sizes), max(sizes)
    return f"batches had {low if low == high else f'{low} to {high}'} elements"
