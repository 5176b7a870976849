"""Command line > environment > project file > definition > default."""

import os
from pathlib import Path

import pytest

from beambench.cli.settings import ENVIRONMENT
from beambench.store import RunStore

# Setting, path of its value in a dry run, and the value that each place gives it.
PLACES = [
    ("repeats", ("config", "repeats"), {"file": 2, "environment": 4, "line": 5}, 1),
    (
        "retry_disturbed",
        ("config", "retry_disturbed"),
        {"file": 2, "environment": 4, "line": 5},
        0,
    ),
    ("seed", ("config", "seed"), {"file": 2, "environment": 4, "line": 5}, 0),
    ("timeout", ("config", "timeout"), {"file": 2.5, "environment": 4.5, "line": 5.5}, 60.0),
    ("max_failed", ("config", "max_failed"), {"file": 0.2, "environment": 0.4, "line": 0}, 0.125),
    ("variant", ("variant",), {"file": "one", "environment": "two", "line": "three"}, "stock"),
    ("profile", ("profile",), {"file": "small", "environment": "wide", "line": "huge"}, "local"),
]
VARIED = """
name: mine
title: Mine
workload: overhead
model: {name: noop, weights: none}
input: {type: numbers, source: synthetic}
max_failed: 0.125
profiles:
  local: {limit: 5, repeats: 1, timeout: 60, slot_seconds: 1}
  small: {limit: 5, repeats: 1, timeout: 60, slot_seconds: 1}
  wide: {limit: 5, repeats: 1, timeout: 60, slot_seconds: 1}
  huge: {limit: 5, repeats: 1, timeout: 60, slot_seconds: 1}
variants: {one: {}, two: {}, three: {}}
"""


@pytest.fixture
def chosen(beambench, folder, monkeypatch):
    """Give one setting in some places; return what a dry run says of it."""
    (folder / "mine.yaml").write_text(VARIED)

    def run(setting, path, values):
        if "file" in values:
            (folder / "beambench.yaml").write_text(f"{setting}: {values['file']}\n")
        if "environment" in values:
            monkeypatch.setenv(f"BEAMBENCH_{setting.upper()}", str(values["environment"]))
        line = [f"--{setting.replace('_', '-')}", str(values["line"])] if "line" in values else []
        answer = beambench("run", "mine.yaml", "--dry-run", "--json", *line)
        assert answer.err == ""
        document = answer.document
        for key in path:
            document = document[key]
        return document

    return run


@pytest.mark.parametrize(("setting", "path", "values", "default"), PLACES)
def test_the_default(chosen, setting, path, values, default):
    assert chosen(setting, path, {}) == default


@pytest.mark.parametrize(("setting", "path", "values", "default"), PLACES)
def test_the_project_file_goes_before_the_definition(chosen, setting, path, values, default):
    assert chosen(setting, path, {"file": values["file"]}) == values["file"] != default


@pytest.mark.parametrize(("setting", "path", "values", "default"), PLACES)
def test_the_environment_goes_before_the_project_file(chosen, setting, path, values, default):
    both = {key: values[key] for key in ("file", "environment")}
    assert chosen(setting, path, both) == values["environment"]


@pytest.mark.parametrize(("setting", "path", "values", "default"), PLACES)
def test_the_command_line_goes_before_all(chosen, setting, path, values, default):
    assert chosen(setting, path, values) == values["line"]


def test_an_empty_variable_is_none(chosen):
    assert chosen("repeats", ("config", "repeats"), {"file": 2, "environment": ""}) == 2


def test_the_runner(beambench, folder, monkeypatch):
    assert beambench("run", "overhead-noop", "--dry-run", "--json").document["runner"] == "direct"
    monkeypatch.setenv("BEAMBENCH_RUNNER", "flink")
    assert "no runner 'flink'" in beambench("run", "overhead-noop", "--dry-run").err
    answer = beambench("run", "overhead-noop", "--dry-run", "--json", "--runner", "direct")
    assert answer.document["runner"] == "direct"


# --- the store ------------------------------------------------------------------------------------


@pytest.fixture
def four_stores(folder, make_record):
    """Stores that hold one run each, of 1, 2, 3 and 4 elements."""
    for number, name in enumerate(["line", "environment", "file", "default"], 1):
        with RunStore.open(f"sqlite:///{folder}/{name}.db") as store:
            store.add(make_record(number))
    return {
        name: f"20260131T10{number:02d}00Z-{number:08x}"
        for number, name in enumerate(["line", "environment", "file", "default"], 1)
    }


def the_only_run(beambench, *arguments) -> str:
    (row,) = beambench("history", "overhead-noop", "--json", *arguments).document
    return row["run_id"]


