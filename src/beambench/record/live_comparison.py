"""What a live comparison keeps while it is measured, so that it can be resumed."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from beambench.record.run_record import Part, Repeat


class MeasuredBlock(Part):
    """One repeat of each side, measured next to each other.

    Attributes:
        index: from 0, in the order of their execution.
        repeats: by side, in the order in which they ran.
    """

    index: int
    repeats: dict[str, Repeat]


class LiveSideState(Part):
    """A side, as far as it must be the same when the comparison is resumed.

    Attributes:
        fingerprint: of the environment of its workers; None is unknown.
        input_digest: of the contents of the input; None is unknown.
        runs: ids of its runs, one for each session that ended.
    """

    definition_hash: str
    fingerprint: str | None = None
    input_digest: str | None = None
    runs: list[str] = Field(default_factory=list)


class LiveState(Part):
    """A live comparison.

    Attributes:
        request: what was asked for.
        sides: all of them by name, in the order of the first block.
        blocks: that are complete, as long as the comparison is not.
    """

    request: dict[str, Any]
    sides: dict[str, LiveSideState]
    blocks: list[MeasuredBlock] = Field(default_factory=list)
