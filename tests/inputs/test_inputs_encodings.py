"""Sentences as people save them: encodings, line ends, stray bytes, compressed files."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import Path

import pytest
import zstandard

from beambench.errors import UsageError
from beambench.inputs import lines
from beambench.inputs.manifest import Manifest, check_source, resolve_input

RUSSIAN = ["ответ книга школа читает", "синий музыка утро", "собака быстро бежит домой"] * 40
CHINESE = ["一二三四五六七八九十上下左右", "大小多少", "天地人和上海一下"] * 40
ENGLISH = ["The cat sat on the mat.", "Yes", "Good morning"] * 40


def saved(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def resolved(source: str, limit: int | None = None) -> Manifest:
    return resolve_input("sentences", source, limit=limit, seed=0, cache_dir=Path("/nonexistent"))


def refused(source: str) -> str:
    with pytest.raises(UsageError) as caught:
        check_source("sentences", source)
    message = str(caught.value)
    assert message.startswith(f"{source}: ")
    assert "\n" not in message
    return message.removeprefix(f"{source}: ")


# --- encodings


@pytest.mark.parametrize("sentences", [RUSSIAN, CHINESE, ENGLISH], ids=["ru", "zh", "en"])
@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
)
def test_with_a_byte_order_mark_elements_are_those_of_the_same_text_in_utf_8(
    tmp_path, encoding, sentences
):
    text = "\r\n".join(sentences)
    marked = text if encoding == "utf-8-sig" else f"\ufeff{text}"
    other = resolved(saved(tmp_path / "other.txt", marked.encode(encoding)))
    plain = resolved(saved(tmp_path / "plain.txt", text.encode()))
    assert len(other.ids) == 120
    assert (other.ids, other.contents) == (plain.ids, plain.contents)
    assert (other.digest, other.bytes) == (plain.digest, plain.bytes)
    assert other.warnings == []


@pytest.mark.parametrize("sentences", [RUSSIAN, CHINESE, ENGLISH], ids=["ru", "zh", "en"])
@pytest.mark.parametrize("encoding", ["UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE"])
def test_without_a_mark_the_encoding_that_it_seems_to_be_is_named(tmp_path, encoding, sentences):
    source = saved(tmp_path / "my lines.txt", "\n".join(sentences).encode(encoding))
    assert refused(source) == (
        f"seems to be {encoding} without a byte-order mark: convert it, for example with: "
        f"iconv -f {encoding} -t UTF-8 '{source}'"
    )


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ("\ufeffone\ntwo\n".encode("utf-16-le")[:-1], "line 2 is not UTF-16LE text"),
        ("\ufeffone\r\ntw".encode("utf-16-be") + b"\xd8\x00\x00\x41", "byte 0xd8 at offset 16"),
        (b"\xff\xfe\0\0a\0\0\0\n\0\0\0\xff\xff\xff\xff", "line 2 is not UTF-32LE text"),
    ],
    ids=["cut", "half-a-pair", "no-character"],
)
def test_what_is_not_in_the_encoding_of_its_mark_names_line_and_byte(tmp_path, broken, problem):
    message = refused(saved(tmp_path / "broken.txt", broken))
    assert problem in message
    assert message.endswith("save the file as UTF-8")


def test_a_line_that_is_not_utf_8_is_an_element_that_fails_and_is_named_before(tmp_path):
    source = saved(tmp_path / "mixed.txt", b"one\n\nna\xefve\n\xe9t\xe9\nfour\n")
    manifest = resolved(source)
    assert manifest.contents == [b"one", b"na\xefve", b"\xe9t\xe9", b"four"]
    assert manifest.warnings == [
        f"{source}: 2 of 4 lines not UTF-8 text, the first is line 3: not UTF-8 text (byte 0xef at "
        "column 3): they will be failed elements"
    ]
    assert resolved(source, limit=1).warnings == []


def test_a_file_of_which_no_line_is_utf_8_is_in_another_encoding(tmp_path):
    source = saved(tmp_path / "cp1251.txt", "\n".join(RUSSIAN).encode("cp1251"))
    message = refused(source)
    assert message.startswith("line 1 is not UTF-8 text (byte 0xee at column 1), and so are all")
    assert "iconv -f" in message


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (gzip.compress(b"one\ntwo\n", mtime=0), "is gzip data without a name that ends in .gz"),
        (b"PK\x03\x04" + b"x" * 99, "is a ZIP archive"),
        (b"%PDF-1.7\nsome text\n", "is a PDF document"),
        (b"PAR1\x15\x04\x15\x10words\nmore words\nPAR1", "is a Parquet file"),
        (b"Obj\x01\x04\x14avro.codec\nwords\n", "is an Avro file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\nwords\n", "is an old Office document"),
        (b"\xff\xd8\xff\xe0\nwords\n", "is a JPEG image"),
        (b"{\\rtf1\\ansi words}\n", "is a rich text document"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (bytes(range(8)) * 99, "is not a text file"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content, kind):
    assert kind in refused(saved(tmp_path / "lines.txt", content))


def test_a_sentence_may_begin_as_formats_do(tmp_path):
    source = saved(tmp_path / "lines.txt", b"PAR1 is a receptor.\nGIF is a format.\nRar! 7z.\n")
    assert (len(resolved(source).ids), resolved(source).warnings) == (3, [])


# --- more than a text


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("lines.csv", "text,label\nhello,1\n", "not read as a table: each line is one sentence"),
        ("lines.CSV.gz", "text,label\nhello,1\n", "('text,label')"),
        ("lines.jsonl", '{"text": "hello"}\n{"text": "you"}\n', "its lines are JSON ("),
        ("lines.txt", '[{"text": "hello"},\n{"text": "you"}]\n', "its lines are JSON ("),
        ("lines.json", '[\n {"text": "hello"}\n]\n', "its lines are JSON ('[')"),
        ("lines.tsv", "Sentence\tlabel\nhello\t1\n", "line 1 ('Sentence') seems to be a header"),
    ],
)
def test_a_table_or_json_in_place_of_sentences_is_said(tmp_path, name, content, words):
    raw = content.encode()
    source = saved(tmp_path / name, gzip.compress(raw) if name.endswith(".gz") else raw)
    [warning] = resolved(source).warnings
    assert warning.startswith(f"{source}: ")
    assert words in warning


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("lines.txt", "text, as such\n"),
        ("lines.txt", "{see above}\n[sic]\n"),
        ("lines.txt", "{" * 100_000),
        ("lines.tsv", "a sentence\t1\ntext\t0\n"),
    ],
)
def test_what_is_text_alone_is_read_without_a_word(tmp_path, name, content):
    assert resolved(saved(tmp_path / name, content.encode())).warnings == []


def test_rows_are_a_table(tmp_path):
    source = saved(tmp_path / "rows.csv", b"1,2\n3,4\n")
    rows = resolve_input("rows", source, limit=None, seed=0, cache_dir=Path("/nonexistent"))
    assert (rows.contents, rows.warnings) == ([b"1,2", b"3,4"], [])


def test_columns_are_told_by_the_suffix_in_any_case(tmp_path):
    source = saved(tmp_path / "DEV.TSV", b"a sentence\t1\nanother\t0\n")
    assert resolved(source).contents == [b"a sentence", b"another"]


def test_a_stray_nul_is_part_of_its_sentence(tmp_path):
    source = saved(tmp_path / "nul.txt", b"a sentence with a \0 in it\n" + b"another one\n" * 20)
    assert resolved(source).contents[0] == b"a sentence with a \0 in it"


# --- line ends


@pytest.mark.parametrize(
    "content",
    [
        b"one two\nthree\n\nfour\xe2\x80\xa8five",
        b"one two\r\nthree\r\n\r\nfour\xe2\x80\xa8five\r\n",
        b"one two\rthree\r\rfour\xe2\x80\xa8five\r",
        b"one two\nthree\r\n\rfour\xe2\x80\xa8five\r",
    ],
    ids=["lf", "crlf", "cr", "mixed"],
)
def test_a_line_ends_with_a_line_feed_a_carriage_return_or_both(tmp_path, content):
    manifest = resolved(saved(tmp_path / "lines.txt", content))
    assert manifest.ids == ["1", "2", "4"]
    assert manifest.contents == [b"one two", b"three", "four\u2028five".encode()]


# --- compressed

COMPRESSED = {
    ".gz": gzip.compress,
    ".GZ": gzip.compress,
    ".bz2": bz2.compress,
    ".deflate": zlib.compress,
    ".zst": zstandard.compress,
    ".zstd": zstandard.compress,
    ".xz": lzma.compress,
    ".lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE),
}
SENTENCES = b"a fine film\t1\na dull one\t0\n" * 5000


def test_the_suffixes_are_those_that_beam_decompresses():
    from apache_beam.io.filesystem import CompressionTypes

    for suffix in COMPRESSED:
        assert CompressionTypes.detect_compression_type(f"x{suffix}") != "uncompressed"


@pytest.mark.parametrize("suffix", COMPRESSED)
def test_a_compressed_file_is_read_as_what_was_compressed(tmp_path, suffix):
    packed = resolved(saved(tmp_path / f"dev.tsv{suffix}", COMPRESSED[suffix](SENTENCES)))
    plain = resolved(saved(tmp_path / "dev.tsv", SENTENCES))
    assert (packed.ids, packed.contents, packed.digest) == (plain.ids, plain.contents, plain.digest)
    assert packed.contents[:2] == [b"a fine film", b"a dull one"]


def test_files_compressed_apart_and_joined_are_one(tmp_path):
    joined = gzip.compress(b"one\n") + gzip.compress(b"two\n") + bytes(512)
    assert resolved(saved(tmp_path / "a.gz", joined)).contents == [b"one", b"two"]


def test_a_compressed_utf_16_text(tmp_path):
    content = gzip.compress("Köln\r\nDüren\r\n".encode("utf-16"))
    manifest = resolved(saved(tmp_path / "a.gz", content))
    assert manifest.contents == ["Köln".encode(), "Düren".encode()]


@pytest.mark.parametrize("suffix", sorted({*COMPRESSED} - {".GZ", ".zstd"}))
def test_a_compressed_file_that_is_damaged_or_cut_is_refused(tmp_path, suffix):
    whole = COMPRESSED[suffix](bytes(range(32, 127)) * 500)
    cut = refused(saved(tmp_path / f"cut{suffix}", whole[: len(whole) * 2 // 3]))
    assert "ends in the middle: copy the file again" in cut
    plain = refused(saved(tmp_path / f"plain{suffix}", b"a fine film\na dull one\n"))
    assert "data, as its name says, or is damaged (" in plain


def test_a_bomb_is_given_up_at_its_beginning(tmp_path):
    source = saved(tmp_path / "zeros.gz", gzip.compress(bytes(1 << 24)))
    assert refused(source) == f"is not a text file: expected {lines.EXPECTED}"
