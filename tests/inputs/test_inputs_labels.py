import os
import time

import pytest

from beambench.errors import UsageError
from beambench.inputs.labels.label_file import Labels, labels_for, lies_elsewhere, read_labels


@pytest.fixture
def labels(tmp_path):
    """Write a label file and read it."""

    def read(content: str | bytes):
        path = tmp_path / "labels.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_labels(path)

    return read


def classes(labels: Labels) -> dict[str, int]:
    """Return the class by path, as the file has them."""
    return {
        row.name: row.class_index
        for same_name in labels.rows.values()
        for row in same_name.values()
    }


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
    assert classes(labels(content)) == expected


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
    assert classes(labels(content)) == expected


def test_a_path_with_the_same_class_may_stand_twice(labels):
    assert classes(labels("x/a.jpg,3\n./x//a.jpg,3\n")) == {"x/a.jpg": 3}


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("a.jpg,3\n\na.jpg,4\n", ["line 3", "'a.jpg'", "class 4 here and 3 on line 1"]),
        ("x/a.jpg,3\n./x/a.jpg,4\n", ["line 2", "'./x/a.jpg'", "class 4 here and 3 on line 1"]),
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
        ("a.TIFF,tench\nb.jpg,4\n", ["line 1", "'tench'"]),
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
    with pytest.raises(UsageError, match="is a JPEG image, not a text file: expected a text"):
        labels(b"\xff\xd8\xff\xe0\0\x10JFIF")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_says_what_the_labels_are_in(labels, encoding):
    content = "file,class_index\r\nё.jpg,3\r\n".encode(encoding)
    assert classes(labels(content)) == {"ё.jpg": 3}


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


@pytest.mark.parametrize(
    ("ids", "content", "expected"),
    [
        (["a.jpg", "gs://bucket/b.jpg", "c.jpg"], "a.jpg,1\nb.jpg,2\n", [1, 2, None]),
        (["fish/a.jpg"], "a.jpg,1\n", [1]),
        (["fish/a.jpg"], "train/fish/a.jpg,1\n", [1]),
        (["train/fish/a.jpg"], "fish/a.jpg,1\n", [1]),
        (["a.jpg"], "/data/train/a.jpg,1\n", [1]),
        (["fish/a.jpg"], "../photos/fish/a.jpg,1\n", [1]),
        (["gs://bucket/fish/a.jpg"], "gs://bucket/fish/a.jpg,1\n", [1]),
        (["cat/1.jpg", "dog/1.jpg"], "cat/1.jpg,3\ndog/1.jpg,4\n", [3, 4]),
        (["cat/1.jpg", "dog/1.jpg"], "dog/1.jpg,4\ncat/1.jpg,3\n", [3, 4]),
        (["cat/1.jpg", "dog/1.jpg"], "cat/1.jpg,3\n", [3, None]),
        (["cat/1.jpg"], "dog/1.jpg,4\n", [None]),
        (["big-cat/1.jpg"], "cat/1.jpg,4\n", [None]),
        (["cat/1.jpg", "dog/1.jpg"], "1.jpg,5\ncat/1.jpg,3\n", [3, 5]),
        (["1.jpg", "dog/1.jpg"], "1.jpg,5\n", [5, None]),
        (["a.jpg", "a.jpg"], "a.jpg,5\n", [5, 5]),
        (["1.jpg"], "cat/1.jpg,3\ndog/1.jpg,3\n", [3]),
    ],
)
def test_a_row_labels_the_element_whose_path_ends_as_its_own(labels, ids, content, expected):
    assigned = labels_for(ids, labels(content))
    assert [assigned.get(element) for element in ids] == expected


@pytest.mark.parametrize(
    ("ids", "content", "message"),
    [
        (
            ["cat/1.jpg", "dog/1.jpg"],
            "file,class\n1.jpg,3\n",
            "line 2: '1.jpg' fits 2 elements, as 'cat/1.jpg' and 'dog/1.jpg': write their paths",
        ),
        (
            ["train/cat/1.jpg", "val/cat/1.jpg"],
            "cat/1.jpg,3\n",
            "line 1: 'cat/1.jpg' fits 2 elements, as 'train/cat/1.jpg' and 'val/cat/1.jpg': write "
            "their paths",
        ),
        (
            ["1.jpg"],
            "cat/1.jpg,3\ndog/1.jpg,4\n",
            "lines 1 and 2: 'cat/1.jpg' and 'dog/1.jpg' have different classes and both fit element"
            " '1.jpg': write paths that end as its own does",
        ),
    ],
)
def test_a_label_that_could_be_that_of_another_is_an_error(labels, tmp_path, ids, content, message):
    with pytest.raises(UsageError) as raised:
        labels_for(ids, labels(content))
    assert str(raised.value) == f"{tmp_path / 'labels.txt'}: {message}"


def test_a_class_that_the_model_does_not_have_names_line_class_and_classes(labels, tmp_path):
    labels("a.jpg,0\nb.jpg,999\n").check_classes(1000, "resnet18")
    for content, text in {
        "a.jpg,0\nb.jpg,99999\n": "line 2: 'b.jpg' has class 99999, but resnet18 has the classes 0"
        " to 999",
        "b.jpg,1000\n": "line 1: 'b.jpg' has class 1000, but resnet18 has the classes 0 to 999: are"
        " they counted from 1?",
    }.items():
        with pytest.raises(UsageError) as raised:
            labels(content).check_classes(1000, "resnet18")
        assert str(raised.value) == f"{tmp_path / 'labels.txt'}: {text}"


def test_accents_are_one_character_or_two(labels):
    composed, two = "caf\u00e9/\u00fc.jpg", "cafe\u0301/u\u0308.jpg"  # two, as a Mac writes them
    assert labels_for([two], labels(f"{composed},3\n")) == {two: 3}
    assert labels_for([composed], labels(f"{two},3\n")) == {composed: 3}
    with pytest.raises(UsageError, match=r"line 1: .* fits 2 elements"):
        labels_for([composed, two], labels(f"{composed},3\n"))


@pytest.mark.parametrize(
    ("root", "expected"),
    [("/data/photos/dog", 4), ("gs://bucket/cat", 3), ("/data/train/cat", 3)],
)
def test_where_rows_are_longer_than_the_id_the_whole_path_decides(labels, root, expected):
    given = labels("cat/1.jpg,3\ndog/1.jpg,4\n")
    assert labels_for(["1.jpg"], given, root) == {"1.jpg": expected}


def test_a_row_that_names_other_folders_can_be_told(labels):
    (row,) = (row for rows in labels("cat/1.jpg,3\n").rows.values() for row in rows.values())
    assert lies_elsewhere(row, "1.jpg", "/data/dog")
    assert not lies_elsewhere(row, "1.jpg", "/data/cat")
    assert not lies_elsewhere(row, "1.jpg", "")
    assert not lies_elsewhere(row, "cat/1.jpg", "/data/dog")


def test_many_folders_with_the_same_names_are_matched_in_linear_time(labels):
    ids = [f"{folder}/{name}.jpg" for folder in range(300) for name in range(20)]
    given = labels("".join(f"{path},{number % 1000}\n" for number, path in enumerate(ids)))
    began = time.process_time()
    assigned = labels_for(ids, given)
    assert time.process_time() - began < 2
    assert list(assigned.values()) == [number % 1000 for number in range(len(ids))]
