"""Beam's own metrics beside ours."""

from __future__ import annotations

from typing import Any

import pytest

from beambench.controller.proof.cross_check import cross_check
from beambench.record.observation import Distribution, Measured

SIZE = {"count": 4, "sum": 40, "min": 8, "max": 12}
OURS_US = 10_000
"""Our mean latency: what is allowed is 200 µs + 1 % of it, so 300 µs."""


def measured(latency_us: float = OURS_US, **fields: Any) -> Measured:
    sums = {"count": 4, "sum": round(4 * latency_us), "min": 0, "max": 99_999}
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


def test_equal_counts_and_an_enclosing_latency_agree():
    assert cross_check(measured(), beams()) == {
        "agrees": True,
        "differences": [],
        "latency_gap_us": 100,
    }


@pytest.mark.parametrize("gap", [-1, -0.5, 0, 299, 300])
def test_what_is_allowed(gap):
    found = cross_check(measured(), beams(gap))
    assert found["agrees"] is True
    assert found["latency_gap_us"] == gap


@pytest.mark.parametrize("gap", [-1.5, -500, 300.5, 5000])
def test_what_is_not(gap):
    found = cross_check(measured(), beams(gap))
    assert found["agrees"] is False
    assert found["differences"] == [
        f"batch latency: Beam's mean is {gap:.0f} µs above ours, allowed are 0 to 300 µs"
    ]


def test_the_allowance_grows_with_the_latency():
    theirs = beams()
    theirs["inference_batch_latency_micro_secs"]["sum"] = 4 * 100_000
    assert cross_check(measured(98_900), theirs)["agrees"] is True  # 1,100 of 1,189
    assert cross_check(measured(98_700), theirs)["agrees"] is False  # 1,300 of 1,187


@pytest.mark.parametrize("key", ["count", "sum", "min", "max"])
def test_sizes_must_be_equal(key):
    size = {**SIZE, "step": "T/B", key: SIZE[key] + 1}
    found = cross_check(measured(), beams(inference_request_batch_size=size))
    assert found["agrees"] is False
    assert found["differences"] == [f"batch size {key}: Beam {SIZE[key] + 1}, ours {SIZE[key]}"]


@pytest.mark.parametrize("counted", [{"num_inferences": {"value": 39}}, {"num_inferences": {}}])
def test_the_number_of_inferences_must_be_equal(counted):
    found = cross_check(measured(), beams(**counted))
    assert found["agrees"] is False
    value = counted["num_inferences"].get("value")
    assert found["differences"] == [f"inferences: Beam {value}, ours 40"]


@pytest.mark.parametrize("without", [{"retried_batches": 1}, {"empty_batches": 1}], ids=str)
def test_latencies_are_not_compared_if_a_batch_has_none_of_ours(without):
    found = cross_check(measured(**without), beams(5000))
    assert found == {"agrees": True, "differences": []}


def test_all_that_differs_is_listed():
    counted = {"num_inferences": {"value": 0}, "inference_request_batch_size": {**SIZE, "sum": 1}}
    assert len(cross_check(measured(), beams(5000, **counted))["differences"]) == 3


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (measured(), {}),
        (measured(), {"num_inferences": {"value": 40}}),
        (measured(batch_size=None), beams()),
    ],
)
def test_what_is_not_there_is_unknown_and_not_equal(ours, theirs):
    found = cross_check(ours, theirs)
    assert found["agrees"] is None
    assert found["reason"] == "Beam's metrics are not there"


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
    latency = Distribution(count=40, sum=40 * OURS_US, min=0, max=99_999)
    return measured(batches=40, batch_sizes={1: 40}, batch_size=ones, batch_latency=latency)


def test_with_models_per_key_sums_are_compared_and_latencies_of_calls():
    found = cross_check(calls(), per_key())
    assert (found["agrees"], found["differences"]) == (True, [])
    assert found["latency_gap_us"] == 100
    assert found["reason"].startswith("models per key")
    assert cross_check(calls(), per_key(301))["agrees"] is False
    assert cross_check(calls(), per_key(-5))["agrees"] is False


def test_with_models_per_key_a_lost_element_is_a_difference():
    size = {"count": 2, "sum": 39, "min": 14, "max": 25}
    found = cross_check(calls(), per_key(inference_request_batch_size=size))
    assert found["differences"] == ["batch size sum: Beam 39, ours 40"]


def test_without_models_per_key_such_sizes_differ():
    theirs = {name: value for name, value in per_key().items() if name not in COHORTS}
    assert cross_check(calls(), theirs)["agrees"] is False
