"""What is wrong with the histories of a store."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from beambench.analysis.change_points.policy import AlarmPolicy
from beambench.errors import UsageError
from beambench.watch.alarms import alarms_of_benchmark
from beambench.watch.backtest import backtest, noise_of
from beambench.watch.policy import assignments, policy_of
from published_runs import run_record

NOISE = (0.6, -1.2, 0.3, 1.4, -0.5, -0.9, 1.1, -0.2, 0.8, -1.4, 0.1, -0.6, 1.3, -0.8, 0.4, -0.1)
BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def runs(*levels, direction="higher", **changed):
    """Return a run a day, of levels that are each (value, days) long."""
    days = [value for value, count in levels for _ in range(count)]
    return [run(day, value, direction, **changed) for day, value in enumerate(days)]


def run(day, level, direction="higher", **changed):
    began = (BEGIN + timedelta(days=day)).isoformat()
    rate = level * (1 + NOISE[day % len(NOISE)] / 100)
    return run_record(
        day,
        started_at=began,
        finished_at=began,
        metrics={
            "throughput_elements": {"value": rate, "unit": "1/s", "direction": direction, "n": 6}
        },
        verification=run_record().verification.model_dump() | {"passed": True},
        **changed,
    )


def raised(stored, days=None):
    """Return the alarms of a benchmark so many days after its first run."""
    now = (BEGIN + timedelta(days=len(stored) if days is None else days)).isoformat()
    return alarms_of_benchmark("mine", stored, ["throughput_elements"], AlarmPolicy(), now)


def test_a_worse_level_is_new_at_the_run_that_raises_it_and_open_afterwards():
    (new,) = raised(runs((100, 30), (80, 3)))
    (still,) = raised(runs((100, 30), (80, 8)))

    assert (new.kind, new.metric, new.state) == ("change", "throughput_elements", "new")
    assert still.state == "open"
    assert [level.level.change.index for level in still.levels] == [30]
    assert "-20" in still.summary or "-19" in still.summary


def test_a_level_that_came_back_has_recovered():
    (alarm,) = raised(runs((100, 30), (80, 15), (99, 12)))

    assert alarm.state == "recovered"


@pytest.mark.parametrize(("direction", "level"), [("higher", 120), ("lower", 80)])
def test_a_better_level_is_no_alarm(direction, level):
    assert raised(runs((100, 30), (level, 10), direction=direction)) == []


def test_a_metric_without_a_better_direction_raises_none():
    assert raised(runs((100, 30), (50, 10), direction="neither")) == []


def test_changes_of_several_series_are_one_alarm():
    tuned = [each.model_copy(update={"variant": "tuned"}) for each in runs((50, 30), (40, 8))]

    (alarm,) = raised(runs((100, 30), (80, 8)) + tuned)

    assert sorted(level.series.kind.variant for level in alarm.levels) == ["stock", "tuned"]


@pytest.mark.parametrize(("days", "count"), [(9 + 3, 0), (9 + 4, 1)])
def test_runs_are_missing_after_three_periods(days, count):
    alarms = raised(runs((100, 10)), days=days)

    assert [alarm.kind for alarm in alarms] == ["missing"] * count
    assert all("no run for 4.0 days, where one came every 24.0 h" in a.summary for a in alarms)


def test_too_few_runs_are_never_missing():
    assert raised(runs((100, 3)), days=900) == []


def test_another_definition_is_an_alarm_until_a_change_could_be_seen():
    old = runs((100, 20))
    new = [run(20 + day, 100, definition_hash="ef" * 32) for day in range(13)]

    (first,) = raised([*old, *new[:1]])
    (later,) = raised([*old, *new[:12]])

    assert (first.kind, first.state, later.state) == ("definition", "new", "open")
    assert new[0].run_id in first.summary
    assert raised([*old, *new]) == []


def test_a_policy_is_tried_on_the_history_its_noise_and_planted_steps():
    values = [run(day, 100).metrics["throughput_elements"].value for day in range(30)]
    values += [0.8 * value for value in values[:10]]
    groups = ["m"] * len(values)
    noise = noise_of(values, groups)
    assert noise is not None
    assert len(noise) == 30

    lax, strict = (
        backtest(values, groups, noise, AlarmPolicy(threshold=each), repetitions=40, seed=1)
        for each in (2.0, 3.55)
    )

    assert (strict.alarms, strict.looks) == (1, 21)
    assert strict.detections[0.2].share == 1
    assert lax.false.alarms > strict.false.alarms
    assert strict.false_alarms_a_year(365) == strict.false.alarms / strict.false.looks * 365


def test_noise_of_too_short_a_stretch_is_unknown():
    assert noise_of([100.0] * 11, ["m"] * 11) is None
    assert noise_of([100.0] * 22, ["m"] * 11 + ["n"] * 11) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"thresold": 4}, "here: unknown setting 'thresold' .did you mean 'threshold'"),
        ({"threshold": "high"}, "here: threshold: expected a number, not 'high'"),
        ({"view": 40.5}, "here: view: expected a whole number"),
        ({"view": True}, "here: view: expected a whole number"),
        ({"threshold": 0.1}, "here: threshold 0.1: must be at least 1.0"),
    ],
)
def test_a_setting_that_cannot_be_is_named(settings, message):
    with pytest.raises(UsageError, match=message):
        policy_of(settings, "here")


def test_settings_are_read_from_texts():
    assert assignments(["threshold=4.5", "view=60"], "--policy") == {"threshold": 4.5, "view": 60}
    for wrong in ("threshold", "threshold=", "threshold=a", "view=1.2.3"):
        with pytest.raises(UsageError, match="expected NAME=NUMBER"):
            assignments([wrong], "--policy")
