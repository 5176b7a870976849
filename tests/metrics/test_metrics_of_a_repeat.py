"""Literal observations in, literal metrics of one repeat out."""

from __future__ import annotations

import pytest

from beambench.analysis.histogram import bucket
from beambench.controller.metric_values import of_repeat
from beambench.metrics import Sample
from beambench.metrics.base import window_seconds
from beambench.metrics.registry import BUILT_IN
from beambench.record.observation import Distribution, Measured, Proof
from raw_repeats import (
    FROM_BUCKETS,
    FULL,
    PERCENTILES,
    batches,
    efficiency,
    make_repeat,
    metrics_of,
    observe,
    of_run,
    percentiles,
    value_of,
)

TOKEN_RATES = {"output_tokens_rate", "prompt_tokens_rate"}
TOKENS = TOKEN_RATES | {"output_tokens_per_request", "normalized_latency"}

TOLD = {"time_to_first_token_mean", "time_per_output_token_mean"}

OF_EXTERNAL = {"throughput_inferred", "inference_cpu_time_per_element"}

# name: value, unit, direction, n
EXPECTED = {
    "throughput_elements": (199.0, "1/s", "higher", 1990),
    "throughput_steady": (200.0, "1/s", "higher", 1600),
    "throughput_written": (160.0, "1/s", "higher", 2000),
    "throughput_bytes": (500_000.0, "B/s", "higher", 1990),
    "inference_batch_latency_mean": (0.001582, "s", "lower", 500),
    "inference_batch_launch_latency_mean": (0.0002, "s", "lower", 400),
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
    "peak_memory": (1e9, "B", "lower", 75),
    "output_tokens_rate": (4000.0, "1/s", "higher", 1990),
    "prompt_tokens_rate": (1990.0, "1/s", "higher", 1990),
    "output_tokens_per_request": (40_000 / 1990, "1", "neither", 1990),
    "normalized_latency": (0.0001875, "s", "lower", 1990),
    "time_to_first_token_mean": (0.0005, "s", "lower", 1980),
    "time_per_output_token_mean": (0.00002, "s", "lower", 990),
    "server_start_time_mean": (1.2, "s", "lower", 2),
    "elements_failed": (10.0, "1", "lower", 2000),
    "accuracy_top1": (0.9, "1", "higher", 1000),
    "stock_agreement": (0.75, "1", "higher", 32),
    # 18,000,000 µs ÷ 2,000
    "element_latency_mean": (0.009, "s", "lower", 2000),
    "stage_time_read": (0.0002, "s", "lower", 2000),
    "stage_time_preprocess": (0.0005, "s", "lower", 2000),
    "stage_time_batch_wait": (0.003, "s", "lower", 2000),
    "stage_time_inference": (0.0025, "s", "lower", 2000),
    "stage_time_postprocess": (0.00005, "s", "lower", 2000),
    "stage_cpu_time_read": (0.0001, "s", "lower", 154),
    "stage_cpu_time_preprocess": (0.0004, "s", "lower", 154),
    "stage_cpu_time_inference": (0.00125, "s", "lower", 2000),
    "stage_cpu_time_postprocess": (0.00003, "s", "lower", 154),
    "stage_share_read": (0.04, "1", "neither", 2000),
    "stage_share_preprocess": (0.1, "1", "neither", 2000),
    "stage_share_inference": (0.5, "1", "neither", 2000),
    "stage_share_postprocess": (0.01, "1", "neither", 2000),
    "stage_share_overhead": (0.35, "1", "lower", 2000),
    # 6 ÷ (0.4 + 1 + 6 + 7.5 + 0.1)
    "stage_share_batch_wait": (0.4, "1", "neither", 2000),
}
PAIRS = {"pipeline_efficiency", "ceiling_efficiency"}
SHARES = {name for name in EXPECTED if name.startswith("stage_share_")}
CPU_TIMES = {name for name in EXPECTED if name.startswith("stage_cpu_")}
STAGES = {name for name in EXPECTED if name.startswith(("stage_", "element_latency"))} - CPU_TIMES
BUSY = ("read", "preprocess", "inference", "postprocess", "overhead")


@pytest.mark.parametrize("name", EXPECTED)
def test_a_full_observation(name):
    value, unit, direction, n = EXPECTED[name]
    metric = metrics_of(observe())[name]
    assert metric.value == pytest.approx(value, rel=0.02 if name in FROM_BUCKETS else 1e-12)
    assert (metric.unit, metric.direction, metric.n) == (unit, direction, n)
    assert (metric.ci_low, metric.ci_high) == (None, None)


@pytest.mark.parametrize(
    "changes", [{"output_rows": None}, {"output_rows": 0}, {"output_end": None}, {"output_end": 1}]
)
def test_writing_has_a_rate_only_where_rows_and_time_are_known(changes):
    metrics = metrics_of(observe().model_copy(update=changes))
    assert set(metrics) == set(EXPECTED) - {"throughput_written"}


