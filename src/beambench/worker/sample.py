"""Which elements are compared with the bare loop."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from beambench.definition.plan import FURTHER_SIZE, SAMPLE_SIZE

SHARE_OF_RUN = 0.05
"""What the further elements may cost of a run's time."""

BATCH_GAIN = 16
"""How many times faster an element is in a batch, at most: the run's time is a lower bound then."""


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


def further_of(ids: Sequence[str], sample: Sequence[str], seed: int) -> list[str]:
    """Choose further elements than the sample's, in a random order."""
    sampled = set(sample)
    others = [element_id for element_id in dict.fromkeys(ids) if element_id not in sampled]
    source = random.Random(seed + 1)  # noqa: S311
    return source.sample(others, min(FURTHER_SIZE, len(others)))


class Budget:
    """Tells when the reference has taken as many further elements as cost little of the run.

    The run's time is taken to be that of its repeats at the least: each starts a worker and loads
    a model, as the reference did, and takes `BATCH_GAIN` times less than it for an element.

    Attributes:
        sample: elements that are taken whatever they cost.
        count: elements of the input.
        repeats: of the pipeline.
        started: seconds that the worker took until its first element.
        now: seconds, from any start.
    """

    def __init__(
        self,
        sample: int,
        count: int,
        repeats: int,
        started: Callable[[], float],
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._sample, self._count, self._repeats = sample, count, repeats
        self._started, self._now = started, now
        self._start_up = self._begin = self._sampled = self._seconds = 0.0

    def is_spent(self, done: int) -> bool:
        """Tell whether no element is to follow the `done` ones. Called before each of them."""
        if not done:
            self._start_up, self._begin = self._started(), self._now()
        if done < self._sample:
            return False
        if done == self._sample:
            self._sampled = self._now()
            element = (self._sampled - self._begin) / self._sample if self._sample else 0.0
            repeat = self._start_up + self._count * element / BATCH_GAIN
            self._seconds = SHARE_OF_RUN * self._repeats * repeat
        return self._now() - self._sampled >= self._seconds
