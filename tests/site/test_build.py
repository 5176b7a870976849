"""What `build_site` writes, read as files: no browser."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from beambench.errors import UsageError
from beambench.site.benchmark_pages import SiteRequest
from beambench.site.build import build_site
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