def test_where_the_store_is_named(beambench, folder, four_stores, monkeypatch):
    data = Path(os.environ["XDG_DATA_HOME"]) / "beambench"
    data.mkdir(parents=True)
    (folder / "default.db").rename(data / "runs.db")
    assert the_only_run(beambench) == four_stores["default"]
    (folder / "beambench.yaml").write_text("store: sqlite:///file.db\n")
    assert the_only_run(beambench) == four_stores["file"]
    monkeypatch.setenv("BEAMBENCH_STORE", "sqlite:///environment.db")
    assert the_only_run(beambench) == four_stores["environment"]
    assert the_only_run(beambench, "--store", "sqlite:///line.db") == four_stores["line"]


def test_a_missing_store_is_created_in_the_data_folder(beambench):
    assert beambench("history", "overhead-noop").code == 0
    assert (Path(os.environ["XDG_DATA_HOME"]) / "beambench" / "runs.db").is_file()


# --- definitions of ones own ----------------------------------------------------------------------


@pytest.fixture
def two_folders(folder, mine):
    for name in ("one", "two"):
        (folder / f"folder-{name}").mkdir()
        text = mine.replace("name: mine", f"name: {name}")
        (folder / f"folder-{name}" / "definition.yaml").write_text(text)


def own(beambench, *arguments) -> list[str]:
    names = [row["name"] for row in beambench("list", "--json", *arguments).document]
    return [name for name in names if name in ("one", "two")]


def test_definitions_of_the_command_line(beambench, two_folders):
    assert own(beambench) == []
    assert own(beambench, "--definitions", "folder-one") == ["one"]
    both = ["--definitions", "folder-one", "--definitions", "folder-two/definition.yaml"]
    assert own(beambench, *both) == ["one", "two"]


def test_definitions_of_the_environment(beambench, two_folders, monkeypatch):
    monkeypatch.setenv("BEAMBENCH_DEFINITIONS", "folder-one:folder-two")
    assert own(beambench) == ["one", "two"]


def test_definitions_of_the_project_file(beambench, folder, two_folders):
    (folder / "beambench.yaml").write_text("definitions: [folder-one, folder-two]\n")
    assert own(beambench) == ["one", "two"]
    assert own(beambench, "--definitions", "folder-two") == ["two"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "one", "--json"),
        ("validate", "one", "--json"),
        ("history", "one", "--json"),
        ("run", "one", "--dry-run", "--json"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_verb_knows_definitions_of_ones_own(beambench, two_folders, arguments):
    assert beambench(*arguments).code == 2
    assert beambench(*arguments, "--definitions", "folder-one").code == 0


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_every_known_variable_is_accepted(beambench, monkeypatch, name):
    monkeypatch.setenv(name, "")
    assert beambench("list").code == 0


@pytest.mark.parametrize("verb", ["list", "doctor", "--help"])
def test_an_unknown_variable_stops_every_verb(beambench, monkeypatch, verb):
    monkeypatch.setenv("BEAMBENCH_REPEAT", "3")
    answer = beambench(verb)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "beambench: environment variable BEAMBENCH_REPEAT is not known "
        "(did you mean 'BEAMBENCH_REPEATS'?)\n"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("reapeats: 3", "unknown key reapeats (did you mean 'repeats'?)"),
        ("repeats: 0", "repeats: 0: input should be greater than or equal to 1"),
        ("repeats: many", "repeats: many: input should be a valid integer"),
        ("repeats: [3]", "repeats: expected text or a number, not [3]"),
        ("runner: true", "runner: expected text or a number, not True"),
        ("definitions: mine", "definitions: expected a list of paths"),
        ("definitions: [1]", "definitions: expected a list of paths"),
        ("- store", "expected `key: value` lines, found a list"),
        ("max_failed: .nan", ".nan is no number that can be counted with"),
    ],
)
def test_a_mistake_in_the_project_file(beambench, folder, line, message):
    (folder / "beambench.yaml").write_text(line)
    answer = beambench("run", "overhead-noop", "--dry-run")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"beambench: beambench.yaml: {message}")
    assert answer.err.count("\n") == 1


def test_a_key_twice_in_the_project_file(beambench, folder):
    (folder / "beambench.yaml").write_text("seed: 1\nseed: 2\n")
    assert "beambench.yaml, line 2: key 'seed' stands twice" in beambench("list").err


def test_a_mistake_in_the_environment_names_the_variable(beambench, monkeypatch):
    monkeypatch.setenv("BEAMBENCH_REPEATS", "0")
    answer = beambench("run", "overhead-noop", "--dry-run")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("beambench: BEAMBENCH_REPEATS=0: input should be greater")


def test_an_argument_that_is_no_text(beambench):
    answer = beambench("run", "overhead-noop", "--label", "a=\udcff", "--dry-run")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == r"beambench: argument 'a=\udcff' is not UTF-8 text: rename the file" + "\n"
