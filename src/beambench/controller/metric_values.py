"""From what the workers counted to metrics: of one repeat, and of the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from beambench.analysis.histogram import merge, nearest_rank, quantile, total
from beambench.analysis.intervals import median, median_interval, percentile_supported
from beambench.metrics.definitions import BY_NAME, METRICS, PERCENTILES, STAGES
from beambench.record.observation import Histogram, Measured, Observation
from beambench.record.run_record import Metrics, MetricValue, Repeat

MICRO = 1e-6
MIN_STEADY_BATCHES = 4


class Sample(NamedTuple):
    """A value and what it was computed from."""

    value: float | None
    n: int


def value_of(name: str, sample: Sample, interval: tuple[float, float] | None = None) -> MetricValue:
    """Return a metric's value; raises KeyError for a name that is not defined."""
    metric = BY_NAME[name]
    low, high = interval or (None, None)
    return MetricValue(
        value=float(sample.value or 0.0),
        unit=metric.unit,
        direction=metric.direction,
        n=sample.n,
        ci_low=low,
        ci_high=high,
    )


def _known(samples: Mapping[str, Sample]) -> Metrics:
    """Leave out what is unknown: a metric without a value is absent."""
    return {
        name: value_of(name, sample)
        for name, sample in samples.items()
        if sample.value is not None and sample.n > 0
    }


def _per(amount: float | None, count: float | None, factor: float = 1.0) -> float | None:
    """Return amount ÷ count × factor, unknown if either is unknown or the count is 0."""
    return amount / count * factor if amount is not None and count else None


def of_repeat(
    observation: Observation,
    *,
    run_time: float,
    peak_rss: int | None,
    rss_samples: int,
    stock: Mapping[str, Any],
) -> Metrics:
    """Compute the metrics of one repeat.

    Args:
        observation: what the worker reported; it must hold measurements.
        run_time: seconds from the start of the worker process to its end.
        peak_rss: greatest sum of resident memory over the process tree, in bytes.
        rss_samples: how often the memory was looked at.
        stock: how far the outputs are from those of `stock`; empty if that was not looked at.
    """
    measured, proof = observation.measured, observation.proof
    is_external = observation.task == "external"
    if measured is None or (proof is None and not is_external):
        return {}
    samples: dict[str, Sample] = {
        **_throughputs(measured),
        **(_inference_window(measured) if is_external else {}),
        **_batches(measured),
        **(
            percentiles(measured.latencies, computed_batch_sizes(measured))
            if _is_complete(measured)
            else {}
        ),
        **_stages(measured),
        **_tokens(measured),
        "throughput_written": _written(observation, measured),
        "run_time": Sample(run_time, 1),
        "startup_time": _startup(measured),
        "peak_rss": Sample(peak_rss, max(1, rss_samples)),
        "accuracy_top1": Sample(
            _per(observation.correct, observation.labelled), observation.labelled
        ),
        "stock_agreement": Sample(
            _per(stock.get("labels_equal"), stock.get("compared")), stock.get("compared", 0)
        ),
    }
    if proof is not None:
        samples["elements_failed"] = Sample(proof.failed, proof.count + proof.failed)
        samples["cpu_time_per_element"] = _cpu_time(measured)
    return _known(samples)


def _written(observation: Observation, measured: Measured) -> Sample:
    rows, end = observation.output_rows, observation.output_end
    if rows is None or end is None or measured.first_read is None:
        return Sample(None, 0)
    # The wall clock may be set back in between: then the time is unknown, not below 0.
    return Sample(_per(rows, max(0, end - measured.first_read) * MICRO), rows)


def _startup(measured: Measured) -> Sample:
    begun = measured.first_read
    # Below 0 it was read by a machine whose clock is behind this one's: the time is unknown.
    return Sample(None if begun is None or begun < 0 else begun * MICRO, 1)


def _cpu_time(measured: Measured) -> Sample:
    return Sample(_per(measured.cpu, measured.elements, MICRO), measured.elements)


