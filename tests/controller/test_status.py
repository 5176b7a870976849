"""The status and the first error of a run."""

from __future__ import annotations

import pytest

from beambench.controller.status import error_of, status_of
from task_results import efficiency_of, execute, judged, observe, result_of


@pytest.mark.parametrize(
    ("statuses", "expected", "status"),
    [
        ("ss", 2, "succeeded"),
        ("s", 2, "failed"),
        ("", 1, "failed"),
        ("sf", 2, "failed"),
        ("fs", 2, "failed"),
        ("ft", 2, "timed_out"),
        ("tf", 2, "timed_out"),
        ("tcf", 3, "cancelled"),
        ("fsct", 4, "cancelled"),
    ],
)
def test_the_worst_status_is_that_of_the_run(statuses, expected, status):
    names = {"s": "succeeded", "f": "failed", "t": "timed_out", "c": "cancelled"}
    repeats = [
        judged("pipeline", 0, result_of(observe(), status=names[letter]), 0.01)
        for letter in statuses
    ]
    assert status_of(repeats, expected) == status


def test_an_efficiency_above_the_limit_beyond_noise_is_an_error():
    execution = execute(("pipeline", 1))
    assert error_of(execution, {}) is None
    assert error_of(execution, efficiency_of(5)) is None
    assert error_of(execution, efficiency_of(5, 1.02)) is None
    assert (
        error_of(execution, efficiency_of(5, 1.021))
        == "pipeline_efficiency is above 1.02 beyond noise: measured wrongly"
    )


def test_the_first_error_of_a_repeat_is_that_of_the_run():
    loop_crashed = execute(("pipeline", 1), ("loop", None), ("pipeline", 1))
    message = "the worker was killed by SIGKILL: out of memory?"
    assert error_of(loop_crashed, efficiency_of(5, 4)) == f"loop repeat 1: {message}"
    both = execute(("pipeline", 1), ("loop", None), ("pipeline", None))
    assert error_of(both, {}) == f"pipeline repeat 2: {message}"
