"""The documents of a live comparison: one of each candidate beside the base."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from beambench.experiments.comparison.document import Circumstances, ComparedRun, make_comparison
from beambench.experiments.comparison.effects import Limits, RepeatPair
from beambench.experiments.comparison.likeness import differences
from beambench.experiments.live_comparison.blocks import Block, counted
from beambench.experiments.live_comparison.known_noise import expected_changes
from beambench.experiments.live_comparison.measure import Measurement
from beambench.record.comparison import Comparison, SideName
from beambench.record.live_comparison import LiveState, MeasuredBlock
from beambench.record.run_record import RunRecord
from beambench.request.comparison import (
    BASE,
    CONTROL,
    LEAST_PAIRS,
    ComparisonRequest,
    settings_of,
)

LEAST_OVERLAP = 0.8
"""Share of the time of a duet's pair, at its median, in which both sides should run."""


@dataclass(frozen=True)
class Subject:
    """What is compared, and how.

    Attributes:
        comparison_id: of the first candidate's document; others have their side's name after it.
        created_at: when the comparison began, in UTC.
        limits: by what verdicts are given.
        state: what it needs to be resumed.
        noise: of pairs, by metric, as it was known beforehand.
    """

    request: ComparisonRequest
    comparison_id: str
    created_at: str
    limits: Limits
    state: LiveState
    noise: Mapping[str, float] = field(default_factory=dict)


def documents_of(subject: Subject, measurement: Measurement) -> list[Comparison]:
    """Return the comparison of each candidate with the base, the first candidate's first."""
    others = [side.name for side in subject.request.sides if side.name != BASE]
    return [
        _document(subject, measurement, name, is_first=number == 0)
        for number, name in enumerate(_control_last(others))
    ]


def _control_last(names: Sequence[str]) -> list[str]:
    return sorted(names, key=lambda name: name == CONTROL)


def _document(
    subject: Subject, measurement: Measurement, name: str, *, is_first: bool
) -> Comparison:
    accepts = subject.request.budget.accepts_disturbed
    blocks = counted(measurement.blocks, accepts_disturbed=accepts, least=LEAST_PAIRS)
    trouble = measurement.trouble
    base, candidate = (_run(subject.request, side, measurement.records) for side in (BASE, name))
    comparison = make_comparison(
        base,
        candidate,
        Circumstances(
            schedule=subject.request.schedule,
            created_at=subject.created_at,
            pairs=[_pair(block, name) for block in blocks],
            status=trouble.status if trouble is not None else "succeeded",
            limits=replace(
                subject.limits,
                mde_before=expected_changes(subject.noise, len(blocks), subject.limits),
            ),
            accepts_disturbed=accepts,
            differences=differences(base.record, candidate.record),
            warnings=[
                *measurement.warnings,
                *_set_aside(measurement.blocks, blocks),
                *_apart(subject.request, blocks),
                *_ending(subject, measurement),
            ],
        ),
    )
    suffix = "" if is_first else f"-{name}"
    update = {"comparison_id": f"{subject.comparison_id}{suffix}"}
    return comparison.model_copy(update={**update, "live": subject.state if is_first else None})


def _run(request: ComparisonRequest, name: str, records: Mapping[str, RunRecord]) -> ComparedRun:
    side = next(side for side in request.sides if side.name == name)
    settings = dict(settings_of(side.shown_settings, name))
    if side.request.python is not None:
        settings["python"] = side.request.python
    if name == CONTROL:
        settings["control"] = "the base again"
    return ComparedRun(records[name], settings)


def _pair(block: Block, name: str) -> RepeatPair:
    words: dict[str, SideName] = {BASE: "base", name: "candidate"}
    return RepeatPair(
        block=block.index,
        order=[words[side] for side in block.repeats if side in words],
        base=block.repeats[BASE],
        candidate=block.repeats[name],
    )


def _set_aside(blocks: Sequence[Block], counting: Sequence[Block]) -> list[str]:
    if len(counting) == len(blocks):
        return []
    return [
        f"{len(blocks) - len(counting)} of {len(blocks)} pairs are left out: other work on the "
        "machine disturbed them"
    ]


def _apart(request: ComparisonRequest, blocks: Sequence[Block]) -> list[str]:
    """Warn where the repeats of a duet had less time in common than their ratio needs."""
    if request.schedule != "duet" or not blocks:
        return []
    overlap = statistics.median(block.overlap for block in blocks)
    if overlap >= LEAST_OVERLAP:
        return []
    return [
        f"the sides of a pair ran at the same time for {100 * overlap:.0f} % of it: in the rest "
        "one of them had the machine to itself; for sides so unlike use --schedule interleaved"
    ]


def _ending(subject: Subject, measurement: Measurement) -> list[str]:
    """Say how it ended: by a look at the interval, or before its time."""
    if measurement.trouble is not None:
        return [
            f"{measurement.trouble.message}: `beambench compare --resume {subject.comparison_id}` "
            "goes on"
        ]
    looks = subject.limits.looks
    if looks == 1:
        return []
    return [
        f"--until may look at the interval {looks} times: intervals and verdicts allow for all of "
        "them, and are wider for it"
    ]


def with_blocks(state: LiveState, blocks: Sequence[Block]) -> LiveState:
    """Return the state with the blocks that were measured so far."""
    measured = [MeasuredBlock(index=block.index, repeats=dict(block.repeats)) for block in blocks]
    return state.model_copy(update={"blocks": measured})
