"""Comparing two runs of the store."""

from __future__ import annotations

from collections.abc import Iterable

from beambench.analysis.comparison import LEAST_PAIRS
from beambench.clock import utc_now
from beambench.errors import UsageError
from beambench.experiments.comparison.cost import priced
from beambench.experiments.comparison.document import (
    Circumstances,
    ComparedRun,
    counted_repeats,
    make_comparison,
)
from beambench.experiments.comparison.effects import Limits
from beambench.experiments.comparison.likeness import differences, is_refused, obstacle
from beambench.record.comparison import Comparison
from beambench.record.run_record import RunRecord
from beambench.store.run_store import RunStore

NEWEST = 30
"""Runs of the base's benchmark that are looked through for those like it."""


def compare_stored(
    store: RunStore,
    base: RunRecord,
    candidate: RunRecord,
    limits: Limits,
    *,
    allow_different: bool,
) -> Comparison:
    """Compare the repeats of two runs, and store that.

    Raises:
        UsageError: it is one run, or they are not alike or one did not do its work, and that is not
            allowed.
        StoreError: the store cannot be read or written.
    """
    if base.run_id == candidate.run_id:
        raise UsageError(f"run {base.run_id} cannot be compared with itself: name two runs")
    unlike = differences(base, candidate)
    problems = [*filter(None, map(obstacle, filter(is_refused, (base, candidate)))), *unlike]
    if problems and not allow_different:
        raise UsageError(
            f"runs {base.run_id} and {candidate.run_id} are not compared: {'; '.join(problems)}: "
            "name runs that are alike, or give --allow-different"
        )
    newest = store.history(base.benchmark, limit=NEWEST, variant=base.variant, profile=base.profile)
    others = [run for run in newest if run.run_id not in (base.run_id, candidate.run_id)]
    alike = _like(base, others)
    comparison = make_comparison(
        ComparedRun(priced(base)),
        ComparedRun(priced(candidate)),
        Circumstances(
            schedule="stored",
            created_at=utc_now(),
            limits=limits,
            differences=unlike,
            warnings=[_warning(len(alike))],
            other_runs=[priced(run) for run in alike],
        ),
    )
    store.comparisons.add(comparison)
    return comparison


def _like(base: RunRecord, runs: Iterable[RunRecord]) -> list[RunRecord]:
    """Return the runs that are like the base, did their work and were not disturbed."""
    return [
        run
        for run in runs
        if obstacle(run) is None
        and not differences(base, run)
        and not any(repeat.is_disturbed for repeat in counted_repeats(run))
    ]


def _warning(other_runs: int) -> str:
    """Say what is known of how much two runs of the same differ."""
    apart = "the two runs were measured at different times"
    if other_runs >= LEAST_PAIRS:
        return f"{apart}: the intervals allow for how much {other_runs} other runs like base differ"
    return (
        f"{apart}: what changed on the machine between them is in the ratios and in no interval, "
        f"as fewer than {LEAST_PAIRS} other runs like base are stored"
    )
