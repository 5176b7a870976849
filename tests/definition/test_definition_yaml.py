"""Reading a YAML file: data in, data out, and one line that names file and line if it is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beambench.definition.yaml_file import MAX_FILE_BYTES, parse, read_mapping
from beambench.errors import UsageError
from property_checks import CHECKED


@pytest.fixture
def refused(tmp_path):
    """Write a file, read it, and return the message with which it is refused."""

    def read(content: str | bytes) -> str:
        path = tmp_path / "mine.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with pytest.raises(UsageError) as caught:
            read_mapping(path)
        message = str(caught.value)
        assert message.startswith(f"{path}")
        assert "\n" not in message
        return message.removeprefix(f"{path}")

    return read


def test_plain_values():
    text = "a: 1\nb: 1.5\nc: yes please\nd: true\ne: null\nf: [1, {g: 2}]\nh: 'é'\n"
    assert parse(text, "x") == {
        "a": 1,
        "b": 1.5,
        "c": "yes please",
        "d": True,
        "e": None,
        "f": [1, {"g": 2}],
        "h": "é",
    }


def test_a_date_stays_text():
    assert parse("a: 2026-01-31", "x") == {"a": "2026-01-31"}


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: a\n")
    assert read_mapping(path) == {"name": "a"}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", ", line 3"),
        ("m:\n  a: 1\n  a: 1\n", ", line 3"),
        ("l:\n- {a: 1, a: 2}\n", ", line 2"),
        ('"a": 1\na: 2\n', ", line 2"),
    ],
    ids=["top", "nested", "in-a-list", "quoted"],
)
def test_a_key_that_stands_twice(refused, content, line):
    assert refused(content) == f"{line}: key 'a' stands twice: remove one of the two"


@pytest.mark.parametrize(
    ("content", "shown"),
    [("a: 1\n1: b", "1"), ("a: 1\ntrue: b", "True"), ("a: 1\n~: b", "None")],
    ids=["number", "boolean", "null"],
)
def test_a_key_that_is_not_text(refused, content, shown):
    assert refused(content) == f", line 2: key {shown} is not text: put it in quotes"


def test_a_key_that_is_a_list(refused):
    assert ", line 1: key ['a'] is not text" in refused("? [a]\n: b\n")


def test_aliases_are_refused(refused):
    assert refused("a: &x 1\nb: *x\n") == ", line 2: aliases (*name) are not supported: use inherit"


def test_a_bomb_of_aliases_is_refused_before_it_is_built(refused):
    levels = ["a0: &a0 [x, x]"]
    levels += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    assert ", line 2: aliases" in refused("\n".join(levels))


def test_merge_keys_are_refused(refused):
    assert ", line 1: merge keys (<<)" in refused("<<: {a: 1}\nb: 2\n")


@pytest.mark.parametrize(
    ("tag", "shown"),
    [
        ("!!python/object/apply:os.system ['true']", "!!python/object/apply:os.system"),
        ("!!python/name:os.system", "!!python/name:os.system"),
        ("!mine 1", "!mine"),
        ("!!set {x, y}", "!!set"),
        ("!!timestamp 2020", "!!timestamp"),
        ("!!bool maybe", "!!bool"),
        ("!!map [1]", "!!map"),
        ("!!str 1", "!!str"),
        ("! 1", "!"),
    ],
)
def test_tags_are_refused(refused, tag, shown):
    assert refused(f"a: 1\nb: {tag}\n") == f", line 2: tags ({shown}) are not supported: remove it"


def test_a_tag_builds_nothing(tmp_path, refused):
    made = tmp_path / "made"
    refused(f"a: !!python/object/apply:pathlib.Path.touch [{made}]\n")
    assert not made.exists()


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf", "1.0e+400"])
def test_a_number_that_json_cannot_hold(refused, number):
    assert refused(f"a: 1\nb: {number}\n") == (
        f", line 2: {number} is no number that can be counted with"
    )


@pytest.mark.parametrize(
    "number", ["9223372036854775808", "-9223372036854775808", "0x" + 5000 * "f"]
)
def test_a_whole_number_that_is_too_large(refused, number):
    assert ", line 2: a whole number must fit into 63 bits" in refused(f"a: 1\nb: {number}\n")


def test_a_number_of_thousands_of_digits(refused):
    assert ": not YAML: " in refused(f"a: {'9' * 5000}\n")


def test_the_largest_whole_number():
    assert parse("9223372036854775807", "x") == 2**63 - 1


@pytest.mark.parametrize("closed", [True, False])
def test_nesting_is_limited(refused, closed):
    depth = 50_000
    content = "a: " + "[" * depth + ("]" * depth if closed else "")
    assert refused(content) == ": nested more than 32 levels deep"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("", "an empty file"),
        ("# nothing but a comment\n", "an empty file"),
        ("---\n", "an empty file"),
        ("- a\n- b\n", "a list"),
        ("just text\n", "a single value"),
        ("3\n", "a single value"),
    ],
    ids=["empty", "comment", "marker", "list", "text", "number"],
)
def test_what_is_no_mapping(refused, content, kind):
    assert refused(content) == f": expected `key: value` lines, found {kind}"


def test_two_documents(refused):
    assert ", line 2: but found another document" in refused("a: 1\n---\nb: 2\n")


@pytest.mark.parametrize("content", ["a: [1\n", "a: 'x\n", "a:\n\tb: 1\n", "a: b: c\n", "a: %\n"])
def test_what_is_no_yaml_names_a_line(refused, content):
    assert refused("x: 1\n" + content).startswith(", line ")


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"a: \xff\n", "line 1 is not UTF-8 text (byte 0xff at column 4)"),
        (
            "a: 1\r\ntitle: Größe".encode("latin-1"),
            "line 2 is not UTF-8 text (byte 0xf6 at",
        ),
        ("a: 1\n".encode("utf-16-le"), "seems to be UTF-16LE without a byte-order mark"),
    ],
    ids=["stray", "latin-1", "utf-16-without-mark"],
)
def test_what_is_not_utf_8(refused, content, where):
    assert refused(content).startswith(f": {where}")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_what_the_file_is_in(tmp_path, encoding):
    path = tmp_path / "mine.yaml"
    path.write_bytes("title: Größe 大\r\nname: x\r\n".encode(encoding))
    assert read_mapping(path) == {"title": "Größe 大", "name": "x"}


def test_a_control_character(refused):
    assert "control characters are not allowed" in refused("a: \x01\n")


def test_a_file_that_is_too_large(refused):
    assert refused("a: 1\n#" + "x" * MAX_FILE_BYTES) == (
        ": larger than 1 MiB, so it is no definition file"
    )


def test_a_file_just_small_enough(tmp_path):
    path = tmp_path / "large.yaml"
    path.write_text("a: 1\n#".ljust(MAX_FILE_BYTES, "x"))
    assert read_mapping(path) == {"a": 1}


def test_a_missing_file(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.yaml: No such file or directory$"):
        read_mapping(tmp_path / "nowhere.yaml")


def test_a_folder(tmp_path):
    with pytest.raises(UsageError, match=r"is a folder, not a definition file: name a folder with"):
        read_mapping(tmp_path)


def test_where_a_value_of_the_command_line_is_wrong():
    with pytest.raises(UsageError, match=r"^--set 'a=\[': did not find expected node content$"):
        parse("[", "--set 'a=['")


YAML_SIGNS = st.text(alphabet="ab1.:-,'\"[]{}&*!|>?<%@~#\n\t \x00é0xe+_", max_size=60)


@CHECKED
@given(st.one_of(YAML_SIGNS, st.text(max_size=40)))
def test_any_text_is_data_or_refused_in_one_line(text):
    message = ""
    value = None
    try:
        value = parse(text, "x")
    except UsageError as error:
        message = str(error)
    assert "\n" not in message
    assert value is None or isinstance(value, str | int | float | bool | list | dict)