def _inference_window(measured: Measured) -> dict[str, Sample]:
    """Return what stands for the throughput where the first read and the outputs are unknown."""
    if measured.inference_window is None:
        return {}
    begin, end = measured.inference_window
    n = measured.elements
    return {
        # The wall clock may be set back in between: then the time is unknown, not below 0.
        "inference_throughput_elements": Sample(_per(n, max(0, end - begin) * MICRO), n),
        "inference_cpu_time_per_element": _cpu_time(measured),
    }


def _throughputs(measured: Measured) -> dict[str, Sample]:
    n = measured.elements
    window = window_seconds(measured)
    steady = None
    if measured.steady_window is not None and measured.batches >= MIN_STEADY_BATCHES:
        begin, end = measured.steady_window
        steady = _per(measured.steady_elements, (end - begin) * MICRO)
    return {
        "throughput_elements": Sample(_per(n, window), n),
        "throughput_elements_steady": Sample(steady, measured.steady_elements or 0),
        "throughput_bytes": Sample(_per(measured.bytes_read, window), n),
    }


def window_seconds(measured: Measured) -> float | None:
    """Return last output − first element read in seconds, or None where either is unknown."""
    if measured.first_read is None or measured.last_output is None:
        return None
    # The wall clock may be set back in between: then the time is unknown, not below 0.
    return max(0, measured.last_output - measured.first_read) * MICRO or None


def computed_batch_sizes(measured: Measured) -> Histogram:
    """Return the batches that the model computed, by size: without what failed before or in it."""
    counts = Counter(measured.batch_sizes)
    counts.subtract(measured.replaced_sizes)
    counts.update(measured.computed_sizes)
    return {size: count for size, count in counts.items() if count > 0}


def _batch_size(measured: Measured) -> Sample:
    """Return the mean size of the batches that the model computed."""
    formed = measured.batch_size
    if formed is None:
        return Sample(None, 0)
    replaced, computed = measured.replaced_sizes, measured.computed_sizes
    batches = formed.count - total(replaced) + total(computed)
    elements = formed.sum - _elements_of(replaced) + _elements_of(computed)
    return Sample(_per(elements, batches), batches)


def _elements_of(sizes: Histogram) -> int:
    return sum(size * count for size, count in sizes.items())


def _batches(measured: Measured) -> dict[str, Sample]:
    latency, loads = measured.batch_latency, measured.loads
    samples = {"inference_batch_size_mean": _batch_size(measured)}
    if latency is not None:
        mean = latency.sum / latency.count * MICRO
        samples["inference_batch_latency_mean"] = Sample(mean, latency.count)
    if loads is not None:
        mean = loads.sum / loads.count * MICRO
        samples["model_load_latency_mean"] = Sample(mean, loads.count)
        samples["model_loads"] = Sample(loads.count, loads.count)
    starts = measured.server_starts
    if starts is not None:
        mean = starts.sum / starts.count * MICRO
        samples["server_start_time_mean"] = Sample(mean, starts.count)
    return samples


def _tokens(measured: Measured) -> dict[str, Sample]:
    """Return the metrics of text generation; all are unknown where no tokens were counted."""
    n, window = measured.elements, window_seconds(measured)
    prompt, output = (measured.quantities.get(name) for name in ("prompt_tokens", "output_tokens"))
    return {
        "output_tokens_rate": Sample(_per(output, window), n),
        "prompt_tokens_rate": Sample(_per(prompt, window), n),
        "output_tokens_per_request": Sample(_per(output, n), n),
        "time_per_output_token": Sample(_per(measured.element_latency, output, MICRO), n),
    }


def _is_complete(measured: Measured) -> bool:
    """Tell whether all batches are in the histograms; if not, percentiles are unknown."""
    return (
        total(measured.latencies) + measured.retried_batches + measured.empty_batches
        == measured.batches
        and total(measured.batch_sizes) == measured.batches
        and not measured.folded
        and not measured.folded_sizes
    )


def percentiles(latencies: Histogram, sizes: Histogram) -> dict[str, Sample]:
    """Return the percentiles that the numbers of batches support."""
    samples = {}
    for name, share in PERCENTILES.items():
        if percentile_supported(share, total(latencies)):
            value = quantile(latencies, share) * MICRO
            samples[f"inference_batch_latency_{name}"] = Sample(value, total(latencies))
        if percentile_supported(share, total(sizes)):
            samples[f"inference_batch_size_{name}"] = Sample(
                _exact_quantile(sizes, share), total(sizes)
            )
    return samples


