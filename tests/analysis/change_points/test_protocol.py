"""The default policy on simulated histories: false alarms, steps seen and how soon.

The seeds are fixed, so a test either passes or does not. `benchmarks/alarms.py` prints the whole
table. Under `make torture` 1,000 histories are watched; else 100, and a bound is moved by two
standard errors of what so few can show.
"""

from __future__ import annotations

import math
import os

import numpy as np
import pytest

from beambench.analysis.change_points.evaluation import alarms_of, detection, false_alarms
from beambench.analysis.change_points.segmentation import detect_changes
from histories import STEP, Source

pytestmark = pytest.mark.torture

FULL = os.environ.get("BEAMBENCH_TEST_TORTURE") == "full"
COUNT = 1000 if FULL else 100
DEVIATION_OF_RUNS = 3.5


def at_most(share: float) -> float:
    return share if FULL else share + 2 * math.sqrt(share * (1 - share) / COUNT)


def at_least(share: float) -> float:
    return 1 - at_most(1 - share)


def test_a_clean_history_rarely_raises_an_alarm():
    rates = [false_alarms(np.exp(Source(1, COUNT).noise(cv))).share for cv in (0.02, 0.2)]

    assert max(rates) <= at_most(0.05)


@pytest.mark.parametrize(
    ("variation", "change", "least_share", "most_runs"),
    [
        (0.02, 0.03, 0.80, 7),
        (0.02, 0.05, 0.98, 4),
        (0.05, 0.05, 0.30, math.inf),
        (0.05, 0.10, 0.92, 5.5),
        (0.05, 0.20, 0.99, 3),
        (0.02, -0.05, 0.98, 4),
        (0.05, -0.10, 0.92, 5.5),
    ],
)
def test_a_step_is_seen_soon(variation, change, least_share, most_runs):
    seen = detection(np.exp(Source(2, COUNT).step(variation, change)), STEP)

    assert seen.runs is not None
    assert seen.distance is not None
    assert seen.share >= at_least(least_share)
    assert seen.runs <= most_runs + (0 if FULL else 2 * DEVIATION_OF_RUNS / math.sqrt(seen.seen))
    assert seen.distance <= 1
    assert seen.drifts <= at_most(0.05) * seen.seen


def test_spikes_and_machines_that_are_named_rarely_raise_an_alarm():
    histories, machines = Source(3, COUNT).machines(0.05)

    assert false_alarms(np.exp(Source(3, COUNT).spikes(0.05))).share <= at_most(0.08)
    assert false_alarms(np.exp(histories), groups=machines.tolist()).share <= at_most(0.05)


def test_correlated_noise_and_machines_without_a_name_raise_fewer_alarms_than_elsewhere():
    histories, _ = Source(4, COUNT).machines(0.05)

    assert false_alarms(np.exp(Source(4, COUNT).correlated(0.05))).share < 0.51
    assert false_alarms(np.exp(histories)).share < 0.83


def test_most_alarms_of_a_drift_are_called_one():
    alarms = [alarm for row in np.exp(Source(5, COUNT).drift(0.05)) for alarm in alarms_of(row)]

    assert len(alarms) >= COUNT / 2
    assert sum(alarm.kind == "drift" for alarm in alarms) >= at_least(0.5) * len(alarms)


def test_an_older_step_hides_no_newer():
    histories = Source(6, COUNT).step(0.05, 0.2)
    histories[:, 20:] += math.log(0.7)

    assert detection(np.exp(histories), STEP).share >= at_least(0.99)


def test_outliers_at_the_end_hide_no_step():
    histories = Source(7, COUNT).step(0.05, 0.3, at=49)
    histories[:, -2:] += math.log(3)
    near = [
        any(abs(change.index - 49) <= 3 for change in detect_changes(row))
        for row in np.exp(histories)
    ]

    assert sum(near) >= at_least(0.95) * len(near)


def test_hindsight_finds_no_change_in_noise():
    changed = [bool(detect_changes(row)) for row in np.exp(Source(8, COUNT).noise(0.05))]

    assert sum(changed) <= at_most(0.05) * len(changed)
