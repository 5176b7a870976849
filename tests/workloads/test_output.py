"""Targets of predictions: what a text names, what is refused, and a row of each format."""

from __future__ import annotations

from pathlib import Path

import pytest

from beambench.errors import UsageError
from beambench.workloads.output import Target, check_file, row


@pytest.mark.parametrize(
    ("text", "place", "format"),
    [
        ("out.jsonl", "out.jsonl", "jsonl"),
        ("deep/out.TXT", "deep/out.TXT", "jsonl"),
        ("gs://bucket/out.parquet", "gs://bucket/out.parquet", "parquet"),
        ("bq:my-project.set.table", "my-project:set.table", "bigquery"),
        ("bq://example.com:p.set.table-1", "example.com:p:set.table-1", "bigquery"),
    ],
)
def test_the_ending_says_how_it_is_written(text, place, format):  # noqa: A002
    assert Target.of(text) == Target(place, format)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected PATH.jsonl"),
        ("out.csv", "expected PATH.jsonl"),
        ("gs://bucket/", "expected PATH.jsonl"),
        ("out[1].jsonl", "as a pattern"),
        ("s3://bucket/out.jsonl", "s3://bucket…: only gs:// addresses"),
        ("https://host/out.jsonl?token=plans", "https://host…: only gs:// addresses"),
        ("bq:set.table", "expected bq:PROJECT.DATASET.TABLE"),
        ("bq:p.set.`table`", "expected bq:PROJECT.DATASET.TABLE"),
    ],
)
def test_other_targets_are_refused(text, words):
    with pytest.raises(UsageError) as caught:
        Target.of(text)
    assert str(caught.value).startswith("output ")
    assert words in str(caught.value)
    assert "plans" not in str(caught.value)


def test_a_file_is_replaced_only_when_told_to(tmp_path):
    target = Target.of(str(tmp_path / "out.jsonl"))
    check_file(target, overwrite=False)
    Path(target.place).write_text("mine")
    check_file(target, overwrite=True)
    with pytest.raises(UsageError, match=r"out\.jsonl: is there already: --overwrite replaces it"):
        check_file(target, overwrite=False)
    with pytest.raises(UsageError, match=r"no folder .*gone: make it first"):
        check_file(Target.of(str(tmp_path / "gone" / "out.jsonl")), overwrite=True)
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(UsageError, match="is a folder: name a file"):
        check_file(Target.of(str(tmp_path / "folder.jsonl")), overwrite=True)


def test_a_row_has_one_type_a_column_where_columns_have_types():
    assert row(("a", 3, [0.5], None), text=False) == {"id": "a", "label": 3, "error": None}
    assert row(("a", 3, None, None), text=True) == {"id": "a", "label": "3", "error": None}
    failed = ("a", None, None, ("read", "OSError: gone"))
    assert row(failed, text=True) == {"id": "a", "label": None, "error": "read: OSError: gone"}
    assert row(("a", "\ud800", None, None), text=True)["label"] == "\\ud800"
