"""Raw numbers of repeats, and what is computed of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from beambench.analysis.histogram import bucket
from beambench.controller import metric_values
from beambench.controller.metric_values import of_repeat
from beambench.metrics import Sample
from beambench.metrics.batches import PERCENTILES as SHARES_OF_PERCENTILES
from beambench.metrics.batches import latency_percentile, size_percentile
from beambench.metrics.registry import BY_NAME
from beambench.record.observation import (
    Distribution,
    Measured,
    Observation,
    Proof,
    RequestTimes,
    StageCpu,
    Stages,
)
from beambench.record.run_record import Metrics, MetricValue, Repeat

# 2,000 elements in 500 batches within 10 s, of which 10 failed.
FULL: dict[str, Any] = {
    "elements": 1990,
    "batches": 500,
    "batch_sizes": {2: 100, 4: 300, 6: 100},
    "batch_size": Distribution(count=500, sum=2000, min=2, max=6),
    "batch_latency": Distribution(count=500, sum=791_000_000, min=1_000_000, max=20_000_000),
    "launch_latency": Distribution(count=400, sum=80_000_000, min=100_000, max=900_000),
    "latencies": {
        bucket(1_000_000): 440,
        bucket(5_000_000): 50,
        bucket(9_000_000): 9,
        bucket(20_000_000): 1,
    },
    "bytes_read": 5_000_000,
    "first_read": 2_000_000,
    "last_output": 12_000_000,
    "steady_window": (3_000_000, 11_000_000),
    "steady_elements": 1600,
    "cpu": 3_980_000,
    "loads": Distribution(count=2, sum=3_000_000, min=1_000_000, max=2_000_000),
    "stages": Stages(
        read=400_000,
        preprocess=1_000_000,
        batch_wait=6_000_000,
        inference=5_000_000,
        postprocess=100_000,
    ),
    "stage_cpu": StageCpu(
        read=100.0, preprocess=400.0, inference=1_250.0, postprocess=30.0, sampled=154
    ),
    "element_latency": 7_500_000,
    "element_time": 18_000_000,
    "request_times": RequestTimes(
        first_token_us=990_000, first_tokens=1980, per_token_us=19_800, per_token_requests=990
    ),
    "server_starts": Distribution(count=2, sum=2_400_000, min=900_000, max=1_500_000),
    "quantities": {"prompt_tokens": 19_900, "output_tokens": 40_000},
}

FROM_BUCKETS = {f"inference_batch_latency_p{p}" for p in (50, 90, 95, 99)}
PERCENTILES = FROM_BUCKETS | {f"inference_batch_size_p{p}" for p in (50, 90, 95, 99)}


def observe(proof: Proof | None = None, **changes: Any) -> Observation:
    labels = {key: changes.pop(key) for key in ("labelled", "correct") if key in changes}
    return Observation(
        task="pipeline",
        measured=Measured(**(FULL | changes)),
        proof=proof or Proof(count=1990, failed=10, ids="0", failed_ids="0", labels="0"),
        **({"labelled": 1000, "correct": 900} | labels),
        output_rows=2000,
        output_end=14_500_000,
    )


def metrics_of(observation: Observation, **outside: Any) -> Metrics:
    given = {
        "run_time": 15.0,
        "peak_rss": 10**9,
        "rss_samples": 75,
        "stock": {"compared": 32, "labels_equal": 24},
    } | outside
    values = of_repeat(observation, **given)
    assert values.unknown == {}
    return values.values


def of_run(repeats: Sequence[Repeat], observations: Sequence[Observation]) -> Metrics:
    metrics = metric_values.of_run(repeats, observations)
    assert metrics.unknown == {}
    return metrics.values


def value_of(name: str, sample: Sample, interval: tuple[float, float] | None = None) -> MetricValue:
    return BY_NAME[name].value(sample, interval)


def percentiles(latencies: Mapping[int, int], sizes: Mapping[int, int]) -> dict[str, Sample]:
    """Return the percentiles that the numbers of batches support."""
    samples = {}
    for name, share in SHARES_OF_PERCENTILES.items():
        samples[f"inference_batch_latency_{name}"] = latency_percentile(share, dict(latencies))
        samples[f"inference_batch_size_{name}"] = size_percentile(share, dict(sizes))
    return {name: sample for name, sample in samples.items() if sample.value is not None}


def efficiency(name: str, pairs: Sequence[tuple[Repeat, Repeat]]) -> tuple[str, MetricValue] | None:
    """Return the metric of these pairs and no others."""
    arm = {"pipeline_efficiency": "loop", "ceiling_efficiency": "ceiling"}[name]
    values = metric_values.of_pairs({arm: pairs})
    assert values.unknown == {}
    assert set(values.values) <= {name}
    return next(iter(values.values.items()), None)


def make_repeat(status: str = "succeeded", metrics: Metrics | None = None) -> Repeat:
    return Repeat(
        index=0,
        arm="pipeline",
        status=status,
        started_at="",
        finished_at="",
        metrics=metrics or {},
    )


def repeats_of(name: str, values: Sequence[float]) -> list[Repeat]:
    return [make_repeat(metrics={name: value_of(name, Sample(value, 7))}) for value in values]


def batches(latencies_us: Mapping[int, int], **changes: Any) -> Observation:
    """Return an observation of batches of 4 elements with so many batches of each latency."""
    count = sum(latencies_us.values())
    histogram = {bucket(1000 * latency): many for latency, many in latencies_us.items()}
    return observe(batches=count, batch_sizes={4: count}, latencies=histogram, **changes)