def test_every_documented_metric_is_computed_and_no_other():
    metrics = metrics_of(observe())
    pair = (make_repeat(metrics=metrics), make_repeat(metrics=metrics))
    pairs = {efficiency(name, [pair])[0] for name in PAIRS}
    of_the_run = of_run([make_repeat(metrics=metrics)], [observe()])
    documented = {metric.name for metric in BUILT_IN}
    assert set(metrics) == set(EXPECTED)
    of_many = set(percentiles({bucket(1_000_000): 4603}, {4: 4603})) - PERCENTILES
    assert len(of_many) == 2  # p99.9
    assert set(metrics) | pairs == documented - OF_EXTERNAL - of_many
    assert set(of_the_run) | pairs == documented - OF_EXTERNAL - of_many


def test_of_a_pipeline_that_exists_already_the_time_of_its_batches_is_known():
    unproven = {"proof": None, "expected": None, "labelled": 0, "correct": 0, "task": "existing"}
    metrics = metrics_of(
        observe(
            elements=2000,
            first_read=None,
            last_output=None,
            bytes_read=None,
            stages=None,
            stage_cpu=None,
            inference_window=(2_500_000, 10_500_000),
            inference_elements=1996,
        ).model_copy(update=unproven),
        stock={},
    )
    assert metrics["throughput_inferred"].model_dump() == {
        "value": 249.5,  # without the first batch, whose end begins the window
        "unit": "1/s",
        "direction": "higher",
        "n": 1996,
        "ci_low": None,
        "ci_high": None,
    }
    assert metrics["inference_cpu_time_per_element"].value == 0.00199
    of_any = (
        "inference",
        "model",
        "run",
        "peak",
        "server",
        "normalized",
        "time_to",
        "time_per",
        "output_tokens_per",
    )
    same = {name for name in EXPECTED if name.startswith(of_any)}
    assert set(metrics) == OF_EXTERNAL | same | {"throughput_steady"}


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
        ({"launch_latency": None}, {"inference_batch_launch_latency_mean"}),
        ({"last_output": None}, {"throughput_elements", "throughput_bytes"} | STAGES | TOKEN_RATES),
        (
            {"last_output": 2_000_000},
            {"throughput_elements", "throughput_bytes"} | STAGES | TOKEN_RATES,
        ),
        (
            {"last_output": 1_999_999},
            {"throughput_elements", "throughput_bytes"} | STAGES | TOKEN_RATES,
        ),
        ({"steady_window": None}, {"throughput_steady"}),
        ({"steady_elements": None}, {"throughput_steady"}),
        ({"steady_elements": 0}, {"throughput_steady"}),
        ({"bytes_read": None}, {"throughput_bytes"}),
        ({"batch_size": None}, {"inference_batch_size_mean"} | STAGES | CPU_TIMES),
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
        ({"request_times": None}, TOLD),
        ({"labelled": 0, "correct": 0}, {"accuracy_top1"}),
        ({"stages": None}, STAGES),
        ({"stage_cpu": None}, CPU_TIMES),
        (
            {"stage_cpu": FULL["stage_cpu"].model_copy(update={"inference": None})},
            {"stage_cpu_time_inference"},
        ),
        ({"element_latency": None}, {"stage_share_batch_wait", "normalized_latency"}),
        (
            {"stages": FULL["stages"].model_copy(update={"batch_wait": None})},
            {"stage_time_batch_wait", "stage_share_batch_wait"},
        ),
        ({"threads": None}, SHARES),
        # Counters that do not add up: some batches are in no histogram, or in one that is not its.
        ({"folded": 1}, PERCENTILES),
        ({"batches": 501}, PERCENTILES),
        ({"batch_sizes": {2: 100, 4: 300, 6: 99}}, PERCENTILES),
        ({"latencies": {bucket(1_000_000): 499}}, PERCENTILES),
        ({"empty_batches": 1}, PERCENTILES),
        ({"element_time": None}, {"element_latency_mean"}),
    ],
)
def test_what_is_unknown_is_absent(changes, absent):
    full, metrics = metrics_of(observe()), metrics_of(observe(**changes))
    assert set(full) - set(metrics) == absent
    assert set(metrics) <= set(full)


@pytest.mark.parametrize("count", ["missing_count", "duplicates_count"])
def test_no_wait_is_known_where_an_element_got_lost_or_came_twice(count):
    """An element that was prepared and not inferred takes its whole offset off the sum of waits."""
    full, broken = metrics_of(observe()), metrics_of(observe().model_copy(update={count: 1}))
    assert set(full) - set(broken) == {
        "element_latency_mean",
        "stage_time_batch_wait",
        "stage_share_batch_wait",
    }


def test_the_memory_is_absent_if_nobody_saw_it():
    assert set(EXPECTED) - set(metrics_of(observe(), peak_rss=None)) == {"peak_memory"}
    assert metrics_of(observe(), rss_samples=0)["peak_memory"].n == 1  # the kernel's own figure


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
    metrics = metrics_of(batches({1000: count}))
    assert ("throughput_steady" in metrics) is known


