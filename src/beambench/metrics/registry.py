"""Which metrics there are: those of this folder, and those that distributions bring along.

Their order is that of a run's summary. What a run records, shows, exports and publishes, and the
page of all metrics, follow from it.
"""

from __future__ import annotations

from dataclasses import replace

from beambench.definition.entry_points import (
    METRICS,
    EntryPoint,
    entry_of,
    entry_points,
    load_entry,
)
from beambench.errors import UsageError
from beambench.metrics import (
    batches,
    efficiency,
    imported,
    quality,
    resources,
    stages,
    throughput,
    times,
    tokens,
)
from beambench.metrics.base import Metric

BUILT_IN: tuple[Metric, ...] = (
    *throughput.METRICS,
    *stages.METRICS,
    *batches.METRICS,
    *times.METRICS,
    *resources.METRICS,
    *quality.METRICS,
    *tokens.METRICS,
    *efficiency.METRICS,
)
BY_NAME = {metric.name: metric for metric in BUILT_IN}
OF_BEAM = tuple(
    metric for metric in (*BUILT_IN, *imported.METRICS) if metric.beam_label is not None
)
"""What rows of Beam's own suite have too."""

_RESERVED = {metric.name for metric in (*BUILT_IN, *imported.METRICS)}


def metrics() -> tuple[Metric, ...]:
    """Return all metrics that a run computes; what is wrong with a distribution is passed over."""
    return (*BUILT_IN, *_of_distributions()[0])


def problems() -> list[str]:
    """Return a line for each metric of a distribution that cannot be had."""
    return _of_distributions()[1]


def check_metrics() -> None:
    """Refuse to begin a run without a metric that a distribution was installed for.

    Raises:
        UsageError: a name is taken, or what the entry point names is no metric.
    """
    for problem in problems():
        raise UsageError(problem)


def known_names() -> set[str]:
    """Return the names of all metrics that a record of this installation can have."""
    return _RESERVED | {metric.name for metric in metrics()}


def _of_distributions() -> tuple[list[Metric], list[str]]:
    loaded, wrong = [], []
    for entry in entry_points(METRICS)[0]:
        try:
            loaded.append(_loaded(entry))
        except UsageError as error:
            wrong.append(str(error))
    return loaded, wrong


def _loaded(entry: EntryPoint) -> Metric:
    entry_of(METRICS, "metric", entry.name, _RESERVED, "uninstall one")
    metric = load_entry(entry, Metric)
    problem = metric.problem()
    if problem is not None:
        raise UsageError(f"{entry}: {problem}")
    return replace(metric, origin=entry.distribution)