def _exact_quantile(counts: Histogram, share: float) -> float:
    """Nearest-rank quantile of values counted exactly, by value."""
    ordered = [value for value in sorted(counts) for _ in range(counts[value])]
    return float(ordered[nearest_rank(share, len(ordered)) - 1])


def _stages(measured: Measured) -> dict[str, Sample]:
    stages, size, window = measured.stages, measured.batch_size, window_seconds(measured)
    if stages is None or size is None or window is None:
        return {}
    n = size.sum
    times = {stage: getattr(stages, stage) for stage in STAGES}
    samples = {
        f"stage_time_{stage}": Sample(_per(time, n, MICRO), n) for stage, time in times.items()
    }
    if measured.threads is None:
        return samples
    busy = {
        stage: time * MICRO / (window * measured.threads)
        for stage, time in times.items()
        if time is not None and stage != "batch_wait"
    }
    samples |= {f"stage_share_{stage}": Sample(share, n) for stage, share in busy.items()}
    samples["stage_share_overhead"] = Sample(1 - sum(busy.values()), n)
    if stages.batch_wait is not None and measured.element_latency is not None:
        own = stages.read + stages.preprocess + stages.postprocess
        whole = own + stages.batch_wait + measured.element_latency
        samples["stage_share_batch_wait"] = Sample(_per(stages.batch_wait, whole), n)
    return samples


def of_run(repeats: Sequence[Repeat], observations: Sequence[Observation]) -> Metrics:
    """Combine the metrics of the pipeline's repeats into those of the run.

    Totals are over all repeats that counted, all else is over those that succeeded.

    Args:
        repeats: the repeats of the pipeline, failed ones too.
        observations: of those that succeeded.
    """
    combined: Metrics = {}
    merged = _merged(observations)
    succeeded = [repeat for repeat in repeats if repeat.status == "succeeded"]
    for metric in METRICS:
        counted = repeats if metric.aggregate == "total" else succeeded
        values = [
            repeat.metrics[metric.name] for repeat in counted if metric.name in repeat.metrics
        ]
        if not values:
            continue
        numbers = [value.value for value in values]
        if metric.aggregate == "median":
            combined[metric.name] = _median(metric.name, numbers)
        elif metric.aggregate == "elements":
            fewest = min(value.n for value in values)
            combined[metric.name] = value_of(metric.name, Sample(median(numbers), fewest))
        elif metric.aggregate == "total":
            n = sum(value.n for value in values)
            combined[metric.name] = value_of(metric.name, Sample(sum(numbers), n))
    return combined | merged


def _merged(observations: Iterable[Observation]) -> Metrics:
    """Percentiles come from merged histograms, never from a mean of percentiles."""
    measured = [observed.measured for observed in observations if observed.measured is not None]
    if not all(_is_complete(one) for one in measured):
        return {}
    latencies = merge(one.latencies for one in measured)
    sizes = merge(computed_batch_sizes(one) for one in measured)
    return _known(percentiles(latencies, sizes))


def _median(name: str, numbers: Sequence[float]) -> MetricValue:
    return value_of(name, Sample(median(numbers), len(numbers)), median_interval(numbers))


def efficiency(name: str, pairs: Iterable[tuple[Repeat, Repeat]]) -> tuple[str, MetricValue] | None:
    """Return the median over pairs of pipeline ÷ loop throughput, or None without a pair."""
    ratios = ratios_of(pairs)
    return (name, _median(name, ratios)) if ratios else None


def ratios_of(pairs: Iterable[tuple[Repeat, Repeat]]) -> list[float]:
    """Return pipeline ÷ loop throughput of each pair that has both."""
    ratios = []
    for pipeline, loop in pairs:
        over, under = (repeat.metrics.get("throughput_elements") for repeat in (pipeline, loop))
        if over is not None and under is not None and under.value:
            ratios.append(over.value / under.value)
    return ratios