def test_sizes_are_of_what_the_model_computed():
    metrics = metrics_of(
        observe(
            batch_sizes={2: 100, 4: 300, 6: 100},
            replaced_sizes={6: 100, 4: 40},  # 60 of 6 were run one by one, as 40 of 4 were, …
            computed_sizes={1: 480, 5: 40},  # … and 40 of 6 held one element that had failed before
            retried_batches=100,
            latencies={bucket(1_000_000): 500},
        )
    )
    n = 500 - 140 + 520
    assert metrics["inference_batch_size_mean"].n == n
    assert metrics["inference_batch_size_mean"].value == (2000 - 760 + 480 + 200) / n
    assert {metrics[f"inference_batch_size_{p}"].value for p in ("p50",)} == {1.0}
    assert (metrics["inference_batch_size_p99"].value, metrics["inference_batch_size_p99"].n) == (
        5,
        n,
    )


def test_without_a_batch_that_was_computed_its_size_is_unknown():
    sizes = {2: 100, 4: 300, 6: 100}
    metrics = metrics_of(observe(replaced_sizes=sizes, empty_batches=500, latencies={}))
    assert "inference_batch_size_mean" not in metrics


def test_empty_batches_are_sizes_but_no_latencies():
    metrics = metrics_of(
        observe(
            empty_batches=1,
            latencies={bucket(1_000_000): 499},
            batch_latency=Distribution(count=499, sum=499_000_000, min=1_000_000, max=1_000_000),
        )
    )
    assert metrics["inference_batch_latency_p99"].n == 499
    assert metrics["inference_batch_latency_mean"].n == 499
    assert metrics["inference_batch_size_p99"].n == 500


def test_a_batch_that_failed_counts_with_all_that_its_caller_waited():
    # 5 % of 500 batches block for 60 s before they fail and are run again.
    metrics = metrics_of(
        observe(retried_batches=25, latencies={bucket(10**8): 475, bucket(6 * 10**10): 25})
    )
    assert metrics["inference_batch_latency_p99"].value == pytest.approx(60, rel=0.02)
    assert metrics["inference_batch_latency_p50"].value == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize(
    ("step", "absent"),
    [
        (39_800, set()),  # the steady window has 8 s, and 0.5 % of 8 s − 0.0398 s are 39,801 µs
        (39_802, {"throughput_steady"}),
        (49_750, {"throughput_steady"}),
        (
            49_752,
            {"throughput_elements", "throughput_steady", "throughput_bytes"} | STAGES | TOKEN_RATES,
        ),
    ],
)
def test_a_clock_that_was_set_by_more_than_half_a_percent_makes_rates_unknown(step, absent):
    observation = observe(clock_step=step)
    computed = of_repeat(observation, run_time=15.0, peak_rss=1, rss_samples=1, stock={})
    assert set(computed.unknown) == {"throughput_elements"} & absent
    known = {"peak_memory", "stock_agreement"}
    assert set(metrics_of(observe())) - set(computed.values) - known == absent
    if "throughput_elements" in absent:
        assert computed.unknown["throughput_elements"] == (
            "the wall clock was set by 0.0498 s while 10 s were measured by it; rates and waiting "
            "times are unknown"
        )


def test_shares_are_of_all_threads_and_sum_to_one():
    for threads in (1, 2):
        metrics = metrics_of(observe(threads=threads))
        assert metrics["stage_share_inference"].value == pytest.approx(0.5 / threads)
        assert sum(metrics[f"stage_share_{stage}"].value for stage in BUSY) == pytest.approx(1)
        assert metrics["stage_share_batch_wait"].value == pytest.approx(0.4)


def test_stages_that_take_longer_than_there_was_time_are_no_shares_of_it():
    stages = FULL["stages"].model_copy(update={"inference": 9_000_000})  # 10.5 s in 10 s
    metric_values = of_repeat(
        observe(stages=stages), run_time=15.0, peak_rss=1, rss_samples=1, stock={}
    )
    assert set(metric_values.values) & SHARES == {"stage_share_batch_wait"}
    assert metric_values.unknown == {
        "stage_share_overhead": "the stages took 10.5 s, more than the 10 s that all threads had: "
        "no share of the time is known"
    }


def test_stages_that_two_clocks_put_just_above_the_window_fill_it():
    stages = FULL["stages"].model_copy(update={"inference": 8_510_000})  # 10.01 s in 10 s
    metrics = metrics_of(observe(stages=stages))
    assert metrics["stage_share_overhead"].value == 0
    assert sum(metrics[f"stage_share_{stage}"].value for stage in BUSY) == pytest.approx(1)


def test_the_window_goes_from_the_first_read_to_the_last_output():
    assert window_seconds(Measured(**FULL)) == pytest.approx(10.0)


def test_a_value_carries_what_its_definition_says():
    metric_value = value_of("peak_memory", Sample(3, 4), (1.0, 5.0))
    assert metric_value.model_dump() == {
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
