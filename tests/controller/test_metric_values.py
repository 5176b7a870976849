"""The metrics of a run, from those of its repeats and of pairs."""

from __future__ import annotations

import pytest

from beambench.metrics import Sample
from beambench.record.observation import Observation
from beambench.record.run_record import Metrics, Repeat
from raw_repeats import (
    PERCENTILES,
    batches,
    efficiency,
    make_repeat,
    metrics_of,
    of_run,
    repeats_of,
    value_of,
)


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
    combined = of_run(repeats_of("throughput_elements", values), [])
    assert set(combined) == {"throughput_elements"}
    value = combined["throughput_elements"]
    assert (value.value, value.ci_low, value.ci_high, value.n) == (median, low, high, len(values))
    assert (value.unit, value.direction) == ("1/s", "higher")


@pytest.mark.parametrize("name", ["accuracy_top1", "stock_agreement"])
def test_what_outputs_say_counts_elements_and_not_repeats(name):
    repeats = [
        make_repeat(metrics={name: value_of(name, Sample(share, n))})
        for share, n in [(0.5, 40), (0.75, 38), (0.5, 40), (0.5, 40), (0.5, 40), (0.5, 40)]
    ]
    value = of_run(repeats, [])[name]
    assert (value.value, value.n, value.ci_low, value.ci_high) == (0.5, 38, None, None)


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
    values = of_run([*repeats, make_repeat("timed_out")], [])
    assert (values["elements_failed"].value, values["elements_failed"].n) == (6.0, 40)
    assert (values["throughput_elements"].value, values["throughput_elements"].n) == (10.0, 1)


def test_no_failed_element_is_a_known_zero():
    value = of_run(repeats_of("elements_failed", [0, 0]), [])["elements_failed"]
    assert (value.value, value.n, value.ci_low) == (0.0, 14, None)


def run_of(*observations: Observation) -> Metrics:
    return of_run(
        [make_repeat(metrics=metrics_of(observation)) for observation in observations], observations
    )


def test_percentiles_of_a_run_are_of_all_its_batches():
    fast, slow = batches({1000: 90}), batches({100_000: 10})
    metrics = run_of(fast, slow)
    values = {
        name: metrics[f"inference_batch_latency_{name}"].value for name in ("p50", "p90", "p95")
    }
    assert values == pytest.approx({"p50": 0.001, "p90": 0.001, "p95": 0.1}, rel=0.02)
    assert metrics["inference_batch_latency_p50"].n == 100
    assert metrics["inference_batch_latency_p50"].ci_low is None
    assert metrics["inference_batch_size_p95"].n == 100


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
