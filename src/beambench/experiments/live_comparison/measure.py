"""Measuring the sides of a comparison in turns, until its budget is used or the answer is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

from beambench.cancellation import Cancellation
from beambench.clock import Clock, SystemClock
from beambench.controller.results import Trouble
from beambench.controller.session import Announce, silent
from beambench.experiments.benchmark import BenchmarkRun
from beambench.experiments.live_comparison.blocks import (
    Block,
    IsEnough,
    counted,
    order_of,
    undisturbed,
)
from beambench.experiments.live_comparison.sides import LiveSide, SharedSteps, opened
from beambench.machine.cores import Cores, equal_parts, usable_cores
from beambench.record.run_record import Repeat, RunRecord
from beambench.request.comparison import LEAST_PAIRS, ComparisonRequest


@dataclass(frozen=True)
class Measurement:
    """What came of a live comparison.

    Attributes:
        blocks: all that are complete, those of an earlier session first.
        records: the run of each side by name, of this session.
        trouble: what ended it before its time.
        warnings: what a reader must know.
    """

    blocks: Sequence[Block]
    records: Mapping[str, RunRecord]
    trouble: Trouble | None = None
    warnings: Sequence[str] = field(default_factory=tuple)


AfterBlock = Callable[[Sequence[Block], Sequence[LiveSide]], None]
"""Called with all blocks so far, first with those of an earlier session once all are prepared."""


def measure(
    request: ComparisonRequest,
    cancelled: Cancellation,
    *,
    after_block: AfterBlock,
    is_enough: IsEnough,
    announce: Announce = silent,
    clock: Clock | None = None,
    earlier: Sequence[Block] = (),
) -> Measurement:
    """Prepare every side once, measure block after block, and return the runs of all sides.

    Args:
        request: the sides and the budget.
        cancelled: ends it; what is complete counts.
        after_block: keeps what there is so far.
        is_enough: tells from the blocks that count whether the answer is known.
        announce: is told of each step.
        clock: by which it waits and is dated.
        earlier: blocks of a session before this one, which is resumed.

    Raises:
        UsageError: a preparation came upon what only the user can fix.
        RunError: there is no room to work in.
    """
    clock = clock or SystemClock(cancelled)
    deadline = clock.now() + request.time_limit
    missing = request.budget.pairs - len(earlier)
    prepared = sum(BenchmarkRun(side.request).experiment().steps_before for side in request.sides)
    steps = SharedSteps(announce, prepared + missing * len(request.sides))
    with ExitStack() as stack:
        sides = [
            stack.enter_context(
                opened(
                    side,
                    cancelled,
                    steps.of(side.name),
                    clock,
                    deadline,
                    keeps_cut=request.budget.seconds is None,
                )
            )
            for side in request.sides
        ]
        turns = _Turns(request, sides, cancelled, clock, deadline, list(earlier))
        turns.run(after_block, is_enough)
        return turns.measurement()


@dataclass
class _Turns:
    """The sides of one session, and what they have measured."""

    request: ComparisonRequest
    sides: Sequence[LiveSide]
    cancelled: Cancellation
    clock: Clock
    deadline: float
    blocks: list[Block]
    trouble: Trouble | None = None
    culprit: LiveSide | None = None
    warnings: list[str] = field(default_factory=list)
    _longest: float = 0.0

    def __post_init__(self) -> None:
        self._earlier = len(self.blocks)
        self._parts = _parts(self.request, len(self.sides))

    def run(self, after_block: AfterBlock, is_enough: IsEnough) -> None:
        """Prepare, and measure until the budget is used, the answer is known, or trouble."""
        for side in self.sides:
            trouble = side.prepare(self._parts[0] if self._parts else None)
            if trouble is not None:
                self._end(side, trouble)
                return
        after_block(self.blocks, self.sides)
        while self._goes_on(is_enough):
            began = self.clock.now()
            block = self._measured()
            if block is None:
                return
            self._longest = max(self._longest, self.clock.now() - began)
            self.blocks.append(block)
            after_block(self.blocks, self.sides)

    def _goes_on(self, is_enough: IsEnough) -> bool:
        budget = self.request.budget
        calm = undisturbed(self.blocks, accepts_disturbed=budget.accepts_disturbed)
        if len(calm) >= budget.pairs or len(self.blocks) >= budget.pairs + budget.retries:
            return False
        if is_enough(calm):
            return False
        if self.cancelled.is_set():
            self.trouble = Trouble("cancelled", f"cancelled after {len(self.blocks)} pairs")
            return False
        if budget.seconds is None or self.clock.now() + self._longest <= self.deadline:
            return True
        return len(self.blocks) == self._earlier and self.clock.now() < self.deadline

    def _measured(self) -> Block | None:
        """Measure a block; None where one of its repeats did not succeed."""
        index = len(self.blocks)
        sides = order_of(self.sides, index)
        repeats: dict[str, Repeat] = {}
        for side, repeat in self._at_once(sides) if self._parts else _in_turns(sides):
            if isinstance(repeat, Trouble):
                self._cut(side, repeat, repeats)
                return None
            repeats[side.name] = repeat
        return Block(index, repeats)

    def _at_once(self, sides: Sequence[LiveSide]) -> list[tuple[LiveSide, Repeat | Trouble]]:
        """Carry out a repeat of each side at the same time, each on cores of its own.

        The order of the sides, which is mirrored from block to block, gives them their cores: one
        core that is slower than another is in both sides as often.
        """
        with ThreadPoolExecutor(len(sides)) as pool:
            repeats = list(pool.map(LiveSide.repeat, sides, self._parts))
        # Trouble last, so that what there is of the other side is known and left out.
        results = zip(sides, repeats, strict=True)
        return sorted(results, key=lambda result: isinstance(result[1], Trouble))

    def _cut(self, side: LiveSide, trouble: Trouble, done: Mapping[str, Repeat]) -> None:
        """Leave out the repeats of a block that did not become whole."""
        for other in self.sides:
            if other.name in done:
                other.exclude(
                    other.done - 1, f"its pair is missing: {side.name}: {trouble.message}"
                )
        if trouble.status == "timed_out" and not side.keeps_cut and self.blocks:
            self.warnings.append(
                f"{side.name}: {trouble.message}: the budget of time ended within a pair"
            )
        else:
            self._end(side, trouble)

    def _end(self, side: LiveSide, trouble: Trouble) -> None:
        self.culprit = side
        self.trouble = Trouble(trouble.status, f"{side.name}: {trouble.message}")

    def measurement(self) -> Measurement:
        """Return what there is, with the runs of all sides."""
        self._set_aside()
        return Measurement(
            self.blocks,
            {side.name: side.record(self._trouble_of(side)) for side in self.sides},
            self.trouble,
            self.warnings,
        )

    def _set_aside(self) -> None:
        """Leave disturbed repeats out of the runs where others count in their place."""
        accepts = self.request.budget.accepts_disturbed
        counting = counted(self.blocks, accepts_disturbed=accepts, least=LEAST_PAIRS)
        for block in self.blocks[self._earlier :]:
            if block not in counting:
                for side in self.sides:
                    side.exclude(
                        block.index - self._earlier,
                        f"other work disturbed its pair ({', '.join(block.disturbed)})",
                    )

    def _trouble_of(self, side: LiveSide) -> Trouble | None:
        """Return what ended the run of a side: its own trouble, or that of another."""
        if self.trouble is None:
            return None
        if self.culprit is side:
            return Trouble(self.trouble.status, self.trouble.message.partition(": ")[2])
        if self.trouble.status == "failed":
            return Trouble("cancelled", f"the comparison ended: {self.trouble.message}")
        return self.trouble


def _in_turns(sides: Sequence[LiveSide]) -> Iterator[tuple[LiveSide, Repeat | Trouble]]:
    """Carry out a repeat of one side after the other, as they are asked for."""
    for side in sides:
        yield side, side.repeat()


def _parts(request: ComparisonRequest, sides: int) -> Sequence[Cores]:
    """Return the cores of each side of a duet; empty where the sides take turns on all of them."""
    cores = usable_cores()
    if request.schedule == "interleaved" or cores is None:
        return []
    return equal_parts(cores, sides)
