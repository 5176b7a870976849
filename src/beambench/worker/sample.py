"""Which elements are compared with the bare loop."""

from __future__ import annotations

import random
from collections.abc import Sequence

from beambench.definition.plan import SAMPLE_SIZE


def sample_of(ids: Sequence[str], seed: int) -> list[str]:
    """Choose the elements to compare with the reference, in an order unlike the pipeline's.

    Shuffled, so that a handler which gives back an earlier output cannot agree with itself. With
    the first and the last element, so that one which mixes up an end of every batch is caught
    however few batches there are.
    """
    source = random.Random(seed)  # noqa: S311
    ends = list(dict.fromkeys([*ids[:1], *ids[-1:]]))
    others = [element_id for element_id in dict.fromkeys(ids) if element_id not in ends]
    chosen = ends + source.sample(others, min(SAMPLE_SIZE - len(ends), len(others)))
    source.shuffle(chosen)
    if len(chosen) > 1 and chosen[0] == ids[0]:
        chosen.reverse()
    return chosen
