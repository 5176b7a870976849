"""Text of others in Markdown, and the issues of alarms."""

from __future__ import annotations

import pytest

from beambench.presentation.issues import alarm_texts
from beambench.presentation.markdown import code, code_block
from beambench.watch.alarms import WatchAlarm


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "`plain`"),
        ("@team #1 <b> www.x.y [a](b)", "`@team #1 <b> www.x.y [a](b)`"),
        ("a`b", "``a`b``"),
        ("``", "``` `` ```"),
        ("", "` `"),
        ("a\nb\u202e", "`a\\nb\\u202e`"),
        ("x" * 300, f"`{'x' * 200}`"),
    ],
)
def test_text_of_others_is_code(text, shown):
    assert code(text) == shown


def test_a_block_of_code_is_ended_by_nothing_in_it():
    assert code_block(["a", "````", "</code>\n```"]) == ("`````text\na\n````\n</code>\\n```\n`````")


def test_definitions_of_several_variants_are_one_issue():
    began = "2026-01-31T10:33:00.000Z"
    alarms = [
        WatchAlarm("@mine", "definition", None, state, f"{variant}, local: <b>", began)
        for variant, state in (("stock", "open"), ("tuned", "new"))
    ]

    (text,) = alarm_texts(alarms)

    assert (text.title, text.state) == ("`@mine`: another definition", "new")
    assert "- `stock, local: <b>`\n- `tuned, local: <b>`" in text.facts
    assert "beambench history @mine\n" in text.chart
