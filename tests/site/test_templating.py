"""How values are written in pages, and what no text of others can do there."""

from __future__ import annotations

import json

import pytest

from beambench.site.templating import Page, change, environment, render, script_json, when


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [
        (1.0, "+0.0 %"),
        (0.9, "\N{MINUS SIGN}10.0 %"),
        (1.234, "+23.4 %"),
        (12.5, "×12.5"),
        (1e304, "×1e+304"),
        (1e-304, "\N{MINUS SIGN}100.0 %"),
    ],
)
def test_a_ratio_is_a_change_in_percent(ratio, shown):
    assert change(ratio) == shown


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        ("2026-01-31T10:00:00.000Z", "2026-01-31 10:00 UTC"),
        ("2026-01-31T10:00:00+02:00", "2026-01-31 08:00 UTC"),
        (None, "unknown"),
        ("no time\u202e", "no time\\u202e"),
    ],
)
def test_a_time_is_in_utc_and_says_so(time, shown):
    assert when(time) == shown


def test_json_in_a_script_ends_neither_the_script_nor_the_line():
    data = {"</script><!--": "&\u2028\u2029", "n": [1.5, None]}
    text = str(script_json(data))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == data
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json([float("nan")])


def test_every_page_is_escaped_and_marked():
    page = Page("../", "2026-01-31T10:00:00Z", demo=True)
    values = {"metrics": (), "cost": {"name": "<b>", "formula": "<script>"}}
    text = render(environment(), "glossary.html", page, values)
    assert "<b>" not in text
    assert "<script>" not in text
    assert "were made up" in text
    assert 'href="../assets/site.css"' in text
