"""The start page and the summary: what they say of benchmarks, from the histories of their runs."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from beambench.analysis.change_points.policy import AlarmPolicy, Change
from beambench.record.baseline import Baseline
from beambench.site.data.histories import benchmark_history
from beambench.site.data.movers import CLEAREST, _mover
from beambench.site.data.outlines import BenchmarkOutline, outline_of
from beambench.site.start_page import render_start
from beambench.site.summary_page import SILENT, summary_of
from beambench.site.templating import Page, environment
from beambench.store.summaries import HistoryRun
from beambench.watch.series import Level, Point, Series
from published_runs import run_record

FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)
NOISE = (0.6, -1.2, 0.3, 1.4, -0.5, -0.9, 1.1, -0.2, 0.8, -1.4, 0.1, -0.6, 1.3, -0.8, 0.4, -0.1)
DAYS = 150


def nightly(day: int, rate: float = 100.0, **changed: Any) -> HistoryRun:
    began = (FIRST + timedelta(days=day)).isoformat()
    value = rate * (1 + NOISE[day % len(NOISE)] / 100)
    metric = {"value": value, "unit": "1/s", "direction": "higher", "n": 6}
    parts = {
        "run_id": f"run-{day:03d}",
        "started_at": began,
        "finished_at": began,
        "metrics": {"throughput_elements": metric},
    }
    record = run_record(1, **parts | changed)
    return HistoryRun.model_validate_json(record.model_dump_json())


def at(day: int) -> str:
    return (FIRST + timedelta(days=day)).isoformat()


def outline(
    runs: list[HistoryRun], baselines: tuple[Baseline, ...] = (), name: str = "mine"
) -> BenchmarkOutline:
    history = benchmark_history(name, runs, at(DAYS), AlarmPolicy())
    return outline_of(history, "key", (), baselines, {}, demo=False)


@pytest.fixture(scope="module")
def steady() -> BenchmarkOutline:
    return outline([nightly(day) for day in range(DAYS)], name="steady")


@pytest.fixture(scope="module")
def slower() -> BenchmarkOutline:
    """A history that lost a tenth 20 days before its end."""
    runs = [nightly(day, 100 if day < DAYS - 20 else 90) for day in range(DAYS)]
    return outline(runs, name="slower")


def start_page(outlines: list[BenchmarkOutline], now: str) -> str:
    return render_start(environment(), Page(root="", built_at=now), outlines)


def test_the_newest_run_and_its_history_stand_in_the_outline(steady):
    assert steady.throughput is not None
    assert (steady.throughput.unit, steady.throughput.n) == ("1/s", 6)
    assert (steady.newest_run, steady.runs, steady.period) == ("run-149", DAYS, 86400.0)
    assert [len(piece) for piece in steady.history] == [60]
    assert (steady.problem, steady.alarms, steady.latency) == (None, [], None)


def test_a_change_for_the_worse_is_an_alarm_and_a_real_mover(slower):
    assert [alarm.metric for alarm in slower.alarms] == ["throughput_elements"]
    (mover,) = slower.movers
    assert (mover.judgement, mover.since) == ("worse", "run-130")
    assert mover.change == pytest.approx(-0.1, abs=0.01)
    assert mover.effect is not None
    assert mover.effect > 10
    assert (mover.before, mover.newest) == (10, 5)


def test_noise_moves_nothing(steady):
    (mover,) = steady.movers
    assert (mover.judgement, mover.since) == ("noise", None)


def test_a_series_on_another_machine_is_left_out_with_the_reason():
    runs = [
        nightly(day, environment={"machine_digest": "old" if day < 100 else "new"})
        for day in range(DAYS)
    ]
    (mover,) = outline(runs).movers
    assert mover.reason == "fewer than 3 runs before the quarter on this machine and definition"


def test_the_line_of_a_history_does_not_join_machines():
    runs = [
        nightly(day, environment={"machine_digest": "old" if day < 20 else "new"})
        for day in range(30)
    ]
    found = outline(runs)
    assert [len(piece) for piece in found.history] == [20, 10]
    page = start_page([found], at(30))
    assert page.count("<polyline") == 2
    assert page.count('class="sparkline-newest"') == 1


def test_the_summary_counts_what_is_real_and_what_is_left_out(steady, slower):
    short = outline([nightly(day) for day in range(DAYS - 5, DAYS)], name="short")
    summary = summary_of([steady, slower, short], at(DAYS))
    assert (summary.comparable, summary.watched) == (2, 3)
    assert [each.benchmark.name for each in summary.movers] == ["slower"]
    assert summary.count(worse=True, real=True) == 1
    assert summary.count(worse=False, real=True) == summary.count(worse=True, real=False) == 0
    assert list(summary.left_out.values()) == [1]


def test_a_benchmark_that_is_silent_is_left_out_of_the_summary(slower):
    summary = summary_of([slower], at(DAYS + 200))
    assert (summary.comparable, summary.left_out) == (0, {SILENT: 1})


def test_a_stale_benchmark_is_flagged_when_the_page_is_written(steady):
    assert 'data-flags="stale"' not in start_page([steady], at(DAYS + 1))
    page = start_page([steady], at(DAYS + 9))
    assert 'data-flags="stale"' in page
    assert "no run for 10.0 days, where one came every 24.0 h" in page


def test_a_failing_benchmark_comes_before_those_that_need_nobody(steady):
    runs = [nightly(day) for day in range(20)] + [nightly(20, status="failed")]
    failing = outline(runs, name="zebra")
    assert failing.problem == "failed"
    assert failing.newest_run == "run-020"
    page = start_page([steady, failing], at(20))
    assert page.index("zebra") < page.index("steady")
    assert 'data-flags="failing"' in page


@pytest.mark.parametrize(("rate", "verdict"), [(100.0, "passed"), (80.0, "failed")])
def test_the_newest_run_is_checked_against_the_newest_baseline(rate, verdict):
    runs = [nightly(day) for day in range(30)] + [nightly(30, rate)]
    names = [f"run-{day:03d}" for day in range(20, 26)]
    saved = Baseline(name="release", benchmark="mine", created_at=at(26), run_ids=names)
    found = outline(runs, (saved,)).baseline
    assert found is not None
    assert (found.verdict, found.run_id, found.metric) == (
        verdict,
        "run-030",
        "throughput_elements",
    )
    assert found.change == pytest.approx(rate / 100 - 1, abs=0.03)


def test_a_baseline_whose_runs_are_not_shown_is_unknown():
    saved = Baseline(name="old", benchmark="mine", created_at=at(0), run_ids=["a", "b", "c"])
    without = outline([nightly(day) for day in range(5)], (saved,))
    assert without.baseline is not None
    assert without.baseline.verdict == "unknown"
    assert "its runs, or later ones like them, are not among those shown" in (
        start_page([without], at(5))
    )


def test_a_benchmark_without_runs_has_a_line():
    page = start_page([outline([])], at(0))
    assert "no run" in page
    assert "unknown" in page


def test_rates_as_far_apart_as_numbers_can_be_break_nothing():
    far = outline([nightly(day, 1e300 if day > 120 else 1e-300) for day in range(DAYS)])
    (mover,) = far.movers
    assert mover.judgement == "better"
    assert "e+299 1/s" in start_page([far], at(DAYS))
    assert BenchmarkOutline.model_validate_json(far.model_dump_json()) == far


def test_a_change_without_any_noise_is_the_clearest():
    runs = [nightly(16 * day, 100 if day < 25 else 50) for day in range(30)]
    (mover,) = [each for each in outline(runs).movers if each.metric == "throughput_elements"]
    assert (mover.noise, mover.effect) == (pytest.approx(0), CLEAREST)
    assert mover.judgement == "worse"


@pytest.mark.parametrize(
    ("rate", "judgement"),
    [
        (97.1, "noise"),  # 3.5 standard errors: beyond 3, but with 4 degrees of freedom no wonder
        (93.0, "worse"),
    ],
)
def test_what_few_runs_tell_of_the_noise_asks_for_more(rate, judgement):
    values = [100.0, 101.0, 99.0, rate, 1.01 * rate, 0.99 * rate]
    points = tuple(Point(f"run-{at}", "", value, "group") for at, value in enumerate(values))
    change = Change(3, "down", rate / 100, 0.9, 1.0, 0.99, "step")
    series = Series("rate", "1/s", "up", None, points, (Level(change, points[3], ()),), ())
    mover = _mover(series, "label", 3)
    assert mover.effect is not None
    assert mover.effect > 3
    assert mover.judgement == judgement


def test_a_side_of_a_duet_is_not_the_newest_run(steady):
    runs = [nightly(day) for day in range(10)]
    duet = nightly(11, 50, labels={"comparison": "compare-1", "schedule": "duet"})
    shown = outline([*runs, duet])
    assert (shown.newest_run, shown.problem) == ("run-009", None)
    assert shown.throughput is not None
    assert shown.throughput.value > 90
    assert outline([*runs, nightly(11, 50, labels={"schedule": "duet"})]).newest_run == "run-011"
