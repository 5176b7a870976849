"""Runs as CSV and Markdown: no text of others becomes a formula, a row or markup."""

from __future__ import annotations

import csv
import io

import pytest

from beambench.presentation import exports
from beambench.printable import printable
from published_runs import repeat, run_record

NOW = "2026-11-22T10:00:00Z"


@pytest.mark.parametrize("beginning", ["=", "+", "-", "@", "\t=", "\r=", "\n="])
def test_no_cell_of_csv_is_a_formula_or_a_row_of_its_own(beginning):
    text = f"{beginning}1\r=2\n=3\t4"
    metric = {"value": -1.0, "unit": "s", "direction": "lower", "n": 1}
    written = exports.as_csv([run_record(metrics={text: metric})])
    (row,) = csv.DictReader(io.StringIO(written, newline=""))
    assert (row["metric"], row["value"]) == (f"'{printable(text)}", "-1.0")


def test_csv_has_a_row_for_each_metric():
    record = run_record(labels={}, model={"name": "=HYPERLINK(1)", "weights": "none"})
    rows = list(csv.DictReader(io.StringIO(exports.as_csv([record]))))
    assert [(row["metric"], row["value"], row["unit"], row["n"]) for row in rows] == [
        ("throughput_elements", "3169.25", "1/s", "6"),
        ("peak_rss", "1500000000.0", "B", "6"),
    ]
    assert rows[0]["model"] == "'=HYPERLINK(1)"  # a spreadsheet would compute it
    assert rows[1]["ci_low"] == ""


def test_markdown_has_a_table_for_each_run():
    record = run_record(benchmark="a|b", variant="<script>")
    text = exports.as_markdown([record])
    assert text.startswith(
        "## a\\|b, &lt;script>: run 20260131T100001Z-00000001\n\n"
        "2026-01-31T10:00:01.000Z; succeeded; profile smoke; runner direct; input synthetic; "
        "weights none; verified\n\n"
        "| metric | value | unit | 95 % interval | n | better |\n"
    )
    assert "| throughput\\_elements | 3169.25 | 1/s | 3000 – 3300.5 | 6 | higher |" in text


def test_rows_say_what_rests_on_disturbed_repeats_and_what_is_unverified():
    quiet = {"noise": {"disturbed": False}}
    record = run_record(
        repeats=[
            repeat(0, noise={"disturbed": True}),
            repeat(1, noise={"disturbed": True}, excluded="repeat 3 counts in its place"),
            repeat(2, **quiet),
        ],
        verification={
            "elements_in": 50,
            "elements_out": 50,
            "elements_failed": 0,
            "duplicates": 0,
            "unverified": "no reference",
        },
    )
    assert "; unverified: no reference\n" in exports.as_markdown([record])
    (row, _) = csv.DictReader(io.StringIO(exports.as_csv([record])))
    told = {name: row[name] for name in ("unverified", "schema_version", "disturbed_repeats")}
    assert told == {"unverified": "no reference", "schema_version": "2", "disturbed_repeats": "1"}
    (unjudged, _) = csv.DictReader(io.StringIO(exports.as_csv([run_record(repeats=[repeat()])])))
    assert unjudged["disturbed_repeats"] == ""


def test_markdown_shows_no_text_of_others_as_markup():
    metric = {"value": 1.0, "unit": "[u](x)|", "direction": "lower", "n": 1}
    text = exports.as_markdown(
        [
            run_record(
                input={"kind": "<b>", "count": None, "digest": None},
                metrics={"m\n# x": metric},
                profile="~~p~~ $x$",
                runner={"requested": "*r*", "executed": None},
                imported={"source": "a\x1b[2J\u202e`b`", "format": "beam", "imported_at": NOW},
            )
        ]
    )
    assert (
        "profile \\~\\~p\\~\\~ \\$x\\$; runner \\*r\\*; input &lt;b>; weights none; "
        "verified; imported from a \\[2J \\`b\\`\n" in text
    )
    assert "\n| m # x | 1 | \\[u\\](x)\\| |  | 1 | lower |\n" in text
