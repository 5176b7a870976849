"""Literal observations in, literal metrics out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from beambench.analysis.histogram import bucket
from beambench.controller import metric_values
from beambench.controller.metric_values import of_repeat
from beambench.metrics import Sample
from beambench.metrics.base import window_seconds
from beambench.metrics.batches import PERCENTILES as SHARES_OF_PERCENTILES
from beambench.metrics.batches import latency_percentile, size_percentile
from beambench.metrics.registry import BUILT_IN, BY_NAME
from beambench.record.observation import Distribution, Measured, Observation, Proof, Stages
from beambench.record.run_record import Metrics, MetricValue, Repeat

# 2,000 elements in 500 batches within 10 s, of which 10 failed.
FULL: dict[str, Any] = {
    "elements": 1990,
    "batches": 500,
    "batch_sizes": {2: 100, 4: 300, 6: 100},
    "batch_size": Distribution(count=500, sum=2000, min=2, max=6),
    "batch_latency": Distribution(count=500, sum=791_000, min=1000, max=20_000),
    "latencies": {bucket(1000): 440, bucket(5000): 50, bucket(9000): 9, bucket(20_000): 1},
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
    "element_latency": 7_500_000,
    "server_starts": Distribution(count=2, sum=2_400_000, min=900_000, max=1_500_000),
    "quantities": {"prompt_tokens": 19_900, "output_tokens": 40_000},
}
TOKEN_RATES = {"output_tokens_rate", "prompt_tokens_rate"}
TOKENS = TOKEN_RATES | {"output_tokens_per_request", "time_per_output_token"}

OF_EXTERNAL = {"inference_throughput_elements", "inference_cpu_time_per_element"}

# name: value, unit, direction, n
EXPECTED = {
    "throughput_elements": (199.0, "1/s", "higher", 1990),
    "throughput_elements_steady": (200.0, "1/s", "higher", 1600),
    "throughput_written": (160.0, "1/s", "higher", 2000),
    "throughput_bytes": (500_000.0, "B/s", "higher", 1990),
    "inference_batch_latency_mean": (0.001582, "s", "lower", 500),
    "inference_batch_latency_p50": (0.001, "s", "lower", 500),
    "inference_batch_latency_p90": (0.005, "s", "lower", 500),
    "inference_batch_latency_p95": (0.005, "s", "lower", 500),
    "inference_batch_latency_p99": (0.009, "s", "lower", 500),
    "inference_batch_size_mean": (4.0, "1", "neither", 500),
    "inference_batch_size_p50": (4.0, "1", "neither", 500),
    "inference_batch_size_p90": (6.0, "1", "neither", 500),
    "inference_batch_size_p95": (6.0, "1", "neither", 500),
    "inference_batch_size_p99": (6.0, "1", "neither", 500),
    "model_load_latency_mean": (1.5, "s", "lower", 2),
    "model_loads": (2.0, "1", "lower", 2),
    "run_time": (15.0, "s", "lower", 1),
    "startup_time": (2.0, "s", "lower", 1),
    "cpu_time_per_element": (0.002, "s", "lower", 1990),
    "peak_rss": (1e9, "B", "lower", 75),
    "output_tokens_rate": (4000.0, "1/s", "higher", 1990),
    "prompt_tokens_rate": (1990.0, "1/s", "higher", 1990),
    "output_tokens_per_request": (40_000 / 1990, "1", "neither", 1990),
    "time_per_output_token": (0.0001875, "s", "lower", 1990),
    "server_start_time_mean": (1.2, "s", "lower", 2),
    "elements_failed": (10.0, "1", "lower", 2000),
    "accuracy_top1": (0.9, "1", "higher", 1000),
    "stock_agreement": (0.75, "1", "higher", 32),
    "stage_time_read": (0.0002, "s", "lower", 2000),
    "stage_time_preprocess": (0.0005, "s", "lower", 2000),
    "stage_time_batch_wait": (0.003, "s", "lower", 2000),
    "stage_time_inference": (0.0025, "s", "lower", 2000),
    "stage_time_postprocess": (0.00005, "s", "lower", 2000),
    "stage_share_read": (0.04, "1", "neither", 2000),
    "stage_share_preprocess": (0.1, "1", "neither", 2000),
    "stage_share_inference": (0.5, "1", "neither", 2000),
    "stage_share_postprocess": (0.01, "1", "neither", 2000),
    "stage_share_overhead": (0.35, "1", "lower", 2000),
    # 6 ÷ (0.4 + 1 + 6 + 7.5 + 0.1)
    "stage_share_batch_wait": (0.4, "1", "neither", 2000),
}
PAIRS = {"pipeline_efficiency", "ceiling_efficiency"}
FROM_BUCKETS = {f"inference_batch_latency_p{p}" for p in (50, 90, 95, 99)}
PERCENTILES = FROM_BUCKETS | {f"inference_batch_size_p{p}" for p in (50, 90, 95, 99)}
SHARES = {name for name in EXPECTED if name.startswith("stage_share_")}
STAGES = {name for name in EXPECTED if name.startswith("stage_")}
BUSY = ("read", "preprocess", "inference", "postprocess", "overhead")


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
    found = of_repeat(observation, **given)
    assert found.unknown == {}
    return found.values


def of_run(repeats: Sequence[Repeat], observations: Sequence[Observation]) -> Metrics:
    found = metric_values.of_run(repeats, observations)
    assert found.unknown == {}
    return found.values


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
    found = metric_values.of_pairs({arm: pairs})
    assert found.unknown == {}
    assert set(found.values) <= {name}
    return next(iter(found.values.items()), None)


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
    histogram = {bucket(latency): many for latency, many in latencies_us.items()}
    return observe(batches=count, batch_sizes={4: count}, latencies=histogram, **changes)


# One repeat


@pytest.mark.parametrize("name", EXPECTED)
def test_a_full_observation(name):
    value, unit, direction, n = EXPECTED[name]
    found = metrics_of(observe())[name]
    assert found.value == pytest.approx(value, rel=0.02 if name in FROM_BUCKETS else 1e-12)
    assert (found.unit, found.direction, found.n) == (unit, direction, n)
    assert (found.ci_low, found.ci_high) == (None, None)


@pytest.mark.parametrize(
    "changes", [{"output_rows": None}, {"output_rows": 0}, {"output_end": None}, {"output_end": 1}]
)
def test_writing_has_a_rate_only_where_rows_and_time_are_known(changes):
    found = metrics_of(observe().model_copy(update=changes))
    assert set(found) == set(EXPECTED) - {"throughput_written"}


def test_every_documented_metric_is_computed_and_no_other():
    found = metrics_of(observe())
    pair = (make_repeat(metrics=found), make_repeat(metrics=found))
    pairs = {efficiency(name, [pair])[0] for name in PAIRS}
    of_the_run = of_run([make_repeat(metrics=found)], [observe()])
    documented = {metric.name for metric in BUILT_IN}
    assert set(found) == set(EXPECTED)
    of_many = set(percentiles({bucket(1000): 4603}, {4: 4603})) - PERCENTILES
    assert len(of_many) == 2  # p99.9
    assert set(found) | pairs == documented - OF_EXTERNAL - of_many
    assert set(of_the_run) | pairs == documented - OF_EXTERNAL - of_many


def test_of_a_pipeline_that_exists_already_the_time_of_its_batches_is_known():
    unproven = {"proof": None, "expected": None, "labelled": 0, "correct": 0, "task": "external"}
    found = metrics_of(
        observe(
            elements=2000,
            first_read=None,
            last_output=None,
            bytes_read=None,
            stages=None,
            inference_window=(2_500_000, 10_500_000),
        ).model_copy(update=unproven),
        stock={},
    )
    assert found["inference_throughput_elements"].model_dump() == {
        "value": 250.0,
        "unit": "1/s",
        "direction": "higher",
        "n": 2000,
        "ci_low": None,
        "ci_high": None,
    }
    assert found["inference_cpu_time_per_element"].value == 0.00199
    of_any = ("inference", "model", "run", "peak", "server", "time_per", "output_tokens_per")
    same = {name for name in EXPECTED if name.startswith(of_any)}
    assert set(found) == OF_EXTERNAL | same | {"throughput_elements_steady"}


@pytest.mark.parametrize(
    ("changes", "absent"),
    [
        (
            {"first_read": None},
            {"throughput_elements", "throughput_bytes", "throughput_written", "startup_time"}
            | STAGES
            | TOKEN_RATES,
        ),
        ({"first_read": -1}, {"startup_time"}),
        ({"last_output": None}, {"throughput_elements", "throughput_bytes"} | STAGES | TOKEN_RATES),
        (
            {"last_output": 2_000_000},
            {"throughput_elements", "throughput_bytes"} | STAGES | TOKEN_RATES,
        ),
        (
            {"last_output": 1_999_999},
            {"throughput_elements", "throughput_bytes"} | STAGES | TOKEN_RATES,
        ),
        ({"steady_window": None}, {"throughput_elements_steady"}),
        ({"steady_elements": None}, {"throughput_elements_steady"}),
        ({"steady_elements": 0}, {"throughput_elements_steady"}),
        ({"bytes_read": None}, {"throughput_bytes"}),
        ({"batch_size": None}, {"inference_batch_size_mean"} | STAGES),
        ({"batch_latency": None}, {"inference_batch_latency_mean"}),
        ({"loads": None}, {"model_load_latency_mean", "model_loads"}),
        ({"cpu": None}, {"cpu_time_per_element"}),
        (
            {"elements": 0},
            {"throughput_elements", "throughput_bytes", "cpu_time_per_element", *TOKENS},
        ),
        ({"quantities": {}}, TOKENS),
        ({"quantities": {"prompt_tokens": 1}}, TOKENS - {"prompt_tokens_rate"}),
        ({"server_starts": None}, {"server_start_time_mean"}),
        ({"labelled": 0, "correct": 0}, {"accuracy_top1"}),
        ({"stages": None}, STAGES),
        ({"element_latency": None}, {"stage_share_batch_wait", "time_per_output_token"}),
        (
            {"stages": FULL["stages"].model_copy(update={"batch_wait": None})},
            {"stage_time_batch_wait", "stage_share_batch_wait"},
        ),
        ({"threads": None}, SHARES),
        # Counters that do not add up: some batches are in no histogram, or in one that is not its.
        ({"folded": 1}, PERCENTILES),
        ({"batches": 501}, PERCENTILES),
        ({"batch_sizes": {2: 100, 4: 300, 6: 99}}, PERCENTILES),
        ({"latencies": {bucket(1000): 499}}, PERCENTILES),
        ({"retried_batches": 1}, PERCENTILES),
    ],
)
def test_what_is_unknown_is_absent(changes, absent):
    full, found = metrics_of(observe()), metrics_of(observe(**changes))
    assert set(full) - set(found) == absent
    assert set(found) <= set(full)


def test_the_memory_is_absent_if_nobody_saw_it():
    assert set(EXPECTED) - set(metrics_of(observe(), peak_rss=None)) == {"peak_rss"}
    assert metrics_of(observe(), rss_samples=0)["peak_rss"].n == 1  # the kernel's own figure


def test_without_a_comparison_with_stock_its_agreement_is_absent():
    assert set(EXPECTED) - set(metrics_of(observe(), stock={})) == {"stock_agreement"}
    nothing = {"compared": 0, "labels_equal": 0}
    assert "stock_agreement" not in metrics_of(observe(), stock=nothing)


def test_an_empty_input_has_no_share_of_failures():
    proof = Proof(count=0, failed=0, ids="0", failed_ids="0", labels="0")
    assert "elements_failed" not in metrics_of(observe(proof))


@pytest.mark.parametrize("part", ["measured", "proof"])
def test_nothing_is_known_without_measurements_or_proof(part):
    assert metrics_of(observe().model_copy(update={part: None})) == {}


@pytest.mark.parametrize(("count", "known"), [(3, False), (4, True)])
def test_a_steady_window_needs_four_batches(count, known):
    found = metrics_of(batches({1000: count}))
    assert ("throughput_elements_steady" in found) is known


def test_sizes_are_of_what_the_model_computed():
    found = metrics_of(
        observe(
            batch_sizes={2: 100, 4: 300, 6: 100},
            replaced_sizes={6: 100, 4: 40},  # 60 of 6 were run one by one, as 40 of 4 were, …
            computed_sizes={1: 480, 5: 40},  # … and 40 of 6 held one element that had failed before
            retried_batches=100,
            latencies={bucket(1000): 400},
        )
    )
    n = 500 - 140 + 520
    assert found["inference_batch_size_mean"].n == n
    assert found["inference_batch_size_mean"].value == (2000 - 760 + 480 + 200) / n
    assert {found[f"inference_batch_size_{p}"].value for p in ("p50",)} == {1.0}
    assert (found["inference_batch_size_p99"].value, found["inference_batch_size_p99"].n) == (5, n)


def test_without_a_batch_that_was_computed_its_size_is_unknown():
    sizes = {2: 100, 4: 300, 6: 100}
    found = metrics_of(observe(replaced_sizes=sizes, empty_batches=500, latencies={}))
    assert "inference_batch_size_mean" not in found


def test_retried_batches_are_sizes_but_no_latencies():
    found = metrics_of(
        observe(
            retried_batches=1,
            latencies={bucket(1000): 499},
            batch_latency=Distribution(count=499, sum=499_000, min=1000, max=1000),
        )
    )
    assert found["inference_batch_latency_p99"].n == 499
    assert found["inference_batch_latency_mean"].n == 499
    assert found["inference_batch_size_p99"].n == 500


def test_shares_are_of_all_threads_and_sum_to_one():
    for threads in (1, 2):
        found = metrics_of(observe(threads=threads))
        assert found["stage_share_inference"].value == pytest.approx(0.5 / threads)
        assert sum(found[f"stage_share_{stage}"].value for stage in BUSY) == pytest.approx(1)
        assert found["stage_share_batch_wait"].value == pytest.approx(0.4)


def test_the_window_goes_from_the_first_read_to_the_last_output():
    assert window_seconds(Measured(**FULL)) == pytest.approx(10.0)


# Percentiles


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
    latencies = {bucket(1000): n} if n else {}
    found = percentiles(latencies, {})
    assert sorted(found) == [f"inference_batch_latency_{name}" for name in names]
    found = percentiles({}, {4: n} if n else {})
    assert sorted(found) == [f"inference_batch_size_{name}" for name in names]


def test_quantiles_of_sizes_are_exact_nearest_ranks():
    # 97 shares its bucket with 96 and 98, so a histogram's representative would not do.
    found = percentiles({}, {97: 4, 1: 3})
    assert found["inference_batch_size_p50"] == Sample(97.0, 7)
    found = percentiles({}, dict.fromkeys(range(1, 101), 1))
    assert {name[-3:]: sample.value for name, sample in found.items()} == {
        "p50": 50.0,
        "p90": 90.0,
        "p95": 95.0,
    }
    # ceil(0.95 · 90) = 86, ceil(0.9 · 44) = 40, ceil(0.99 · 459) = 455
    one_each = lambda n: percentiles({}, dict.fromkeys(range(1, n + 1), 1))  # noqa: E731
    assert one_each(90)["inference_batch_size_p95"].value == 86.0
    assert one_each(44)["inference_batch_size_p90"].value == 40.0
    assert one_each(459)["inference_batch_size_p99"].value == 455.0
    # ceil(0.999 · 4,603) = 4,599; one batch fewer does not support it
    assert one_each(4603)["inference_batch_size_p99.9"].value == 4599.0
    assert "inference_batch_size_p99.9" not in one_each(4602)
    assert one_each(4603)["inference_batch_size_p99"].value == 4557.0


def test_latency_percentiles_are_nearest_ranks_in_seconds():
    found = percentiles({bucket(10): 3, bucket(20): 4}, {})
    assert found["inference_batch_latency_p50"] == Sample(pytest.approx(20e-6), 7)
    found = percentiles({bucket(10): 4, bucket(20): 3}, {})
    assert found["inference_batch_latency_p50"] == Sample(pytest.approx(10e-6), 7)


# All repeats


@pytest.mark.parametrize(
    ("values", "median", "low", "high"),
    [
        ([3.0], 3.0, None, None),
        ([1.0, 4.0], 2.5, None, None),
        ([9.0, 1.0, 2.0, 3.0, 4.0], 3.0, None, None),
        ([9.0, 1.0, 2.0, 3.0, 4.0, 5.0], 3.5, 1.0, 9.0),
        ([9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 5.0, 2.0, 8.0),
    ],
)
def test_a_run_has_the_median_and_from_six_repeats_an_interval(values, median, low, high):
    found = of_run(repeats_of("throughput_elements", values), [])
    assert set(found) == {"throughput_elements"}
    one = found["throughput_elements"]
    assert (one.value, one.ci_low, one.ci_high, one.n) == (median, low, high, len(values))
    assert (one.unit, one.direction) == ("1/s", "higher")


@pytest.mark.parametrize("name", ["accuracy_top1", "stock_agreement"])
def test_what_outputs_say_counts_elements_and_not_repeats(name):
    repeats = [
        make_repeat(metrics={name: value_of(name, Sample(share, n))})
        for share, n in [(0.5, 40), (0.75, 38), (0.5, 40), (0.5, 40), (0.5, 40), (0.5, 40)]
    ]
    found = of_run(repeats, [])[name]
    assert (found.value, found.n, found.ci_low, found.ci_high) == (0.5, 38, None, None)


def test_a_run_without_repeats_has_no_metrics():
    assert of_run([], []) == {}


def test_failed_repeats_count_in_totals_and_nowhere_else():
    repeats = []
    for status, failed, rate in (("succeeded", 1, 10.0), ("failed", 5, 99.0)):
        metrics = {
            "elements_failed": value_of("elements_failed", Sample(failed, 20)),
            "throughput_elements": value_of("throughput_elements", Sample(rate, 20)),
        }
        repeats.append(make_repeat(status, metrics))
    found = of_run([*repeats, make_repeat("timed_out")], [])
    assert (found["elements_failed"].value, found["elements_failed"].n) == (6.0, 40)
    assert (found["throughput_elements"].value, found["throughput_elements"].n) == (10.0, 1)


def test_no_failed_element_is_a_known_zero():
    found = of_run(repeats_of("elements_failed", [0, 0]), [])["elements_failed"]
    assert (found.value, found.n, found.ci_low) == (0.0, 14, None)


def run_of(*observations: Observation) -> Metrics:
    return of_run([make_repeat(metrics=metrics_of(one)) for one in observations], observations)


def test_percentiles_of_a_run_are_of_all_its_batches():
    fast, slow = batches({1000: 90}), batches({100_000: 10})
    found = run_of(fast, slow)
    values = {
        name: found[f"inference_batch_latency_{name}"].value for name in ("p50", "p90", "p95")
    }
    assert values == pytest.approx({"p50": 0.001, "p90": 0.001, "p95": 0.1}, rel=0.02)
    assert found["inference_batch_latency_p50"].n == 100
    assert found["inference_batch_latency_p50"].ci_low is None
    assert found["inference_batch_size_p95"].n == 100


def test_repeats_too_short_for_a_percentile_may_have_one_together():
    short = batches({1000: 30})
    assert "inference_batch_latency_p90" not in metrics_of(short)
    assert run_of(short, short)["inference_batch_latency_p90"].n == 60


def test_one_incomplete_repeat_makes_the_percentiles_of_the_run_unknown():
    whole, folded = batches({1000: 90}), batches({1000: 90}, folded=1)
    assert set(metrics_of(whole)) & PERCENTILES
    assert not set(run_of(whole, folded)) & PERCENTILES
    assert "inference_batch_latency_mean" in run_of(whole, folded)


# Pairs


def pairs_of(*rates: tuple[float | None, float | None]) -> list[tuple[Repeat, Repeat]]:
    name = "throughput_elements"
    both = [
        [repeats_of(name, [rate])[0] if rate is not None else make_repeat() for rate in pair]
        for pair in rates
    ]
    return [(pipeline, loop) for pipeline, loop in both]


def test_efficiency_is_the_median_of_ratios_not_the_ratio_of_medians():
    pairs = pairs_of((90, 100), (50, 100), (8, 10))
    name, value = efficiency("pipeline_efficiency", pairs)
    assert name == "pipeline_efficiency"
    assert (value.value, value.n, value.unit, value.direction) == (0.8, 3, "1", "higher")
    assert (value.ci_low, value.ci_high) == (None, None)


def test_efficiency_has_an_interval_from_six_pairs():
    _, value = efficiency("ceiling_efficiency", pairs_of(*((rate, 10) for rate in range(1, 7))))
    assert (value.value, value.ci_low, value.ci_high, value.n) == (0.35, 0.1, 0.6, 6)


def test_a_pair_with_an_unknown_rate_is_no_pair():
    assert efficiency("pipeline_efficiency", []) is None
    assert efficiency("pipeline_efficiency", pairs_of((None, 1), (1, None), (1, 0))) is None
    assert efficiency("pipeline_efficiency", pairs_of((None, 1), (1, 2)))[1].n == 1


# Values


def test_a_value_carries_what_its_definition_says():
    found = value_of("peak_rss", Sample(3, 4), (1.0, 5.0))
    assert found.model_dump() == {
        "value": 3.0,
        "unit": "B",
        "direction": "lower",
        "n": 4,
        "ci_low": 1.0,
        "ci_high": 5.0,
    }


def test_a_metric_that_is_not_defined_has_no_value():
    with pytest.raises(KeyError):
        value_of("bogus", Sample(1.0, 1))
