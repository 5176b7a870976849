"""Which runs may be a baseline together, and which run is checked against one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from beambench.errors import UsageError
from beambench.record.baseline import LEAST_RUNS, Baseline
from beambench.watch.series import HistoricRun, group_of, kind_of, of_duet, unfit

Run = TypeVar("Run", bound=HistoricRun)


def make_baseline(name: str, runs: Sequence[HistoricRun], created_at: str) -> Baseline:
    """Return the baseline of runs.

    Raises UsageError for fewer than three, for one that did not finish its work or whose work is
    not proven, and for runs that are unlike each other.
    """
    ids = [run.run_id for run in runs]
    if len(set(ids)) < LEAST_RUNS:
        raise UsageError(
            f"baseline {name}: {len(set(ids))} runs: give {LEAST_RUNS} or more, one may be lucky"
        )
    for run in runs:
        reason = unfit(run)
        if reason is not None:
            raise UsageError(f"baseline {name}: run {run.run_id}: {reason}: leave it out")
        unlike = differences(runs[0], run)
        if unlike:
            raise UsageError(
                f"baseline {name}: runs {runs[0].run_id} and {run.run_id} differ in "
                f"{', '.join(unlike)}: give runs that are alike"
            )
    return Baseline(
        name=name, benchmark=runs[0].benchmark, created_at=created_at, run_ids=sorted(set(ids))
    )


def candidate_of(baseline: Baseline, first: HistoricRun, runs: Iterable[Run]) -> Run | None:
    """Return the newest run of the baseline's kind that is not in it, None without one.

    A run that was measured in a duet is none.

    Args:
        baseline: runs of which are left out.
        first: a run of it.
        runs: of the benchmark, the newest first.
    """
    return next(
        (
            run
            for run in runs
            if run.run_id not in baseline.run_ids
            and kind_of(run) == kind_of(first)
            and not of_duet(run)
        ),
        None,
    )


def differences(base: HistoricRun, other: HistoricRun) -> list[str]:
    """Return the names of what keeps two runs from being of one history."""
    names = [
        name
        for name, ours, theirs in zip(
            ("variant", "profile", "runner", "kind of input", "weights"),
            kind_of(base),
            kind_of(other),
            strict=True,
        )
        if ours != theirs
    ]
    names += [
        name
        for name, ours, theirs in zip(
            ("record schema", "definition", "input", "machine"),
            group_of(base),
            group_of(other),
            strict=True,
        )
        if ours != theirs
    ]
    return (["benchmark"] if base.benchmark != other.benchmark else []) + names
