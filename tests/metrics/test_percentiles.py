"""Percentiles: how many batches they need, and which value they are."""

from __future__ import annotations

import pytest

from beambench.analysis.histogram import bucket
from beambench.metrics import Sample
from raw_repeats import percentiles


@pytest.mark.parametrize(
    ("n", "names"),
    [
        (0, []),
        (6, []),
        (7, ["p50"]),
        (43, ["p50"]),
        (44, ["p50", "p90"]),
        (89, ["p50", "p90"]),
        (90, ["p50", "p90", "p95"]),
        (458, ["p50", "p90", "p95"]),
        (459, ["p50", "p90", "p95", "p99"]),
    ],
)
def test_a_percentile_needs_enough_batches(n, names):
    latencies = {bucket(1_000_000): n} if n else {}
    values = percentiles(latencies, {})
    assert sorted(values) == [f"inference_batch_latency_{name}" for name in names]
    values = percentiles({}, {4: n} if n else {})
    assert sorted(values) == [f"inference_batch_size_{name}" for name in names]


def test_quantiles_of_sizes_are_exact_nearest_ranks():
    # 97 shares its bucket with 96 and 98, so a histogram's representative would not do.
    values = percentiles({}, {97: 4, 1: 3})
    assert values["inference_batch_size_p50"] == Sample(97.0, 7)
    values = percentiles({}, dict.fromkeys(range(1, 101), 1))
    assert {name[-3:]: sample.value for name, sample in values.items()} == {
        "p50": 50.0,
        "p90": 90.0,
        "p95": 95.0,
    }
    # ceil(0.95 · 90) = 86, ceil(0.9 · 44) = 40, ceil(0.99 · 459) = 455
    one_of_each_size = lambda n: percentiles({}, dict.fromkeys(range(1, n + 1), 1))  # noqa: E731
    assert one_of_each_size(90)["inference_batch_size_p95"].value == 86.0
    assert one_of_each_size(44)["inference_batch_size_p90"].value == 40.0
    assert one_of_each_size(459)["inference_batch_size_p99"].value == 455.0
    # ceil(0.999 · 4,603) = 4,599; one batch fewer does not support it
    assert one_of_each_size(4603)["inference_batch_size_p99.9"].value == 4599.0
    assert "inference_batch_size_p99.9" not in one_of_each_size(4602)
    assert one_of_each_size(4603)["inference_batch_size_p99"].value == 4557.0


def test_latency_percentiles_are_nearest_ranks_in_seconds():
    values = percentiles({bucket(10_000): 3, bucket(20_000): 4}, {})
    assert values["inference_batch_latency_p50"] == Sample(pytest.approx(20e-6, rel=0.02), 7)
    values = percentiles({bucket(10_000): 4, bucket(20_000): 3}, {})
    assert values["inference_batch_latency_p50"] == Sample(pytest.approx(10e-6, rel=0.02), 7)
