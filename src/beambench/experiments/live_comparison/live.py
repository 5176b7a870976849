"""A live comparison from its request to what is stored: runs of all sides, and the documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from beambench.cancellation import Cancellation
from beambench.clock import Clock, SystemClock
from beambench.controller.results import Trouble
from beambench.controller.session import Announce, silent
from beambench.credentials.masking import MASK, masked
from beambench.errors import RunError, StoreError, UsageError
from beambench.experiments.comparison.document import new_comparison_id
from beambench.experiments.comparison.effects import Limits
from beambench.experiments.live_comparison.blocks import Block
from beambench.experiments.live_comparison.documents import Subject, documents_of, with_blocks
from beambench.experiments.live_comparison.known_noise import (
    expected_changes,
    like_runs,
    pooled_noise,
)
from beambench.experiments.live_comparison.measure import Measurement, measure
from beambench.experiments.live_comparison.sides import LiveSide
from beambench.experiments.live_comparison.width import METRICS, narrow_enough
from beambench.experiments.saving import RunSaver, Saved
from beambench.record.comparison import Comparison
from beambench.record.live_comparison import LiveSideState, LiveState
from beambench.request.benchmark import masked_override
from beambench.request.comparison import ComparisonRequest, masked_settings, with_labels
from beambench.store.run_store import RunStore

UNFINISHED = "unfinished"
"""In place of the id of a run that is stored when its session ends."""


@dataclass(frozen=True)
class FinishedComparison:
    """What came of a live comparison, and what became of it.

    Attributes:
        documents: one for each candidate.
        saved: the run of each side.
        errors: why documents are not stored.
    """

    documents: Sequence[Comparison]
    saved: Sequence[Saved]
    errors: Sequence[str] = ()


@dataclass
class LiveComparison:
    """A comparison that is measured now.

    Attributes:
        store: where it is kept after every block.
        saver: of the runs.
        limits: by what verdicts are given.
        earlier: the same comparison before it was resumed.
        tell: says something before the first pair.
    """

    request: ComparisonRequest
    store: RunStore
    saver: RunSaver
    cancelled: Cancellation
    limits: Limits
    announce: Announce = silent
    clock: Clock | None = None
    earlier: Comparison | None = None
    tell: Callable[[str], None] = lambda _: None
    _subject: Subject | None = None
    _errors: list[str] = field(default_factory=list)

    def carry_out(self) -> FinishedComparison:
        """Measure, and store what there is, whatever its status.

        Raises:
            UsageError: a preparation came upon what only the user can fix.
            RunError: there is no room to work in, or the environment is another one than before.
        """
        clock = self.clock or SystemClock(self.cancelled)
        created_at = self.earlier.created_at if self.earlier else clock.utc_now()
        comparison_id = (
            self.earlier.comparison_id if self.earlier else new_comparison_id(created_at)
        )
        labels = {"comparison": comparison_id}
        if self.request.schedule == "duet":  # its runs had half of the cores: no history has them
            labels["schedule"] = "duet"
        self.request = with_labels(self.request, labels)
        before = self.earlier.live.sides if self.earlier and self.earlier.live else {}
        self._subject = Subject(
            self.request, comparison_id, created_at, self.limits, self._state(before)
        )
        measurement = measure(
            self.request,
            self.cancelled,
            after_block=self._keep,
            is_enough=narrow_enough(self.request.budget),
            announce=self.announce,
            clock=clock,
            earlier=self._earlier_blocks(),
        )
        return self._finish(measurement)

    def _earlier_blocks(self) -> list[Block]:
        live = self.earlier.live if self.earlier is not None else None
        blocks = live.blocks if live is not None else []
        return [Block(block.index, block.repeats) for block in blocks]

    def _keep(self, blocks: Sequence[Block], sides: Sequence[LiveSide]) -> None:
        """Keep what there is so far: a controller that is killed loses no more than a block."""
        assert self._subject is not None
        if all(side.done == 0 for side in sides):
            self._begin(sides)
        trouble = Trouble("cancelled", "it is not finished")
        records = {
            side.name: side.record(trouble).model_copy(update={"run_id": UNFINISHED})
            for side in sides
        }
        subject = replace(self._subject, state=with_blocks(self._subject.state, blocks))
        self._put(documents_of(subject, Measurement(blocks, records, trouble))[:1])

    def _begin(self, sides: Sequence[LiveSide]) -> None:
        """Check that it is what it was, and say what can be expected of it."""
        states = {side.name: _state_of(side) for side in sides}
        self._check_sameness(states)
        machine = sides[0].environment.get("machine_digest")
        runs = like_runs(self.store, sides[0].side.request, machine)
        noise, budget = pooled_noise(runs), self.request.budget
        assert self._subject is not None
        self._subject = replace(self._subject, state=self._state(states), noise=noise)
        expected = expected_changes(noise, budget.pairs, self.limits)
        change = next((expected[name] for name in METRICS if name in expected), None)
        if change is not None and not budget.is_open_ended:
            self.tell(
                f"from {len(runs)} stored run{'s' if len(runs) > 1 else ''}: changes of throughput "
                f"of {100 * change:.2g} % or more are expected to be found with {budget.pairs} "
                "pairs"
            )

    def _check_sameness(self, states: Mapping[str, LiveSideState]) -> None:
        before = self.earlier.live.sides if self.earlier and self.earlier.live else {}
        for name, old in before.items():
            new = states[name]
            for what, was, is_now in (
                ("definition", old.definition_hash, new.definition_hash),
                ("environment (machine, Python, packages)", old.fingerprint, new.fingerprint),
                ("input", old.input_digest, new.input_digest),
            ):
                if was != is_now:
                    raise RunError(
                        f"{name}: its {what} is another one than in the first pairs "
                        f"({_short(was)}, now {_short(is_now)}): compare anew"
                    )

    def _state(self, sides: Mapping[str, LiveSideState]) -> LiveState:
        before = self.earlier.live.sides if self.earlier and self.earlier.live else {}
        return LiveState(
            request=kept_options(self.request.options),
            sides={
                name: side.model_copy(update={"runs": before[name].runs if name in before else []})
                for name, side in sides.items()
            },
        )

    def _finish(self, measurement: Measurement) -> FinishedComparison:
        assert self._subject is not None
        saved = [self.saver.save(record, []) for record in measurement.records.values()]
        state = self._subject.state
        sides = {
            name: side.model_copy(update={"runs": [*side.runs, measurement.records[name].run_id]})
            for name, side in state.sides.items()
        }
        state = state.model_copy(update={"sides": sides})
        if measurement.trouble is not None:
            state = with_blocks(state, measurement.blocks)
        documents = documents_of(replace(self._subject, state=state), measurement)
        self._errors.clear()  # of drafts, which these replace
        self._put(documents)
        if self._errors:
            self._rescue(documents)
        return FinishedComparison(documents, saved, list(self._errors))

    def _put(self, documents: Sequence[Comparison]) -> None:
        for document in documents:
            try:
                self.store.comparisons.put(document)
            except StoreError as error:  # what is measured goes on
                self._errors.append(str(error))

    def _rescue(self, documents: Sequence[Comparison]) -> None:
        """Write documents that the store did not take to the current folder."""
        for document in documents:
            file = Path(f"beambench-{document.comparison_id}.json")
            try:
                file.write_text(document.model_dump_json(indent=2), "utf-8")
                self._errors.append(f"the comparison was saved as {file}")
            except OSError as error:
                self._errors.append(f"saving it as {file} failed too: {error.strerror or error}")


def _state_of(side: LiveSide) -> LiveSideState:
    prepared = side.run.prepared.prepared if side.run.prepared is not None else None
    return LiveSideState(
        definition_hash=side.side.request.resolved.definition_hash,
        fingerprint=side.environment.get("fingerprint_digest"),
        input_digest=prepared.input_digest if prepared is not None else None,
    )


def _short(digest: str | None) -> str:
    return digest[:12] if digest is not None else "unknown"


def kept_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a request as they may be stored, without secrets."""
    kept = dict(options)
    kept["base"] = masked_settings(str(kept.get("base", "")))
    kept["candidates"] = [masked_settings(settings) for settings in kept.get("candidates", ())]
    kept["overrides"] = [masked_override(override) for override in kept.get("overrides", ())]
    kept["beam_flags"] = masked(list(kept.get("beam_flags", ())))
    kept["command"] = masked(list(kept.get("command", ())))
    return kept


def resumable(store: RunStore, comparison_id: str) -> Comparison:
    """Return a comparison whose pairs are not all measured.

    Raises:
        UsageError: there is none of that id, or nothing of it is missing.
    """
    comparison = store.comparisons.get(comparison_id)
    if comparison is None:
        raise UsageError(f"--resume {comparison_id}: no such comparison in this store")
    if comparison.live is None:
        raise UsageError(
            f"--resume {comparison_id}: was not measured in turns, or is of another candidate: "
            "name the comparison of the first one"
        )
    if comparison.status == "succeeded":
        raise UsageError(f"--resume {comparison_id}: is complete: compare anew for more pairs")
    if MASK in str(comparison.live.request):
        raise UsageError(
            f"--resume {comparison_id}: was given secrets, which are not kept: compare anew"
        )
    return comparison
