"""The Python that a definition names: where it is looked for, and what it must have."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from beambench.controller.processes import interpreter
from beambench.controller.processes.interpreter import (
    find_interpreter,
    find_other_environment,
)
from beambench.errors import RunError
from beambench.version import __version__


def make(path: Path, answer: object = None, body: str | None = None) -> Path:
    """Write a program that answers as an interpreter would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([[3, 11], __version__, "2.77.0"] if answer is None else answer)
    script = body or f"echo '{text}'"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "project" / ".venv"))
    return folder


def test_ours_if_none_is_named(here):
    assert find_interpreter(None, here / "mine.yaml") == sys.executable


def test_where_it_is_looked_for(here, tmp_path):
    definition = tmp_path / "definitions" / "mine.yaml"
    places = [tmp_path / "project", here, definition.parent]
    for place in places:  # each goes before those that are there already
        made = make(place / ".venv-x" / "bin" / "python")
        assert find_interpreter(".venv-x/bin/python", definition) == str(made)


def test_a_link_is_not_followed(here):
    made = make(here / "real")
    (here / "link").symlink_to(made)
    assert find_interpreter("link", here / "mine.yaml") == str(here / "link")


def test_an_absolute_path(here, tmp_path):
    made = make(tmp_path / "python")
    assert find_interpreter(str(made), here / "mine.yaml") == str(made)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ([[3, 9], __version__, "2.77.0"], "is Python 3.9, but 3.10 or newer is needed"),
        ([[3, 11], None, "2.77.0"], "has no beambench"),
        ([[3, 11], "0.0.1", "2.77.0"], f"has beambench 0.0.1, but {__version__} is needed"),
        ([[3, 11], __version__, None], "has no apache-beam"),
        ("nonsense", "is no Python that answers"),
    ],
)
def test_one_that_cannot_run_workers(here, answer, problem):
    made = make(here / "python", answer)
    with pytest.raises(RunError, match=f"^interpreter {made}: {problem}: `make setup-vllm`"):
        find_interpreter("python", here / "mine.yaml")


def test_one_that_is_not_there(here):
    with pytest.raises(RunError, match=r"^interpreter \.venv-x/python: is neither .*setup-vllm"):
        find_interpreter(".venv-x/python", here / "mine.yaml")


def test_one_that_cannot_be_executed(here):
    made = make(here / "python")
    made.chmod(0o644)
    with pytest.raises(RunError, match=r"python: cannot be executed: "):
        find_interpreter("python", here / "mine.yaml")


def test_one_that_does_not_answer(here, monkeypatch):
    monkeypatch.setattr(interpreter, "SECONDS_TO_ANSWER", 0.1)
    make(here / "python", body="sleep 60")
    began = time.monotonic()
    with pytest.raises(RunError, match=r"did not end within 0\.1 s"):
        find_interpreter("python", here / "mine.yaml")
    assert time.monotonic() - began < 5


@pytest.mark.real
def test_our_own_python_can_run_workers(here):
    path = sys.executable
    assert find_interpreter(path, here / "mine.yaml") == path


def test_one_whose_path_cannot_be_looked_at(here):
    with pytest.raises(RunError, match=r"^interpreter a+: is neither "):
        find_interpreter("a" * 300, here / "mine.yaml")


# Another environment in place of ours


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ([[3, 11], "0.0.1", "2.77.0"], f"has beambench 0.0.1, but {__version__} is needed"),
        ([[3, 11], __version__, None], "has no apache-beam"),
        ("nonsense", "is no Python that answers"),
        (None, "has a beambench with other source"),  # what it answers is no digest of ours
    ],
)
def test_another_environment_needs_the_same_beambench(here, answer, problem):
    made = make(here / "python", answer)
    with pytest.raises(RunError) as caught:
        find_other_environment("python")
    assert str(caught.value) == f"python {made}: {problem}: install the same beambench there"


def test_another_environment_that_is_not_there(here):
    with pytest.raises(RunError, match=r"^python other: no such file: name the bin/python of an"):
        find_other_environment("other")


def test_another_environment_with_our_source(here, monkeypatch):
    ours, answer = json.dumps("digest"), json.dumps([[3, 11], __version__, "2.70.0"])
    body = f"""case "$2" in *sha256*) echo '{ours}';; *) echo '{answer}';; esac"""
    made = make(here / "python", body=body)
    monkeypatch.setattr(sys, "executable", str(make(here / "ours", body=f"echo '{ours}'")))
    assert find_other_environment("python") == str(made)


@pytest.mark.real
def test_our_own_environment_has_our_source():
    assert find_other_environment(sys.executable) == sys.executable
