"""The charts of a benchmark in a browser: what is drawn, and what a reader does with it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from made_up_charts import ATTACK, LARGE_RUNS, SHIFT_AT
from playwright.sync_api import Locator, Page
from stepped_history import CHANGE, run_id

from beambench.site.data.chart_data import COMMIT_DIGITS

pytestmark = pytest.mark.real

ELEMENTS = "elements-rate-by-date"


def pane_of(page: Page, chart: str, number: int = 0) -> Locator:
    """Return a pane once it is drawn; that begins when it is on the screen."""
    pane = page.locator(f"figure[data-chart='{chart}'] .pane").nth(number)
    pane.scroll_into_view_if_needed()
    page.wait_for_function("pane => pane.dataset.changes !== undefined", arg=pane.element_handle())
    return pane


def changes_of(pane: Locator) -> list[dict[str, Any]]:
    return json.loads(pane.get_attribute("data-changes") or "")


def plot_box(pane: Locator) -> dict[str, float]:
    box = pane.locator(".u-over").bounding_box()
    assert box is not None
    return {**box}


def test_a_planted_change_is_drawn_where_it_is(visit):
    page = visit("benchmarks/stepped.html")
    pane = pane_of(page, ELEMENTS)
    (change,) = changes_of(pane)
    assert change["run"] == run_id(CHANGE)
    first, last = (float(pane.get_attribute(f"data-{end}") or "") for end in ("from", "to"))
    when = page.evaluate(f"Date.parse('2026-01-{CHANGE + 1}T03:00:00Z') / 1000")
    width = plot_box(pane)["width"]
    assert change["left"] == pytest.approx((when - first) / (last - first) * width, abs=1)
    # The line of the change is the only thing that fills a column of the canvas from top to foot.
    column = pane.locator("canvas").evaluate(
        """(canvas, left) => {
          const over = canvas.parentElement.querySelector(".u-over");
          const [x, y] = [over.offsetLeft + left, over.offsetTop + over.offsetHeight / 3];
          return Array.from(canvas.getContext("2d").getImageData(x - 1, y, 3, 1).data);
        }""",
        change["left"],
    )
    reds = [column[at] - column[at + 2] for at in range(0, 12, 4)]
    assert max(reds) > 100
    events = page.locator(f"figure[data-chart='{ELEMENTS}'] details")
    events.locator("summary").click()
    assert "Change point: Throughput elements −2" in events.inner_text()
    assert "torch 2.13.0" in events.inner_text()


def test_points_are_left_out_only_where_pixels_lack_and_changes_never(visit):
    page = visit("benchmarks/large.html")
    pane = pane_of(page, "elements")
    total, points = (int(pane.get_attribute(f"data-{name}") or "") for name in ("total", "points"))
    assert total == LARGE_RUNS
    assert LARGE_RUNS / 4 < points < LARGE_RUNS
    (change,) = changes_of(pane)
    assert change["index"] == SHIFT_AT
    for _ in range(3):
        pane.focus()
        page.keyboard.press("+")
    assert int(pane.get_attribute("data-points") or "") <= LARGE_RUNS / 8 + 4


def test_lines_are_broken_where_runs_are_of_another_group(visit):
    page = visit("benchmarks/made-up.html")
    pieces = json.loads(pane_of(page, "elements").get_attribute("data-pieces") or "")
    assert pieces == {"series-0": 1, "series-1": 2, "series-2": 1, "series-3": 1}


def test_dragging_zooms_all_charts_and_a_double_click_resets(visit):
    page = visit("benchmarks/stepped.html")
    pane = pane_of(page, ELEMENTS)
    whole = (pane.get_attribute("data-from"), pane.get_attribute("data-to"))
    box = plot_box(pane)
    y = box["y"] + 10
    page.mouse.move(box["x"] + box["width"] * 0.5, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, y, steps=3)
    page.mouse.up()
    first, last = (float(pane.get_attribute(f"data-{end}") or "") for end in ("from", "to"))
    share = (last - first) / (float(whole[1] or "") - float(whole[0] or ""))
    assert share == pytest.approx(0.25, abs=0.02)
    other = pane_of(page, "bytes-rate-by-date")
    assert float(other.get_attribute("data-from") or "") == first
    box = plot_box(pane_of(page, ELEMENTS))
    page.mouse.dblclick(box["x"] + 5, box["y"] + 5)
    assert (pane.get_attribute("data-from"), pane.get_attribute("data-to")) == whole
    assert "from=" not in page.url


def test_the_address_holds_the_whole_view(visit):
    page = visit("benchmarks/stepped.html")
    page.locator("input[data-series]").nth(1).uncheck()
    page.get_by_role("button", name="30 days").click()
    page.get_by_role("button", name="From zero").click()
    page.get_by_label("Filter charts by metric").fill("throughput")
    pane = pane_of(page, ELEMENTS)
    pane.focus()
    page.keyboard.press("End")
    page.keyboard.press("p")
    shown = {name: pane.get_attribute(f"data-{name}") for name in ("from", "to", "points")}
    again = visit("benchmarks/stepped.html" + page.url[page.url.index("#") :])
    pane = pane_of(again, ELEMENTS)
    assert {name: pane.get_attribute(f"data-{name}") for name in shown} == shown
    assert not again.locator("input[data-series]").nth(1).is_checked()
    assert again.locator(".pins tbody tr").count() == 1
    assert again.get_by_role("button", name="From zero").get_attribute("aria-pressed") == "true"
    assert again.get_by_label("Filter charts by metric").input_value() == "throughput"
    assert again.locator("figure[data-chart='run-time-and-cost']").is_hidden()


@pytest.mark.parametrize("view", ["#from=x&to=1e999", "#off=none&pin=none&chart=none", "#%"])
def test_an_address_of_nothing_shows_everything(visit, view):
    page = visit(f"benchmarks/stepped.html{view}")
    assert int(pane_of(page, ELEMENTS).get_attribute("data-points") or "") == 80


def test_a_point_tells_all_of_its_run_and_opens_it(visit):
    page = visit("benchmarks/stepped.html")
    pane = pane_of(page, ELEMENTS)
    (change,) = changes_of(pane)
    box = plot_box(pane)
    at = (box["x"] + change["left"], box["y"] + change["top"])
    page.mouse.move(*at)
    card = page.locator(".card")
    text = card.inner_text()
    for part in ("stock", "80.", "95 %", "2026-01-31 03:00 UTC", f"{CHANGE:040x}"[:COMMIT_DIGITS],
                 "2.77.0", "beambench run", "Change point", "torch 2.13.0"):  # fmt: skip
        assert part in text
    page.mouse.click(*at)
    page.wait_for_url(f"**/runs/{run_id(CHANGE)}.html")


def test_the_keyboard_reaches_every_run(visit):
    page = visit("benchmarks/stepped.html")
    pane_of(page, ELEMENTS).focus()
    card = page.locator(".card")
    seen = []
    for key in ("Home", "ArrowRight", "ArrowDown", "End", "ArrowLeft"):
        page.keyboard.press(key)
        seen.append((card.get_attribute("data-run") or "")[-8:])
    assert seen == [f"{number:08x}" for number in (0, 1, 41, 79, 78)]
    assert "Throughput elements" in page.locator("[aria-live]").inner_text()
    page.keyboard.press("Escape")
    assert card.is_hidden()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/*-0000004d.html")


def downloaded(page: Page, chart: str, kind: str) -> Path:
    with page.expect_download() as download:
        page.locator(f"figure[data-chart='{chart}'] [data-download='{kind}']").click()
    assert download.value.suggested_filename.endswith(f"{chart}.{kind.lower()}")
    return Path(download.value.path())


def test_a_chart_is_downloaded_as_data_and_as_a_picture(visit):
    page = visit("benchmarks/stepped.html")
    rows = list(csv.DictReader(io.StringIO(downloaded(page, ELEMENTS, "CSV").read_text("utf-8"))))
    assert len(rows) == 80
    assert rows[CHANGE]["run"] == run_id(CHANGE)
    assert (rows[CHANGE]["unit"], rows[CHANGE]["commit"]) == (
        "1/s",
        f"{CHANGE:040x}"[:COMMIT_DIGITS],
    )
    data = json.loads(downloaded(page, ELEMENTS, "JSON").read_text("utf-8"))
    assert [row["value"] for row in data["rows"]] == [float(row["value"]) for row in rows]
    assert downloaded(page, ELEMENTS, "PNG").read_bytes().startswith(b"\x89PNG")


def test_a_chart_is_shown_alone_and_large(visit):
    page = visit("benchmarks/stepped.html")
    height = plot_box(pane_of(page, ELEMENTS))["height"]
    page.locator(f"[data-enlarge='{ELEMENTS}']").click()
    again = visit("benchmarks/stepped.html" + page.url[page.url.index("#") :])
    for each in (page, again):
        assert each.locator("figure.figure:visible").count() == 1
        assert plot_box(pane_of(each, ELEMENTS))["height"] > 1.5 * height
    page.get_by_role("button", name="Show all charts").click()
    assert page.locator("figure.figure:visible").count() > 5
    assert "chart=" not in page.url


def test_series_are_hidden_only_by_the_reader(visit):
    page = visit("benchmarks/made-up.html")
    assert page.locator("input[data-series]:checked").count() == 4
    pane = pane_of(page, "elements")
    all_points = int(pane.get_attribute("data-points") or "")
    page.get_by_role("button", name="Only tuned").click()
    assert page.locator("input[data-series]:checked").count() == 1
    assert int(pane.get_attribute("data-points") or "") < all_points / 3
    page.get_by_role("button", name="Only tuned").click()
    assert int(pane.get_attribute("data-points") or "") == all_points


def test_names_made_to_attack_stay_text(visit):
    page = visit("benchmarks/made-up.html")
    pane_of(page, "hostile").focus()
    page.keyboard.press("End")
    page.keyboard.press("p")
    shown = ATTACK.replace("\u202e", "\\u{202e}")
    for place in (".series-label >> nth=3", ".figure h2 >> nth=-1", ".card-value", ".card-command"):
        assert shown in page.locator(place).inner_text()
    assert page.locator("main img, main script").count() == 0
    assert "attacked" not in page.title()


def test_nothing_moves_while_a_page_loads(visit):
    page = visit("benchmarks/made-up.html")
    pane_of(page, "elements")
    moved = page.evaluate(
        """() => new Promise((resolve) => {
          let sum = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
          }).observe({ type: "layout-shift", buffered: true });
          requestAnimationFrame(() => requestAnimationFrame(() => resolve(sum)));
        })"""
    )
    assert moved < 0.01
