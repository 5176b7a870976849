"""Pages of a run and of a comparison in a browser: the record as tables, ratios where they are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from attack_records import attack_record, document_with_nan
from beambench.analysis.comparison import ALPHA, MARGIN
from beambench.experiments.comparison.document import Circumstances, ComparedRun, make_comparison
from beambench.experiments.comparison.effects import Limits, RepeatPair
from beambench.site.comparison_page import render_comparison
from beambench.site.files import write_page
from beambench.site.run_page import render_run
from beambench.site.slugs import slug
from beambench.site.templating import Page, environment
from beambench.store.summaries import HistoryRun
from compared_runs import compared_run
from published_runs import run_record

pytestmark = pytest.mark.real
RECORD = run_record(1)
RUN = f"runs/{slug(RECORD.run_id)}.html"
ATTACK = f"runs/{slug(attack_record().run_id)}.html"
PAGE = Page("../", "2026-02-12T00:00:00Z")


@pytest.fixture(scope="module")
def with_nan(site: Path) -> str:
    """Path of a run's page whose record holds what JSON has not."""
    document = document_with_nan(attack_record())
    run = HistoryRun.model_validate_json(document)
    write_page(site / "runs/nan.html", render_run(environment(), run, document, PAGE))
    return "runs/nan.html"


@pytest.fixture(scope="module")
def comparison(site: Path) -> str:
    """Path of the page of a comparison whose candidate is a tenth slower in preprocessing."""
    runs = [compared_run(1), compared_run(2, slower={"preprocess": 0.4})]
    sides = zip(*(run.repeats for run in runs), strict=True)
    pairs = [RepeatPair(at, ("base", "candidate"), *pair) for at, pair in enumerate(sides)]
    made = make_comparison(
        *map(ComparedRun, runs),
        Circumstances(schedule="interleaved", created_at="2026-02-01T00:00:00Z", pairs=pairs,
                      limits=Limits(MARGIN, ALPHA)),
    )  # fmt: skip
    by_id = {run.run_id: run for run in runs}
    text = render_comparison(environment(), made, PAGE, runs=by_id, candidates=[made], pages=by_id)
    write_page(site / "comparisons/made.html", text)
    return "comparisons/made.html"


def test_a_record_becomes_tables(visit):
    page = visit(RUN)
    headings = page.locator("#record-tables h2").all_inner_texts()
    assert headings == ["Results", "Verification", "Repeats", "Environment", "Configuration",
                        "Everything else"]  # fmt: skip
    cells = page.locator("#record-tables section").first.locator("tbody tr").all_inner_texts()
    assert [re.split(r"\s*\t\s*", cell)[:2] for cell in cells] == [
        ["throughput_elements", "3,169 1/s"],
        ["peak_rss", "1.5 GB"],
    ]
    assert not page.locator("#record-json").is_visible()


def test_what_is_large_is_made_when_it_is_opened(visit):
    page = visit(RUN)
    section = page.locator("section", has=page.locator("#record-repeats"))
    assert "num_inferences" not in section.inner_text()
    section.get_by_text("All of repeat 1").click()
    section.locator("tr", has_text="beam_metrics").locator("summary").first.click()
    section.get_by_text("num_inferences").wait_for()


def test_the_record_is_downloaded_as_it_is_stored(visit):
    page = visit(RUN)
    with page.expect_download() as started:
        page.get_by_role("button", name="Download the record").click()
    assert started.value.suggested_filename == f"{RECORD.run_id}.json"
    assert json.loads(Path(started.value.path()).read_text("utf-8")) == json.loads(
        RECORD.model_dump_json()
    )


@pytest.mark.parametrize("path", [ATTACK, "with_nan"])
def test_every_text_of_a_record_that_attacks_is_shown_as_text(visit, with_nan, path):
    page = visit(with_nan if path == "with_nan" else path)
    assert page.locator("#record-tables h2").count() > 5
    closed = page.locator("#record-tables details:not([open]) > summary")
    opened = 0
    while opened < 40 and closed.count():
        closed.first.click()
        opened += 1
    assert closed.count() == 0
    assert opened > 5
    assert page.evaluate("[window.attacked, ({}).polluted]") == [None, None]
    assert page.locator("main img, main iframe, main script").count() == 0
    shown = page.locator("#record-tables").inner_text()
    assert "window.attacked = 1" in shown
    assert not set("\u202e\u2066\x07\x1b") & set(shown)
    if path == "with_nan":
        assert "-Infinity" in shown


def test_without_scripts_the_record_is_there_to_read(chromium, site):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.as_uri()}/{RUN}")
    assert json.loads(page.locator("#record-json").inner_text()) == json.loads(
        RECORD.model_dump_json()
    )
    assert not page.get_by_role("button", name="Download the record").is_visible()
    context.close()


def test_ratios_stand_on_their_side_of_the_axis(visit, comparison):
    page = visit(comparison)
    assert "slower" in page.locator("h1").inner_text()
    places = {
        name: float(point.rstrip("%"))
        for name, point in page.locator(".ratios tbody tr").evaluate_all(
            "rows => rows.map(row => [row.querySelector('th').innerText.trim(), "
            "row.querySelector('circle').getAttribute('cx')])"
        )
    }
    assert places["throughput_elements"] < 48
    assert places["preprocess"] > 75
    assert abs(places["inference"] - 50) < 1
    assert page.locator("svg.pairs circle").count() >= 6
    assert "block 1: base" in page.locator("svg.pairs circle title").first.text_content()


@pytest.mark.parametrize(
    "view", [{}, {"scheme": "dark"}, {"width": 390}], ids=["light", "dark", "telephone"]
)
def test_a_comparison_can_be_used_by_all(visit, comparison, view):
    page = visit(comparison, **view)
    results = Axe().run(page, options={"preload": False})
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= view.get("width", 1280)
