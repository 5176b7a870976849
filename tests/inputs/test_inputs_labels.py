import os

import pytest

from beambench.errors import UsageError
from beambench.inputs.labels import labels_for, read_labels


@pytest.fixture
def labels(tmp_path):
    """Write a label file and read it."""

    def read(content: str | bytes):
        path = tmp_path / "labels.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_labels(path)

    return read


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a.jpg,3\nb.jpg,0\n", {"a.jpg": 3, "b.jpg": 0}),
        ("a.jpg\t3\nb.jpg\t0", {"a.jpg": 3, "b.jpg": 0}),
        ("file,class_index\na.jpg,3\n", {"a.jpg": 3}),
        ("file\tclass_index\tclass_name\na.jpg\t3\ttench, Tinca\n", {"a.jpg": 3}),
        ("file,class\tindex,7th\nb.jpg\t1\n", {"b.jpg": 1}),
        ("a.jpg,3,tench,7\n", {"a.jpg": 3}),
        ("\ufefffile,class_index\r\n\r\na.jpg , 3\r\n  \r\n", {"a.jpg": 3}),
        ("\ufeffa.jpg,3", {"a.jpg": 3}),
        ("x,007\n", {"x": 7}),
    ],
    ids=["csv", "tsv", "header", "header-tsv", "header-both", "columns", "bom", "bom-2", "zeros"],
)
def test_formats(labels, content, expected):
    assert labels(content) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b.jpg\t3\nc,1\t4\n", {"a,b.jpg": 3, "c,1": 4}),
        ("a\tb.jpg,3\nc\t1.jpg,4\n", {"a\tb.jpg": 3, "c\t1.jpg": 4}),
        ("a.jpg\t3\tred, 5\n", {"a.jpg": 3}),
        ('"a,b.jpg",3\n"say ""hi"".jpg",4\n', {"a,b.jpg": 3, 'say "hi".jpg': 4}),
        ('"file"\t"class"\n"a.jpg"\t3\n', {"a.jpg": 3}),
        ('5" gun.jpg,3\n', {'5" gun.jpg': 3}),
    ],
    ids=["comma-in-tsv", "tab-in-csv", "comma-later", "quoted-csv", "quoted-tsv", "quote-inside"],
)
def test_names_that_hold_the_other_delimiter_or_quotes(labels, content, expected):
    assert labels(content) == expected


def test_keys_are_base_names(labels):
    assert labels("train/fish/a.jpg,3\n/data/b.jpg,4\n") == {"a.jpg": 3, "b.jpg": 4}


def test_same_file_with_the_same_class_may_stand_twice(labels):
    assert labels("x/a.jpg,3\ny/a.jpg,3\n") == {"a.jpg": 3}


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("x/a.jpg,3\n\ny/a.jpg,4\n", ["line 3", "'a.jpg'", "class 4 here and 3 on line 1"]),
        ("a.jpg,3\nb.jpg,tench\n", ["line 2", "'tench'", "not an integer"]),
        ("a.jpg,3\nb.jpg,-1\n", ["line 2", "'-1'"]),
        ("a.jpg,-1\n", ["line 1", "'-1'"]),
        ("a,-1\nb,2\n", ["line 1", "'-1'"]),
        ("a.jpg,3\nb.jpg,4.0\n", ["line 2", "'4.0'"]),
        ("a.jpg,3\nb.jpg,\n", ["line 2", "''"]),
        ("a.jpg,3\nb.jpg,99999999999\n", ["line 2", "'99999999999'"]),
        ("a.jpg,3\nb.jpg,٣\n", ["line 2"]),
        ("a.jpg,3\nb.jpg\n", ["line 2", "'b.jpg'", "no second column"]),
        ("a.jpg,3\nx/,4\n", ["line 2", "'x/'", "no file name"]),
        ('a.jpg,3\n"b.jpg,4\n', ["line 2", "cannot be split"]),
        # A first row with a mistake is no header: to skip it would lose a label in silence.
        ("a.jpg,tench\nb.jpg,4\n", ["line 1", "'tench'"]),
        ("a,b,3\nc,4\n", ["line 1", "'b'", "double quotes"]),
        ("file\nb.jpg,4\n", ["line 1", "'file'", "no second column"]),
    ],
)
def test_errors_name_line_and_value(labels, tmp_path, content, parts):
    with pytest.raises(UsageError) as raised:
        labels(content)
    message = str(raised.value)
    assert message.startswith(str(tmp_path / "labels.txt"))
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.parametrize("content", ["", "\n \n", "file,class_index\n"])
def test_no_labels_is_an_error(labels, content):
    with pytest.raises(UsageError, match="labels no file"):
        labels(content)


def test_bad_bytes_and_binary_files(labels):
    with pytest.raises(UsageError, match="line 2 is not UTF-8"):
        labels(b"a.jpg,3\n\xe9.jpg,4\n")
    with pytest.raises(UsageError, match="is not a text file: expected a text file with file"):
        labels(b"\xff\xd8\xff\xe0\0\x10JFIF")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_says_what_the_labels_are_in(labels, encoding):
    content = "file,class_index\r\nё.jpg,3\r\n".encode(encoding)
    assert labels(content) == {"ё.jpg": 3}


def test_labels_without_the_mark_of_their_encoding(labels):
    with pytest.raises(UsageError, match="seems to be UTF-16BE without a byte-order mark: convert"):
        labels("file,class_index\na.jpg,3\n".encode("utf-16-be"))


def test_file_that_is_not_there_or_no_file(tmp_path):
    with pytest.raises(UsageError, match=r"gone\.csv: cannot be read \(No such file"):
        read_labels(tmp_path / "gone.csv")
    with pytest.raises(UsageError, match="is no file: expected a text file"):
        read_labels(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_labels(tmp_path / "a\0b")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is no file"):
        read_labels(tmp_path / "pipe")


def test_long_values_are_cut(labels):
    with pytest.raises(UsageError) as raised:
        labels("a.jpg,3\nb.jpg," + "x" * 50_000)
    assert len(str(raised.value)) < 500


def test_labels_for_ids_by_base_name():
    found = labels_for(
        ["deep/a.jpg", "a.jpg", "gs://bucket/b.jpg", "c.jpg"], {"a.jpg": 1, "b.jpg": 2}
    )
    assert found == {"deep/a.jpg": 1, "a.jpg": 1, "gs://bucket/b.jpg": 2}
