"""Every kind of page in a browser: it opens, its tables work, and it can be used by all."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from stepped_history import run_id

from attack_records import attack_comparison, attack_record
from beambench.site.slugs import slug

pytestmark = pytest.mark.real

ATTACK = attack_record()
KINDS = {
    "start": "index.html",
    "summary": "summary.html",
    "glossary": "glossary.html",
    "benchmark": "benchmarks/stepped.html",
    "made-up benchmark": "benchmarks/made-up.html",
    "run": f"runs/{run_id(3)}.html",
    "attacking run": f"runs/{slug(ATTACK.run_id)}.html",
    "attacking comparison": f"comparisons/{slug(attack_comparison(ATTACK).comparison_id)}.html",
}
VIEWS = {"dark": {"scheme": "dark"}, "telephone": {"width": 390}}
"""Of the dark one only colours are looked at: the rest is that of the other, which is light."""


def test_pages_open_from_a_server(visit_served):
    for path in KINDS.values():
        page = visit_served(path)
        assert page.locator("h1").count() == 1


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("kind", KINDS)
def test_pages_can_be_used_by_all(visit, kind, view):
    page = visit(KINDS[kind], **VIEWS[view])
    assert page.locator("h1").count() == 1
    # It would fetch the style sheets again, which the page's policy forbids.
    only = {"runOnly": ["color-contrast"]} if view == "dark" else {}
    results = Axe().run(page, options={"preload": False, **only})
    assert results.violations_count == 0, results.generate_report()
    if view == "telephone":
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_start_page_filters(visit):
    page = visit("index.html")
    rows = page.locator("#benchmarks tbody tr:visible")
    every = rows.count()
    page.get_by_label("Filter benchmarks").fill("STEP")
    expect(rows).to_have_count(1)
    assert "stepped" in rows.inner_text()
    again = visit("index.html" + page.url[page.url.index("#") :])
    assert again.locator("#benchmarks tbody tr:visible").count() == 1
    page.get_by_label("Filter benchmarks").fill("")
    expect(rows).to_have_count(every)
    assert "#" not in page.url
    page.locator("[data-flag='failing']").click()
    assert "broken" in rows.inner_text()
    assert page.locator("[data-flag='failing']").get_attribute("aria-pressed") == "true"


def test_the_start_page_sorts_by_mouse_and_keyboard(visit):
    page = visit("index.html")
    heading = page.locator("#benchmarks th", has_text="runs").last
    cells = page.locator("#benchmarks tbody td:last-child")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    numbers = list(map(int, cells.all_inner_texts()))
    assert numbers == sorted(numbers, reverse=True)
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert list(map(int, cells.all_inner_texts())) == sorted(numbers)
    again = visit("index.html" + page.url[page.url.index("#") :])
    again_cells = again.locator("#benchmarks tbody td:last-child")
    assert list(map(int, again_cells.all_inner_texts())) == sorted(numbers)


def test_what_attacks_stays_text(visit):
    for kind in ("attacking run", "attacking comparison"):
        page = visit(KINDS[kind])
        assert page.locator("main img, main iframe").count() == 0
        assert page.locator("a[href^='javascript:' i]").count() == 0
        assert page.locator("script:not([src]):not([type='application/json'])").count() == 0
