"""What a benchmark's page says without its charts: read as text, without a browser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from stepped_history import BENCHMARK, CHANGE, run_id, stepped_runs

from beambench.analysis.change_points.policy import AlarmPolicy
from beambench.site.benchmark_page import render_benchmark
from beambench.site.data.histories import benchmark_history
from beambench.site.data.outlines import outline_of
from beambench.site.templating import Page, environment
from beambench.store.summaries import HistoryRun
from published_runs import run_record

NOW = "2026-02-12T00:00:00.000Z"


def rendered(records: list[Any]) -> str:
    runs = [HistoryRun.model_validate_json(record.model_dump_json()) for record in records]
    history = benchmark_history(BENCHMARK, runs, NOW, AlarmPolicy())
    outline = outline_of(history, "key", (), (), {}, demo=False)
    return render_benchmark(environment(), Page("../", NOW), history, outline)


@pytest.fixture(scope="module")
def stepped() -> str:
    return rendered(stepped_runs(("stock",)))


def rows(page: str, heading: str) -> list[str]:
    """Return the rows of the table below a heading."""
    table = page.partition(f'<h2 id="{heading}">')[2].partition("</table>")[0]
    return table.partition("<tbody>")[2].split("<tr")[1:]


def test_the_planted_change_stands_in_the_table_of_changes(stepped):
    row = next(row for row in rows(stepped, "changes") if "throughput_elements" in row)
    assert f"runs/{run_id(CHANGE)}.html" in row
    assert "worse" in row
    assert re.search("\N{MINUS SIGN}(19|20|21)\\.\\d %", row)
    assert "torch 2.13.0 -&gt; 2.14.0" in row


def test_the_newest_runs_stand_in_a_table_with_interval_and_n(stepped):
    listed = rows(stepped, "runs")
    assert len(listed) == 40
    assert f"runs/{run_id(39)}.html" in listed[0]
    assert re.search(r"[\d.]+ 1/s<small>[\d.]+ 1/s – [\d.]+ 1/s, n = 6", listed[0])


def test_the_page_loads_its_data_and_no_script_of_a_record(stepped):
    assert '<script src="stepped.js"></script>' in stepped
    assert "<script>" not in stepped


def test_the_definition_says_what_it_is():
    definition = {
        "title": "Mine",
        "description": "See https://example.org/model and javascript:alert(1)",
        "model": {"name": "tiny", "weights": "pretrained"},
        "cluster": {"machine_type": "n1-standard-2", "workers": 75},
        "profiles": {"full": {"limit": 50000}},
    }
    page = rendered([run_record(1, config={"definition": definition})])
    assert '<a href="https://example.org/model"' in page
    assert 'href="javascript' not in page
    for text in ("tiny", "pretrained", "n1-standard-2", "75", "50000", "Mine"):
        assert text in page


def test_a_definition_of_another_hand_breaks_nothing():
    for definition in ({"model": "text", "profiles": []}, {"title": {"a": 1}, "cluster": None}):
        assert "<h1>" in rendered([run_record(1, config={"definition": definition})])


def test_runs_in_no_series_are_counted():
    page = rendered([run_record(1), run_record(2, status="failed")])
    assert "In no series: 1 failed." in page


def test_a_metric_that_a_run_lacks_is_unknown():
    page = rendered([run_record(1), run_record(2, metrics={})])
    assert "unknown" in "".join(rows(page, "runs"))
