"""Blocks of a live comparison: a repeat of each side in an order that is mirrored in the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from beambench.record.run_record import Repeat
from beambench.times import parse_time

S = TypeVar("S")


@dataclass(frozen=True)
class Block:
    """One repeat of each side, measured next to each other: a pair, with two sides.

    Attributes:
        index: from 0, in the order of their execution.
        repeats: by side, in the order in which they ran; of a duet in that of their cores.
    """

    index: int
    repeats: Mapping[str, Repeat]

    @property
    def disturbed(self) -> list[str]:
        """Sides whose repeat other work on the machine disturbed."""
        return [name for name, repeat in self.repeats.items() if repeat.is_disturbed]

    @property
    def overlap(self) -> float:
        """Share of its time, from the first begin to the last end, in which all sides ran."""
        begins = [parse_time(repeat.started_at) for repeat in self.repeats.values()]
        ends = [parse_time(repeat.finished_at) for repeat in self.repeats.values()]
        whole = (max(ends) - min(begins)).total_seconds()
        common = (min(ends) - max(begins)).total_seconds()
        return max(0.0, common) / whole if whole > 0 else 1.0


IsEnough = Callable[[Sequence[Block]], bool]
"""Tells from the blocks that count whether a comparison can end before its last one."""


def order_of(sides: Sequence[S], index: int) -> list[S]:
    """Return the sides in the order of a block: A B, then B A, so that drift cancels."""
    return list(sides) if index % 2 == 0 else list(reversed(sides))


def undisturbed(blocks: Sequence[Block], *, accepts_disturbed: bool) -> list[Block]:
    """Return the blocks that nothing is known to have disturbed; all, where that is accepted."""
    return [block for block in blocks if accepts_disturbed or not block.disturbed]


def counted(blocks: Sequence[Block], *, accepts_disturbed: bool, least: int) -> list[Block]:
    """Return the blocks that values are taken from.

    Args:
        blocks: all that were measured.
        accepts_disturbed: disturbed ones count like others.
        least: blocks that a verdict needs: with fewer undisturbed ones there is none, and all give
            values.
    """
    calm = undisturbed(blocks, accepts_disturbed=accepts_disturbed)
    return calm if len(calm) >= least else list(blocks)
