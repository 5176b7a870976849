"""Ending a comparison once it is known well enough, without peeking for free.

The interval is looked at after a few numbers of pairs that are fixed beforehand, and every look is
at 95 % for all of them together (Bonferroni). So is the interval of the result, and its verdict.
"""

from __future__ import annotations

from collections.abc import Sequence

from beambench.analysis.comparison import compare_pairs, widened
from beambench.experiments.live_comparison.blocks import Block, IsEnough
from beambench.request.comparison import BASE, CONTROL, Budget

METRICS = ("throughput_elements", "throughput_inferred")
"""The first that all repeats have is the one whose ratio is looked at."""


def narrow_enough(budget: Budget) -> IsEnough:
    """Return what tells whether the interval of every candidate is within the wanted width."""
    looks = budget.looks()

    def is_enough(blocks: Sequence[Block]) -> bool:
        if budget.width is None or len(blocks) not in looks:
            return False
        names = [name for name in blocks[0].repeats if name not in (BASE, CONTROL)]
        reaches = [reach_of(blocks, name, len(looks)) for name in names or [CONTROL]]
        return all(reach is not None and reach < budget.width for reach in reaches)

    return is_enough


def reach_of(blocks: Sequence[Block], side: str, looks: int) -> float | None:
    """Return how far the interval of the ratio goes from it, as a fraction of it.

    Args:
        blocks: two or more.
        side: that is compared with the base.
        looks: how many the 95 % are shared by.
    """
    for name in METRICS:
        base, candidate = (
            [
                block.repeats[one].metrics[name].value
                for block in blocks
                if name in block.repeats[one].metrics
            ]
            for one in (BASE, side)
        )
        if len(base) == len(candidate) == len(blocks):
            effect = widened(compare_pairs(base, candidate, higher_is_better=True), looks)
            return None if effect.high is None else effect.high / effect.ratio - 1
    return None
