"""Warnings of model loads within the windows, and of weights that were not in memory."""

from __future__ import annotations

from typing import Any

import pytest

from beambench.controller.loads import warnings_of_loads
from beambench.record.run_record import Repeat


def warnings(**fields: Any) -> list[str]:
    repeat = Repeat(
        index=0, arm="pipeline", status="succeeded", started_at="", finished_at="", **fields
    )
    return warnings_of_loads("pipeline repeat 1", repeat)


@pytest.mark.parametrize("cached", [None, 1.0, 0.995])
@pytest.mark.parametrize("loads", [None, 0])
def test_loads_before_the_window_of_warm_files_are_as_expected(loads, cached):
    assert warnings(late_loads=loads, steady_loads=loads, weights_cached=cached) == []


def test_loads_in_a_window_are_named():
    assert warnings(late_loads=1) == [
        "pipeline repeat 1: 1 model load ended in the window of the throughput, after the first "
        "element was read: its rate is not of inference alone"
    ]
    assert warnings(late_loads=3, steady_loads=2)[1] == (
        "pipeline repeat 1: 2 model loads ended in the steady window: its rate is not of inference "
        "alone"
    )


def test_weights_from_the_disk_are_named():
    assert warnings(weights_cached=0.25) == [
        "pipeline repeat 1: the page cache held 25% of the weights before the load, so the load "
        "read from the disk and is not that of a warm file"
    ]
