"""Beam's own metrics beside ours.

Gaps are in microseconds of batches that are written down here: nothing is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from beambench.controller.proof.cross_check import cross_check
from beambench.record.observation import Distribution, LatencyGap, Measured

SIZE = {"count": 4, "sum": 40, "min": 8, "max": 12}
OURS_US = 10_000
EMPTY = LatencyGap(calls=100, median_us=80, high_us=100, greatest_us=9_000)
"""So allowed are 2 × 100 µs and 1 % of our latency."""


def measured(latency_us: float = OURS_US, **fields: Any) -> Measured:
    sums = {"count": 4, "sum": round(4000 * latency_us), "min": 0, "max": 99_999_000}
    parts: dict[str, Any] = {
        "elements": 40,
        "batches": 4,
        "batch_sizes": {8: 2, 12: 2},
        "batch_size": Distribution(**SIZE),
        "batch_latency": Distribution(**sums),
        "latencies": {},
    }
    return Measured(**{**parts, **fields})


def beams(gap_us: float = 100, **changed: Any) -> dict[str, Any]:
    latency = {"count": 4, "sum": 4 * (OURS_US + gap_us), "min": 1, "max": 2, "step": "T/B"}
    return {
        "num_inferences": {"step": "T/B", "value": 40},
        "inference_request_batch_size": {"step": "T/B", **SIZE},
        "inference_batch_latency_micro_secs": latency,
        **changed,
    }


def distribution(values: Sequence[float]) -> dict[str, Any]:
    whole = [round(value) for value in values]
    return {"count": len(whole), "sum": sum(whole), "min": min(whole), "max": max(whole)}


def checked(
    ours: Sequence[float], gaps: Sequence[float], empty: LatencyGap | None = EMPTY
) -> dict[str, Any]:
    """Cross-check batches with these latencies of ours, and what Beam's have beyond them."""
    sizes = {"count": len(ours), "sum": 40, "min": 8, "max": 12}
    own = measured(
        batch_size=Distribution(**sizes),
        batch_latency=Distribution(**distribution([1000 * value for value in ours])),
    )
    theirs = distribution([prediction + gap for prediction, gap in zip(ours, gaps, strict=True)])
    return cross_check(
        own,
        beams(inference_request_batch_size=sizes, inference_batch_latency_micro_secs=theirs),
        empty,
    )


EQUAL = [60_000, 61_000, 60_500, 62_000, 60_200, 61_500, 60_100, 61_100, 60_900, 60_400]
GROWING = [1_000 * size for size in (1, 2, 4, 8, 16, 32, 64, *[100] * 20)]
SHORT = [55, 60, 52, 58, 51, 57, 53, 59, 54, 56]
SHAPES = {"equal": EQUAL, "growing": GROWING, "short": SHORT}
shapes = pytest.mark.parametrize("ours", SHAPES.values(), ids=SHAPES)


@shapes
def test_what_the_empty_handler_shows_is_allowed(ours):
    details = checked(ours, [80.0] * len(ours))
    mean = sum(ours) / len(ours)
    assert details == {
        "agrees": True,
        "differences": [],
        "latency_gap_us": pytest.approx(80),
        "allowed_gap_us": pytest.approx(200 + 0.01 * mean),
        "empty_handler": EMPTY.model_dump(),
    }


@shapes
def test_a_pause_of_the_machine_in_any_batch_is_no_difference(ours):
    for batch in range(len(ours)):
        for pause in (3_000, 75_000, 110_000, 150_000, 300_000):
            gaps = [80.0] * len(ours)
            gaps[batch] += pause
            details = checked(ours, gaps)
            assert (details["agrees"], batch, pause) == (True, batch, pause)
            assert details["latency_gap_us"] == pytest.approx(80 + pause / len(ours))


@shapes
def test_two_pauses_are_no_difference_either(ours):
    for pause in (3_000, 20_000, 110_000, 300_000):
        gaps = [80.0] * len(ours)
        gaps[0] += pause
        gaps[-1] += pause
        assert (checked(ours, gaps)["agrees"], pause) == (True, pause)


@pytest.mark.parametrize("ours", [EQUAL, GROWING], ids=["equal", "growing"])
@pytest.mark.parametrize("share", [0.2, 0.5, 3.0])
def test_a_share_of_every_batch_is_a_difference(ours, share):
    assert checked(ours, [80 + share * prediction for prediction in ours])["agrees"] is False


@shapes
@pytest.mark.parametrize("added", [10_000, 80_000])
def test_milliseconds_in_every_batch_are_a_difference(ours, added):
    details = checked(ours, [80.0 + added] * len(ours))
    assert details["agrees"] is False
    allowed = 200 + 0.01 * sum(ours) / len(ours)
    assert details["differences"] == [
        f"batch latency: Beam's mean is {80 + added} µs above ours, more than 2 of {len(ours)} "
        f"batches could hold; around a handler that does nothing it is 80 µs, so allowed are "
        f"{allowed:.0f} µs"
    ]


def test_milliseconds_are_a_difference_between_pauses_too():
    gaps = [80 + 5_000.0] * 30
    gaps[3] += 75_000
    assert checked(EQUAL * 3, gaps)["agrees"] is False


def test_more_is_allowed_where_the_empty_handler_shows_more():
    slow = LatencyGap(calls=100, median_us=900, high_us=4_000, greatest_us=20_000)
    assert checked(EQUAL, [5_000] * len(EQUAL), slow)["agrees"] is True
    assert checked(EQUAL, [5_000] * len(EQUAL))["agrees"] is False
    assert checked(EQUAL, [15_000] * len(EQUAL), slow)["agrees"] is False


