"""What a comparison is expected to detect, from the noise of runs that are stored."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from beambench.analysis.comparison import LEAST_PAIRS, detectable
from beambench.experiments.comparison.effects import Limits, judged_metrics
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


def pooled_noise(runs: Sequence[RunRecord]) -> dict[str, float]:
    """Return the noise of each metric that is compared, from the repeats within runs.

    It is the standard deviation of the logarithms of the ratios of pairs: the variance of the
    logarithms within a run is pooled over the runs, and that of a difference is twice as much.
    """
    sums: dict[str, float] = {}
    freedom: dict[str, int] = {}
    for run in runs:
        repeats = [repeat.metrics for repeat in run.repeats if repeat.counts]
        for name in set().union(*repeats):
            values = [repeat[name].value for repeat in repeats if name in repeat]
            if len(values) < 2 or min(values) <= 0:
                continue
            logarithms = [math.log(value) for value in values]
            sums[name] = sums.get(name, 0.0) + statistics.variance(logarithms) * (len(values) - 1)
            freedom[name] = freedom.get(name, 0) + len(values) - 1
    return {name: math.sqrt(2 * sums[name] / freedom[name]) for name in judged_metrics(sums)}


def expected_changes(noise: Mapping[str, float], pairs: int, limits: Limits) -> dict[str, float]:
    """Return the least relative change of each metric that pairs are expected to show.

    The tests are corrected for all metrics, and for every look at the interval. Empty with fewer
    pairs than a verdict needs.
    """
    if pairs < LEAST_PAIRS:
        return {}
    alpha = limits.alpha / limits.looks / max(1, len(noise))
    return {name: detectable(one, pairs, alpha=alpha) for name, one in noise.items()}
