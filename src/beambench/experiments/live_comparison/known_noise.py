"""What a comparison is expected to detect, from the noise of runs that are stored."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from beambench.analysis.comparison import detectable
from beambench.experiments.comparison.effects import judged_metrics
from beambench.record.environment import read_environment
from beambench.record.run_record import RunRecord
from beambench.request.benchmark import RunRequest
from beambench.store.run_store import RunStore

MOST_RUNS = 20
"""Runs that are read at most, the newest first."""


def like_runs(store: RunStore, request: RunRequest, machine: str | None) -> list[RunRecord]:
    """Return stored runs of a benchmark as it is now, on a machine like this one."""
    identity = request.identity()
    recent = store.history(
        request.name,
        limit=MOST_RUNS,
        variant=identity["variant"],
        profile=identity["profile"],
    )
    return [
        run
        for run in recent
        if run.status == "succeeded"
        and run.definition_hash == identity["definition_hash"]
        and read_environment(run.environment).machine_digest == machine
    ]


def expected_changes(runs: Sequence[RunRecord], pairs: int, alpha: float) -> dict[str, float]:
    """Return the least relative change of each metric that pairs are expected to show.

    The variance of the logarithms within each run is pooled over the runs; that of a pair's
    difference is twice as much. Verdicts are corrected for the number of metrics, and so is this.

    Args:
        runs: stored before.
        pairs: that are to be measured.
        alpha: of the test.
    """
    sums: dict[str, float] = {}
    freedom: dict[str, int] = {}
    for run in runs:
        repeats = [repeat.metrics for repeat in run.repeats if repeat.counts]
        for name in set().union(*repeats):
            values = [metrics[name].value for metrics in repeats if name in metrics]
            if len(values) < 2 or min(values) <= 0:
                continue
            logarithms = [math.log(value) for value in values]
            sums[name] = sums.get(name, 0.0) + statistics.variance(logarithms) * (len(values) - 1)
            freedom[name] = freedom.get(name, 0) + len(values) - 1
    names = judged_metrics(sums)
    return {
        name: detectable(math.sqrt(2 * sums[name] / freedom[name]), pairs, alpha=alpha / len(names))
        for name in names
    }