@pytest.mark.parametrize("batches", [1, 2])
def test_of_two_batches_a_difference_cannot_be_told_from_a_pause(batches):
    details = checked([60_000] * batches, [20_000] * batches)
    assert (details["agrees"], details["latency_gap_us"]) == (True, 20_000)


def test_three_batches_that_all_differ_are_a_difference():
    # 3 × (20,000 − 800) µs = 57,600 µs, of which two batches could hold 2 × 20,000 µs.
    assert checked([60_000] * 3, [20_000] * 3)["agrees"] is False


def test_without_an_empty_handler_it_is_unknown_how_much_may_be_above():
    details = checked(EQUAL, [20_000] * len(EQUAL), None)
    assert details == {
        "agrees": True,
        "differences": [],
        "latency_gap_us": 20_000,
        "reason": "latency: no handler that does nothing was measured beside it",
    }


@pytest.mark.parametrize("gap", [-1, -0.5, 0])
def test_beam_truncates_to_whole_microseconds(gap):
    check = cross_check(measured(), beams(gap), EMPTY)
    assert (check["agrees"], check["latency_gap_us"]) == (True, gap)


@pytest.mark.parametrize("empty", [EMPTY, None], ids=["measured", "unknown"])
@pytest.mark.parametrize("gap", [-1.5, -500])
def test_a_latency_below_ours_is_a_difference_whatever_is_known(gap, empty):
    check = cross_check(measured(), beams(gap), empty)
    assert check["agrees"] is False
    assert check["differences"] == [f"batch latency: Beam's mean is {-gap:.0f} µs below ours"]


@pytest.mark.parametrize("key", ["count", "sum", "min", "max"])
def test_sizes_must_be_equal(key):
    size = {**SIZE, "step": "T/B", key: SIZE[key] + 1}
    check = cross_check(measured(), beams(inference_request_batch_size=size))
    assert check["agrees"] is False
    assert check["differences"] == [f"batch size {key}: Beam {SIZE[key] + 1}, ours {SIZE[key]}"]


@pytest.mark.parametrize("counted", [{"num_inferences": {"value": 39}}, {"num_inferences": {}}])
def test_the_number_of_inferences_must_be_equal(counted):
    check = cross_check(measured(), beams(**counted))
    assert check["agrees"] is False
    value = counted["num_inferences"].get("value")
    assert check["differences"] == [f"inferences: Beam {value}, ours 40"]


def test_latencies_are_not_compared_if_a_batch_has_none_of_ours():
    check = cross_check(measured(empty_batches=1), beams(-5000), EMPTY)
    assert check == {"agrees": True, "differences": []}


def test_latencies_are_compared_if_a_batch_was_run_again_for_ours_holds_that_too():
    assert cross_check(measured(retried_batches=1), beams(-5000), EMPTY)["agrees"] is False
    assert cross_check(measured(retried_batches=1), beams(80), EMPTY)["agrees"] is True


def test_all_that_differs_is_listed():
    counted = {"num_inferences": {"value": 0}, "inference_request_batch_size": {**SIZE, "sum": 1}}
    assert len(cross_check(measured(), beams(-5000, **counted))["differences"]) == 3


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (measured(), {}),
        (measured(), {"num_inferences": {"value": 40}}),
        (measured(batch_size=None), beams()),
    ],
)
def test_what_is_not_there_is_unknown_and_not_equal(ours, theirs):
    check = cross_check(ours, theirs)
    assert check["agrees"] is None
    assert check["reason"] == "Beam's metrics are not there"


@pytest.mark.parametrize("missing", ["theirs", "ours"])
def test_without_latencies_the_counts_are_still_compared(missing):
    theirs = beams()
    if missing == "theirs":
        del theirs["inference_batch_latency_micro_secs"]
    ours = measured(batch_latency=None) if missing == "ours" else measured()
    assert cross_check(ours, theirs) == {"agrees": True, "differences": []}


# --- models per key

COHORTS = {"a-_num_inferences": {"value": 25}, "b-_num_inferences": {"value": 15}}


def per_key(gap_us: float = 100, **changed: Any) -> dict[str, Any]:
    """Beam's metrics where 40 calls of ours are two batches of its own."""
    total = 40 * (OURS_US + gap_us)
    return {
        **COHORTS,
        "num_inferences": {"value": 40},
        "inference_request_batch_size": {"count": 2, "sum": 40, "min": 15, "max": 25},
        "inference_batch_latency_micro_secs": {"count": 2, "sum": total, "min": 1, "max": 2},
        **changed,
    }


def calls() -> Measured:
    ones = Distribution(count=40, sum=40, min=1, max=1)
    latency = Distribution(count=40, sum=40_000 * OURS_US, min=0, max=99_999_000)
    return measured(batches=40, batch_sizes={1: 40}, batch_size=ones, batch_latency=latency)


def test_with_models_per_key_sums_are_compared_and_a_latency_below_that_of_calls():
    check = cross_check(calls(), per_key(), EMPTY)
    assert (check["agrees"], check["differences"]) == (True, [])
    assert check["latency_gap_us"] == 100
    assert check["reason"].startswith("models per key")
    # Beam's shortest and longest are of several calls: they say nothing of one.
    assert cross_check(calls(), per_key(5000), EMPTY)["agrees"] is True
    assert cross_check(calls(), per_key(-5))["agrees"] is False


def test_with_models_per_key_a_lost_element_is_a_difference():
    size = {"count": 2, "sum": 39, "min": 14, "max": 25}
    check = cross_check(calls(), per_key(inference_request_batch_size=size))
    assert check["differences"] == ["batch size sum: Beam 39, ours 40"]


def test_without_models_per_key_such_sizes_differ():
    theirs = {name: value for name, value in per_key().items() if name not in COHORTS}
    assert cross_check(calls(), theirs)["agrees"] is False
