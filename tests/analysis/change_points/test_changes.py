"""Changes of short histories whose answer is known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain, cycle, islice

import numpy as np
import pytest

import beambench
from beambench.analysis.change_points.evaluation import alarms_of
from beambench.analysis.change_points.policy import AlarmPolicy

# Deterministic noise of 1 % without a trend or correlation of neighbours.
NOISE = (0.6, -1.2, 0.3, 1.4, -0.5, -0.9, 1.1, -0.2, 0.8, -1.4, 0.1, -0.6, 1.3, -0.8, 0.4, -0.1)


def history(*levels: tuple[float, int]) -> list[float]:
    """Return values of levels, each so many runs long."""
    noise: Iterator[float] = cycle(NOISE)
    return list(
        chain.from_iterable(
            [level * (1 + each / 100) for each in islice(noise, runs)] for level, runs in levels
        )
    )


def monitored(values, **given):
    monitor = beambench.AlarmMonitor()
    return [
        alarm
        for index, value in enumerate(values)
        if (alarm := monitor.observe(value, **{name: row[index] for name, row in given.items()}))
    ]


@pytest.mark.parametrize("ratio", [1.2, 1 / 1.2])
def test_a_step_has_an_index_a_direction_and_a_ratio_within_its_interval(ratio):
    (change,) = beambench.detect_changes(history((100, 30), (100 * ratio, 30)))

    assert change.index == 30
    assert change.direction == ("up" if ratio > 1 else "down")
    assert change.ratio == pytest.approx(ratio, rel=0.01)
    assert change.ratio_low <= ratio <= change.ratio_high
    assert change.confidence > 0.999
    assert change.kind == "step"


@pytest.mark.parametrize("ratio", [1.2, 1 / 1.2])
def test_an_alarm_is_raised_at_the_third_run_of_a_new_level(ratio):
    (alarm,) = monitored(history((100, 30), (100 * ratio, 14)))

    assert (alarm.index, alarm.observed_at, alarm.revises) == (30, 32, None)
    assert alarm.direction == ("up" if ratio > 1 else "down")
    assert alarm.ratio_low <= ratio <= alarm.ratio_high


@pytest.mark.parametrize("values", [history((100, 60)), [5.0] * 60, [], [1.0], history((1, 12))])
def test_a_level_has_no_change(values):
    assert beambench.detect_changes(values) == []
    assert monitored(values) == []


def test_values_that_repeat_have_a_step():
    values = [2.0] * 20 + [3.0] * 10

    assert [change.index for change in beambench.detect_changes(values)] == [20]
    assert [(alarm.index, alarm.ratio) for alarm in alarms_of(values)] == [
        (20, pytest.approx(1.5)),
    ]


def test_outliers_apart_from_each_other_are_no_change():
    values = history((100, 40))
    values[20] *= 3
    values[26] *= 3
    values[38] /= 3

    assert beambench.detect_changes(values) == []
    assert monitored(values) == []


def test_a_second_step_is_raised_while_the_first_is_open():
    values = history((100, 30), (120, 10), (150, 10))

    assert [alarm.index for alarm in alarms_of(values)] == [30, 40]
    assert [change.index for change in beambench.detect_changes(values)] == [30, 40]


def test_levels_are_compared_within_a_group_only():
    values = history((100, 20), (150, 20), (100, 20))
    groups = ["a"] * 20 + ["b"] * 20 + ["a"] * 20

    assert beambench.detect_changes(values, groups=groups) == []
    assert monitored(values, group=groups) == []


def test_arrays_are_taken_as_lists_are():
    values, groups = history((100, 20), (150, 20)), ["a"] * 40
    times = np.arange(40)

    from_arrays = beambench.detect_changes(np.array(values), groups=np.array(groups), times=times)

    assert from_arrays == beambench.detect_changes(values, groups=groups, times=times.tolist())
    assert len(from_arrays) == 1


def test_a_step_within_a_group_has_its_index_in_the_whole_history():
    values = history((100, 20), (150, 20), (180, 20))
    groups = ["a"] * 20 + ["b"] * 40

    assert [change.index for change in beambench.detect_changes(values, groups=groups)] == [40]
    assert [alarm.index for alarm in monitored(values, group=groups)] == [40]


def test_noise_of_earlier_segments_shows_a_step_in_a_short_one():
    values = history((100, 20), (150, 20), (100, 8), (140, 3))
    groups = ["a"] * 20 + ["b"] * 20 + ["a"] * 11

    assert [alarm.index for alarm in monitored(values, group=groups)] == [48]
    assert monitored(values[40:]) == []


def test_an_excursion_that_ends_is_taken_back():
    values = history((100, 30), (115, 4), (100, 26))

    assert [alarm.index for alarm in alarms_of(values)] == [30]


def test_a_drift_is_called_one():
    values = [level * 1.004**run for run, level in enumerate(history((100, 60)))]

    kinds = {change.kind for change in beambench.detect_changes(values)}
    assert kinds == {"drift"}


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_values_alarms_hang_together(seed):
    """Repeating values, outliers, steps, groups that change, and policies of every kind."""
    chance = np.random.default_rng(seed)
    values = np.exp(chance.normal(0, chance.choice([0, 1e-9, 0.001, 0.05, 3]), 120))
    values = np.repeat(values, 4)[:120] if seed % 3 == 0 else values
    values[60:] *= chance.choice([0.5, 1, 1e3])
    values[chance.integers(0, 120, 5)] *= 1e6
    groups = np.cumsum(chance.random(120) < chance.choice([0, 0.02, 0.3])) % 3
    policy = AlarmPolicy(
        threshold=2, least_runs=2, most_runs=4 + seed, first_runs=4 + seed % 5, view=40 + seed
    )
    monitor, raised = beambench.AlarmMonitor(policy), set[int]()

    for index, (value, group) in enumerate(zip(values.tolist(), groups.tolist(), strict=True)):
        alarm = monitor.observe(value, group=group)
        if alarm is not None:
            assert alarm.observed_at == index
            assert 0 < alarm.index < index
            assert groups[alarm.index - 1] == groups[alarm.index] == group
            assert (alarm.ratio > 1) == (alarm.direction == "up")
            assert alarm.ratio_low <= alarm.ratio <= alarm.ratio_high
            assert 0 <= alarm.confidence <= 1
            assert alarm.revises is None or alarm.revises in raised
            raised.add(index)
    changes = beambench.detect_changes(values.tolist(), groups=groups.tolist(), policy=policy)
    indexes = [change.index for change in changes]
    assert indexes == sorted(set(indexes))
    assert all(groups[index - 1] == groups[index] for index in indexes)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_value_that_no_history_has_is_named_by_its_index(value):
    monitor = beambench.AlarmMonitor()
    monitor.observe(1.0)

    with pytest.raises(ValueError, match=r"value 1: .* above 0"):
        monitor.observe(value)
    with pytest.raises(ValueError, match=r"value 2: .* above 0"):
        beambench.detect_changes([1.0, 2.0, value])


def test_a_value_that_is_refused_is_left_out():
    monitor = beambench.AlarmMonitor()
    monitor.observe(1.0, time=5)

    with pytest.raises(ValueError, match=r"time 1: 4 must be finite and not before the last, 5"):
        monitor.observe(2.0, time=4)
    with pytest.raises(ValueError, match="value 1"):
        monitor.observe(-2.0, time=6)
    assert monitor.observe(2.0, time=5) is None


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="groups: 1 for 2 values"):
        beambench.detect_changes([1.0, 2.0], groups=["a"])
    with pytest.raises(ValueError, match="time 1: 1"):
        beambench.detect_changes([1.0, 2.0], times=[2, 1])


@pytest.mark.parametrize("wrong", [{"least_runs": 1}, {"most_runs": 2}, {"threshold": math.nan}])
def test_a_policy_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AlarmPolicy(**wrong)


def test_the_policy_decides_how_soon_and_how_small_a_change_is():
    values = history((100, 30), (103, 30))

    assert beambench.detect_changes(values, policy=AlarmPolicy(least_change=0.05)) == []
    assert alarms_of(values, AlarmPolicy(least_change=0.05)) == []
    assert alarms_of(values, AlarmPolicy(threshold=6, settled_threshold=6))[0].observed_at > 34


@pytest.mark.parametrize("levels", [((5e-324, 12), (1.7e308, 12)), ((1.7e308, 12), (5e-324, 12))])
def test_levels_as_far_apart_as_numbers_can_be_have_a_finite_ratio(levels):
    values = [value for value, runs in levels for _ in range(runs)]
    (change,) = beambench.detect_changes(values)
    assert change.index == 12
    assert all(0 < end < math.inf for end in (change.ratio_low, change.ratio, change.ratio_high))
    assert monitored(values)
