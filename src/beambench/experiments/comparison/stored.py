"""Comparing two runs of the store."""

from __future__ import annotations

from beambench.clock import utc_now
from beambench.errors import UsageError
from beambench.experiments.comparison.document import Circumstances, ComparedRun, make_comparison
from beambench.experiments.comparison.effects import Limits
from beambench.experiments.comparison.likeness import differences, is_refused, obstacle
from beambench.record.comparison import Comparison
from beambench.record.run_record import RunRecord

APART = (
    "the two runs were measured at different times: what changed on the machine between them is in "
    "the ratios and in no interval"
)


def compare_stored(
    base: RunRecord, candidate: RunRecord, limits: Limits, *, allow_different: bool
) -> Comparison:
    """Compare the repeats of two runs.

    Raises:
        UsageError: it is one run, or they are not alike or one did not do its work, and that is not
            allowed.
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
    return make_comparison(
        ComparedRun(base),
        ComparedRun(candidate),
        Circumstances(
            schedule="stored",
            created_at=utc_now(),
            limits=limits,
            differences=unlike,
            warnings=[APART],
        ),
    )
