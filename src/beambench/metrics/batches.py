"""Batches as the model computes them: how long they take, and how large they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from beambench.analysis.histogram import bounds, merge, nearest_rank, quantile, ranked, total
from beambench.analysis.intervals import percentile_interval, percentile_supported
from beambench.metrics.base import MICRO, NANO, UNKNOWN, Metric, RawRepeat, Sample, per
from beambench.record.observation import Histogram, Measured, Observation
from beambench.record.run_record import Direction

PERCENTILES = {f"p{100 * share:g}": share for share in (0.5, 0.9, 0.95, 0.99, 0.999)}


def computed_batch_sizes(measured: Measured) -> Histogram:
    """Return the batches that the model computed, by size: without what failed before or in it."""
    counts = Counter(measured.batch_sizes)
    counts.subtract(measured.replaced_sizes)
    counts.update(measured.computed_sizes)
    return {size: count for size, count in counts.items() if count > 0}


def _size(repeat: RawRepeat) -> Sample:
    """Return the mean size of the batches that the model computed."""
    formed = repeat.measured.batch_size
    if formed is None:
        return UNKNOWN
    replaced, computed = repeat.measured.replaced_sizes, repeat.measured.computed_sizes
    batches = formed.count - total(replaced) + total(computed)
    elements = formed.sum - _elements_of(replaced) + _elements_of(computed)
    return Sample(per(elements, batches), batches)


def _elements_of(sizes: Histogram) -> int:
    return sum(size * count for size, count in sizes.items())


def _latency(repeat: RawRepeat) -> Sample:
    latency = repeat.measured.batch_latency
    if latency is None:
        return UNKNOWN
    return Sample(latency.sum / latency.count * NANO, latency.count)


def _launch_latency(repeat: RawRepeat) -> Sample:
    latency = repeat.measured.launch_latency
    if latency is None:
        return UNKNOWN
    return Sample(latency.sum / latency.count * NANO, latency.count)


def _is_complete(measured: Measured) -> bool:
    """Tell whether all batches are in the histograms; if not, percentiles are unknown."""
    return (
        total(measured.latencies) + measured.empty_batches == measured.batches
        and total(measured.batch_sizes) == measured.batches
        and not measured.folded
        and not measured.folded_sizes
    )


def latency_percentile(share: float, latencies: Histogram) -> Sample:
    """Return a percentile of latencies in seconds, unknown where there are too few batches."""
    n = total(latencies)
    return (
        Sample(quantile(latencies, share) * NANO, n) if percentile_supported(share, n) else UNKNOWN
    )


def size_percentile(share: float, sizes: Histogram) -> Sample:
    """Return a percentile of sizes, which are counted exactly: the nearest rank, by value."""
    n = total(sizes)
    if not percentile_supported(share, n):
        return UNKNOWN
    return Sample(float(ranked(sizes, nearest_rank(share, n))), n)


def _percentiles(
    quantity: str,
    unit: str,
    direction: Direction,
    histogram: Callable[[Measured], Histogram],
    percentile: Callable[[float, Histogram], Sample],
    interval: Callable[[tuple[int, int]], tuple[float, float]],
    shown: Sequence[str],
    compared: Sequence[str] = (),
) -> list[Metric]:
    def over_repeats(share: float) -> Callable[[Sequence[Observation]], Sample]:
        def compute(observations: Sequence[Observation]) -> Sample:
            """Percentiles come from merged histograms, never from a mean of percentiles."""
            measured = [each.measured for each in observations if each.measured is not None]
            if not all(map(_is_complete, measured)):
                return UNKNOWN
            counts = [histogram(each) for each in measured]
            sample = percentile(share, merge(counts))
            ends = percentile_interval(share, counts) if sample.value is not None else None
            return sample if ends is None else sample._replace(interval=interval(ends))

        return compute

    return [
        Metric(
            name=f"{quantity}_{name}",
            unit=unit,
            direction=direction,
            formula=f"{100 * share:g}th percentile over all batches of all repeats, from their "
            "merged histogram, with Woodruff's interval, for which the repeats are the clusters; "
            "absent where MLPerf's early stopping at 99 % does not support it "
            "(share**n > 0.01)",
            counts="batches",
            of_repeats=over_repeats(share),
            shown="table" if name in shown else None,
            compared=name in compared,
        )
        for name, share in PERCENTILES.items()
    ]


METRICS = (
    Metric(
        name="inference_batch_latency_mean",
        unit="s",
        direction="lower",
        formula="mean time of one call of the model handler, its results materialised, the device "
        "synchronised; of a batch that failed, until its elements were run again one at a time",
        counts="batches",
        of_repeat=_latency,
        beam_label="mean_inference_batch_latency_micro_secs",
        beam_factor=MICRO,
    ),
    Metric(
        name="inference_batch_launch_latency_mean",
        unit="s",
        direction="lower",
        formula="of the same batches, mean time until the call of the model handler had returned, "
        "before the device was waited for; only of batches on a GPU",
        counts="batches",
        of_repeat=_launch_latency,
    ),
    *_percentiles(
        "inference_batch_latency",
        "s",
        "lower",
        lambda measured: measured.latencies,
        latency_percentile,
        lambda ends: (bounds(ends[0])[0] * NANO, bounds(ends[1])[1] * NANO),
        shown=("p50", "p90", "p95", "p99"),
        compared=("p50", "p90", "p99"),
    ),
    Metric(
        name="inference_batch_size_mean",
        unit="1",
        direction="neither",
        formula="elements that the model computed ÷ calls of the model that computed them: "
        "elements that failed before or in it do not count, and a batch that failed and was run "
        "one element at a time counts as those calls; without failures the batches are those that "
        "RunInference formed, which `batch_sizes` of a repeat has in every case",
        counts="batches",
        of_repeat=_size,
        beam_label="mean_inference_request_batch_size",
    ),
    *_percentiles(
        "inference_batch_size",
        "1",
        "neither",
        computed_batch_sizes,
        size_percentile,
        lambda ends: (float(ends[0]), float(ends[1])),
        shown=(),
    ),
)
