"""From what the workers counted to metrics: of one repeat, and of the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from beambench.analysis.intervals import median, median_interval
from beambench.metrics.base import Metric, Pairing, RawRepeat, Sample
from beambench.metrics.registry import metrics, problems
from beambench.printable import storable
from beambench.record.observation import Observation
from beambench.record.run_record import Metrics, MetricValue, Repeat

LONGEST_REASON = 200

T = TypeVar("T")


class MetricValues(NamedTuple):
    """Metrics with a value, and why others have none where that is to be said."""

    values: Metrics
    unknown: Mapping[str, str]


NOTHING = MetricValues({}, {})


def of_repeat(
    observation: Observation,
    *,
    run_time: float | None,
    peak_rss: int | None,
    rss_samples: int,
    stock: Mapping[str, Any],
) -> MetricValues:
    """Compute the metrics of one repeat.

    Args:
        observation: what the worker reported; it must hold measurements.
        run_time: seconds from the start of the worker process to its end; None if unknown.
        peak_rss: greatest sum of resident memory over the process tree, in bytes.
        rss_samples: how often the memory was looked at.
        stock: how far the outputs are from those of `stock`; empty if that was not looked at.
    """
    measured = observation.measured
    if measured is None:
        return NOTHING
    repeat = RawRepeat(observation, measured, run_time, peak_rss, rss_samples, stock)
    if observation.proof is None and not repeat.is_existing:
        return NOTHING
    computed: dict[str, MetricValue | str | None] = {}
    for metric in metrics():
        if metric.of_repeat is not None:
            computed[metric.name] = _computed(metric, metric.of_repeat, repeat)
        elif metric.of_repeats is not None:
            computed[metric.name] = _computed(metric, metric.of_repeats, [observation])
    return _split(computed)


def of_run(repeats: Sequence[Repeat], observations: Sequence[Observation]) -> MetricValues:
    """Combine the metrics of the pipeline's repeats into those of the run, without pairs.

    Totals are over all repeats, all else is over those that succeeded and were not excluded.

    Args:
        repeats: the repeats of the pipeline, failed ones too.
        observations: of those that count.
    """
    measured = [observed for observed in observations if observed.measured is not None]
    computed: dict[str, MetricValue | str | None] = {}
    for metric in metrics():
        if metric.of_repeats is not None and measured:
            computed[metric.name] = _computed(metric, metric.of_repeats, measured)
        elif metric.of_repeat is not None:
            computed[metric.name] = _aggregated(metric, repeats)
    return _split(computed)


def _aggregated(metric: Metric, repeats: Sequence[Repeat]) -> MetricValue | None:
    counted = [repeat for repeat in repeats if metric.aggregate == "total" or repeat.counts]
    values = [repeat.metrics[metric.name] for repeat in counted if metric.name in repeat.metrics]
    if not values:
        return None
    numbers = [value.value for value in values]
    if metric.aggregate == "total":
        return metric.value(Sample(sum(numbers), sum(value.n for value in values)))
    if metric.aggregate == "elements":
        return metric.value(Sample(median(numbers), min(value.n for value in values)))
    return _median(metric, numbers)


def _median(metric: Metric, numbers: Sequence[float]) -> MetricValue:
    return metric.value(Sample(median(numbers), len(numbers)), median_interval(numbers))


def of_pairs(pairs: Mapping[str, Sequence[tuple[Repeat, Repeat]]]) -> MetricValues:
    """Return the medians over pairs of a pipeline and a loop repeat.

    Args:
        pairs: of each arm that is a loop.
    """
    return _split(
        {
            metric.name: _of_pairs(metric, metric.of_pairs, pairs.get(metric.of_pairs.arm, ()))
            for metric in metrics()
            if metric.of_pairs is not None
        }
    )


def _of_pairs(
    metric: Metric, pairing: Pairing, pairs: Sequence[tuple[Repeat, Repeat]]
) -> MetricValue | str | None:
    try:
        ratios = ratios_of(pairing, pairs)
        return _median(metric, ratios) if ratios else None
    except (Exception, SystemExit) as error:
        return _reason(error)


def ratios_of(pairing: Pairing, pairs: Iterable[tuple[Repeat, Repeat]]) -> list[float]:
    """Return the ratio of each pair that has one."""
    ratios = (pairing.ratio(pipeline.metrics, loop.metrics) for pipeline, loop in pairs)
    return [ratio for ratio in ratios if ratio is not None]


def warnings_of_unknown(repeats: Sequence[Mapping[str, str]], run: Mapping[str, str]) -> list[str]:
    """Say which metrics have no value for a reason, and which of distributions are not computed.

    Args:
        repeats: the reason by name, of each repeat.
        run: the same of the run.
    """
    origins = {metric.name: metric.origin for metric in metrics()}
    counts = Counter(item for unknown in repeats for item in unknown.items())
    named = {name for name, _ in counts}
    places = [
        (name, reason, f"{count} of {len(repeats)} repeats")
        for (name, reason), count in counts.items()
    ]
    places += [(name, reason, "the run") for name, reason in run.items() if name not in named]
    return [
        *(
            f"metric {name}{f' ({origins[name]})' if origins[name] else ''} is unknown in {where}: "
            f"{reason}"
            for name, reason, where in places
        ),
        *(f"{problem}: left out" for problem in problems()),
    ]


def _computed(
    metric: Metric, compute: Callable[[T], Sample], argument: T
) -> MetricValue | str | None:
    """Return the value, the reason why it is unknown, or None where the metric does not apply.

    The computation may be one of a distribution: whatever it does wrong, the run is kept.
    """
    try:
        sample = compute(argument)
        if not isinstance(sample, Sample):
            raise TypeError(f"it returned a {type(sample).__name__}, not a Sample")
        if sample.value is None or sample.n <= 0:
            return None if sample.reason is None else _one_line(sample.reason)
        return metric.value(sample)
    except (Exception, SystemExit) as error:
        return _reason(error)


def _reason(error: BaseException) -> str:
    return _one_line(f"{type(error).__name__}: {error}")


def _one_line(text: str) -> str:
    return " ".join(storable(str(text)).split())[:LONGEST_REASON]


def _split(computed: Mapping[str, MetricValue | str | None]) -> MetricValues:
    values = {name: value for name, value in computed.items() if isinstance(value, MetricValue)}
    unknown = {name: reason for name, reason in computed.items() if isinstance(reason, str)}
    return MetricValues(values, unknown)
