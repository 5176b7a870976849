"""What `build_site` writes, read as files: no browser."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from beambench.errors import UsageError
from beambench.experiments.comparison.effects import Limits
from beambench.experiments.comparison.stored import compare_stored
from beambench.site.benchmark_pages import SiteRequest
from beambench.site.build import build_site
from beambench.site.files import locked
from beambench.site.slugs import slug
from beambench.site.templating import CONTENT_SECURITY_POLICY
from beambench.store.run_store import RunStore
from published_runs import run_record

NOW = "2026-02-01T00:00:00.000Z"
RUN_IDS = [run_record(number).run_id for number in range(3)]


@pytest.fixture
def store(tmp_path):
    with RunStore.open(f"sqlite:///{tmp_path}/runs.db") as runs:
        for number in range(3):
            runs.add(run_record(number))
        yield runs


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "site"


def request(out: Path, **changed) -> SiteRequest:
    return SiteRequest(out, NOW, **changed)


def pages(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*.html")}


def test_a_site_has_a_page_for_each_benchmark_and_run(store, out):
    built = build_site(store, request(out))
    assert (built.benchmarks, built.runs, built.comparisons, built.written) == (1, 3, 0, 8)
    assert pages(out) == {
        "index.html",
        "summary.html",
        "glossary.html",
        "benchmarks/published-tests.html",
        *(f"runs/{slug(run_record(number).run_id)}.html" for number in range(3)),
    }


def test_every_page_has_its_policy_and_asks_no_other_host(store, out):
    build_site(store, request(out))
    for name in pages(out):
        text = (out / name).read_text("utf-8")
        policy = CONTENT_SECURITY_POLICY.replace("'", "&#39;")
        assert f'http-equiv="Content-Security-Policy" content="{policy}"' in text
        assert "<script>" not in text
        assert 'src="http' not in text
        assert 'href="http' not in text


def test_only_what_is_new_is_written_again(store, out):
    build_site(store, request(out))
    store.add(run_record(7))
    built = build_site(store, request(out))
    assert (built.runs, built.written) == (
        4,
        6,
    )  # with data of its charts


def test_a_run_that_cannot_be_read_has_no_page_and_is_not_tried_again(store, out, tmp_path):
    with sqlite3.connect(tmp_path / "runs.db") as database:
        database.execute("UPDATE runs SET document = '{}' WHERE run_id = ?", (RUN_IDS[0],))
    assert build_site(store, request(out)).runs == 2
    assert build_site(store, request(out)).written == 3


def test_pages_of_runs_that_are_left_out_go(store, out):
    build_site(store, request(out))
    build_site(store, request(out, since="2026-01-31T10:00:02Z"))
    assert [name for name in pages(out) if name.startswith("runs/")] == [
        f"runs/{slug(run_record(2).run_id)}.html"
    ]


def test_a_folder_of_something_else_is_left_alone(store, out):
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty and holds no site"):
        build_site(store, request(out))
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_an_unknown_benchmark_is_named(store, out):
    with pytest.raises(UsageError, match="no run of a benchmark 'published-test' in this store"):
        build_site(store, request(out, benchmarks=("published-test",)))
    assert not out.exists()


def test_text_of_records_stays_text(tmp_path, out):
    attack = "</script><img src=x onerror=alert(1)>"
    with RunStore.open(f"sqlite:///{tmp_path}/attack.db") as runs:
        runs.add(run_record(1, benchmark=attack, variant=attack, labels={attack: attack}))
        build_site(runs, request(out))
    texts = [path.read_text("utf-8") for path in out.rglob("*.html")]
    assert len(texts) == 5
    assert not any("<img" in text or "</script><" in text for text in texts)


def test_a_folder_with_a_site_json_of_others_is_left_alone(store, out):
    (out / "benchmarks").mkdir(parents=True)
    theirs = out / "benchmarks/mine.js"
    theirs.write_text("1")
    (out / "site.json").write_text('{"title": "my blog"}')
    with pytest.raises(UsageError, match=r"its site\.json is not of beambench: name a new folder"):
        build_site(store, request(out))
    assert theirs.exists()
    assert not (out / "index.html").exists()


def test_what_a_link_leads_to_is_not_removed(store, out, tmp_path):
    build_site(store, request(out))
    elsewhere = tmp_path / "elsewhere"
    (out / "comparisons").rmdir()
    elsewhere.mkdir()
    (elsewhere / "theirs.html").write_text("theirs")
    (out / "comparisons").symlink_to(elsewhere)
    build_site(store, request(out))
    assert (elsewhere / "theirs.html").exists()


def test_a_first_build_that_fails_can_be_made_again(store, out, monkeypatch):
    with pytest.raises(UsageError, match="nonsense"):
        build_site(store, request(out, since="nonsense"))
    with monkeypatch.context() as patch:
        patch.setattr("beambench.site.build.copy_assets", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build_site(store, request(out))
    assert build_site(store, request(out)).runs == 3


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_pages_of_a_build_that_was_killed_are_not_taken_for_whole(store, out, monkeypatch):
    build_site(store, request(out))
    page = out / "benchmarks/published-tests.html"
    whole = page.read_text("utf-8")
    since = run_record(2).started_at
    with monkeypatch.context() as patch:
        patch.setattr("beambench.site.build.render_start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build_site(store, request(out, since=since))
    assert page.read_text("utf-8") != whole
    assert build_site(store, request(out)).runs == 3
    assert page.read_text("utf-8") == whole


def test_a_build_waits_for_another_one(store, out):
    build_site(store, request(out))
    store.add(run_record(7))
    with ThreadPoolExecutor(1) as pool:
        with locked(out):
            building = pool.submit(build_site, store, request(out))
            with pytest.raises(TimeoutError):
                building.result(timeout=0.3)
            assert not (out / f"runs/{slug(run_record(7).run_id)}.html").exists()
        assert building.result(timeout=60).runs == 4


def test_the_sides_of_a_comparison_without_a_page_are_no_links(store, out):
    base, candidate = run_record(0), run_record(2)
    limits = Limits(0.03, 0.01)
    comparison = compare_stored(store, base, candidate, limits, allow_different=True)
    build_site(store, request(out, since=candidate.started_at))
    text = (out / f"comparisons/{slug(comparison.comparison_id)}.html").read_text("utf-8")
    assert f'href="../runs/{slug(candidate.run_id)}.html"' in text
    assert f'href="../runs/{slug(base.run_id)}.html"' not in text
