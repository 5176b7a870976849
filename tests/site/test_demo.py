"""The demonstration's store: the same at any time, and marked as one on every page."""

from __future__ import annotations

from datetime import date

import pytest

from beambench.analysis.change_points.policy import AlarmPolicy
from beambench.site.benchmark_pages import SiteRequest
from beambench.site.build import build_site
from beambench.site.demo.__main__ import fill
from beambench.site.demo.subjects import DAYS, SUBJECTS, Event
from beambench.store import RunStore, sqlite_url
from beambench.watch.series import series_of_runs

UNTIL = date(2026, 11, 30)
FEW_DAYS = 5


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    with RunStore.open(sqlite_url(tmp_path_factory.mktemp("demo") / "demo.db")) as store:
        fill(store, UNTIL, FEW_DAYS)
        yield store


def all_of(store):
    runs = [run for name in store.benchmarks() for run in store.history(name)]
    comparisons = [
        each for name in store.comparisons.benchmarks() for each in store.comparisons.newest(name)
    ]
    return runs, comparisons


def test_the_same_night_gives_the_same_runs_and_comparisons(demo, tmp_path):
    with RunStore.open(sqlite_url(tmp_path / "again.db")) as again:
        fill(again, UNTIL, FEW_DAYS)
        assert all_of(again) == all_of(demo)


def test_runs_are_marked_fail_and_end_as_they_are_meant_to(demo):
    runs, comparisons = all_of(demo)
    assert all("demo" in run.labels for run in runs)
    newest = {name: demo.history(name, limit=1)[0] for name in demo.benchmarks()}
    assert newest["sklearn-digits"].started_at.startswith("2026-11-30")
    assert newest["overhead-noop"].status == "failed"
    assert "pytorch-text-embedding-minilm" not in newest  # stale for longer than these days
    assert len(comparisons) == 5
    assert {each.verdict for each in comparisons} == {"faster", "slower", "same"}


def test_every_page_says_that_its_runs_were_made_up(demo, tmp_path):
    out = tmp_path / "site"
    build_site(demo, SiteRequest(out, "2026-11-30T06:00:00Z", policy=AlarmPolicy()))
    pages = list(out.rglob("*.html"))
    assert len(pages) > 30
    assert [path.name for path in pages if "made up" not in path.read_text("utf-8")] == []


def test_a_drift_grows_and_stays():
    drift = Event(100, "overhead", 4.0, until=200)
    assert [drift.at(day) for day in (99, 100, 150, 200, 300)] == [1, 1, 2, 4, 4]
    step = Event(100, "overhead", 1.5)
    assert [step.at(day) for day in (99, 100, 101)] == [1, 1.5, 1.5]
    assert all(0 <= event.day < DAYS for subject in SUBJECTS for event in subject.events)


def test_a_planted_step_is_found(tmp_path):
    with RunStore.open(sqlite_url(tmp_path / "year.db")) as store:
        fill(store, UNTIL, 40)
        (series,), _ = series_of_runs(store.history("onnx-digits", limit=45), "run_time")
    planted = next(
        event.day for each in SUBJECTS if each.benchmark == "onnx-digits" for event in each.events
    )
    starts = {level.point.time[:10] for level in series.levels}
    assert date.fromordinal(UNTIL.toordinal() + planted - DAYS + 1).isoformat() in starts
