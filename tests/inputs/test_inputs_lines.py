"""Lines of text: what a file holds, what is made, and that any bytes survive the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beambench.errors import UsageError
from beambench.inputs import lines
from beambench.inputs.elements import Element, parsed, written
from beambench.inputs.manifest import Manifest, check_source, resolve_input
from property_checks import CHECKED


def resolved(source: str, tmp_path: Path, limit: int | None = None, **options: object) -> Manifest:
    kind = str(options.get("type", "sentences"))
    return resolve_input(kind, source, limit=limit, seed=0, cache_dir=tmp_path)


def test_a_line_that_is_not_empty_is_an_element_named_by_its_number(tmp_path):
    path = tmp_path / "input.txt"
    path.write_bytes(b"\xef\xbb\xbfone two\r\n\n   \n\xff\xfe broken\nlast")
    manifest = resolved(str(path), tmp_path)
    assert manifest.ids == ["1", "4", "5"]
    assert manifest.contents == [b"one two", b"\xff\xfe broken", b"last"]
    assert (manifest.kind, manifest.bytes) == ("file", 20)


def test_the_label_column_of_a_tsv_file_is_no_part_of_the_sentence(tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_text("a fine film\t1\n\t0\nno tab\n")
    assert lines.read_file(str(path)) == [("1", b"a fine film"), ("3", b"no tab")]


@CHECKED
@given(st.lists(st.binary().filter(lambda line: b"\n" not in line)))
def test_any_bytes_come_back_as_they_were(contents):
    ids = [str(number) for number in range(len(contents))]
    text = list(written(ids, contents))
    assert all(line.isascii() and "\n" not in line for line in text)
    assert [parsed(line, None) for line in text] == list(map(Element, ids, contents))


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_a_file_without_a_line_is_refused(tmp_path, content):
    path = tmp_path / "empty.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="has no line that is not empty"):
        check_source("sentences", str(path))


def test_a_directory_is_no_text_file(tmp_path):
    with pytest.raises(UsageError, match="expected a text file with one element on each line"):
        check_source("prompts", str(tmp_path))


@pytest.mark.parametrize("kind", lines.TYPES)
@pytest.mark.parametrize(("source", "named"), [("packaged", "derived"), ("synthetic", "synthetic")])
def test_what_is_made_is_marked_and_the_same_for_the_same_seed(tmp_path, kind, source, named):
    manifest = resolved(source, tmp_path, 300, type=kind)
    again = resolved(source, tmp_path, 300, type=kind)
    assert (manifest.kind, len(manifest.ids)) == (named, 300)
    assert manifest.contents is not None
    assert all(manifest.contents)
    assert (manifest.digest, manifest.contents) == (again.digest, again.contents)
    other = resolve_input(kind, source, limit=300, seed=1, cache_dir=tmp_path)
    assert other.digest != manifest.digest


def test_more_sentences_than_the_manual_has_are_new_ones(tmp_path):
    manifest = resolved("packaged", tmp_path, 3000)
    assert manifest.contents is not None
    assert len(manifest.contents) == 3000
    assert len(set(manifest.contents)) > 2900
    assert all(len(line.split()) >= 4 for line in manifest.contents)


def test_a_prompt_is_the_beginning_of_a_sentence(tmp_path):
    manifest = resolved("packaged", tmp_path, 50, type="prompts")
    assert manifest.contents is not None
    assert all(len(line.split()) < 16 for line in manifest.contents)


def test_fewer_lines_than_asked_for_is_said(tmp_path):
    path = tmp_path / "two.txt"
    path.write_text("a b\nc d\n")
    manifest = resolved(str(path), tmp_path, 5)
    assert manifest.ids == ["1", "2"]
    assert "has 2 of the 5 elements" in manifest.warnings[0]
