"""Every mistake is answered in one line that names what is wrong, and with its exit code."""

import os
import resource
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from bad_input_cases import (
    CASES,
    IMAGES,
    NEWER,
    PAGE,
    PRICED,
    SENTENCES,
    WRITE,
    Case,
    Content,
    identity,
    lines_of,
    make_newer_database,
    make_priced_runs,
    normalised,
    page,
    recorded,
)
from cli_answer import Answer

from beambench.machine.devices import cuda_devices
from beambench.store import RunStore
from workers_here import work_here

LONGEST_RUN_S = 280


def parameters() -> list:
    return [
        pytest.param(
            case,
            id=identity(case),
            marks=[pytest.mark.real] if case.real else [],
        )
        for case in CASES
    ]


@pytest.fixture(scope="module")
def seen() -> Iterator[dict[str, str]]:
    """Collect what was read in each case; write the page if that was asked for."""
    lines: dict[str, str] = {}
    yield lines
    if WRITE in os.environ:
        PAGE.write_text(page({**recorded(), **lines}), "utf-8")


def lay(path: Path, content: Content) -> None:
    """Make a file or folder of a case."""
    if content is None:
        path.mkdir()
    elif content is NEWER:
        make_newer_database(path)
    elif content is PRICED:
        make_priced_runs(path)
    elif isinstance(content, str):
        path.write_text(content, "utf-8")
    else:
        path.write_bytes(content)


@pytest.fixture
def answered(folder, monkeypatch, beambench):
    """Make the files of a case and run its command."""

    def run(case: Case) -> Answer:
        for name, content in case.files.items():
            lay(folder / name, content)
        for name, value in case.environment.items():
            monkeypatch.setenv(name, value.replace("{here}", str(folder)))
        arguments = shlex.split(
            case.command.replace("IMAGES", IMAGES).replace("SENTENCES", SENTENCES)
        )
        if case.status is not None:
            at = arguments.index("--") if "--" in arguments else len(arguments)
            arguments[at:at] = ["--json", "--store", "sqlite:///runs.db"]
        if case.here:
            monkeypatch.setattr(
                "beambench.controller.processes.worker_process.supervise", work_here
            )
        elif case.real or case.file_size is not None:
            return as_process(arguments, case)
        return beambench(*arguments)

    return run


def as_process(arguments: list[str], case: Case) -> Answer:
    limit = partial(
        resource.setrlimit, resource.RLIMIT_FSIZE, (case.file_size or 0, resource.RLIM_INFINITY)
    )
    with subprocess.Popen(
        [sys.executable, "-m", "beambench", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit if case.file_size is not None else None,
    ) as process:
        first = ""
        if case.interrupted:
            assert process.stderr is not None
            first = process.stderr.readline()
            process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=LONGEST_RUN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return Answer(process.returncode, out, first + err)


def the_line(answer: Answer, case: Case) -> str:
    """Return the only line on stderr that is no progress, without the name of the program."""
    lines = answer.messages
    if case.code == 0:
        assert lines == []
        (failed,) = answer.document["verification"]["failed"]
        return f"failed: {failed['id']}: {failed['stage']}: {failed['error']}"
    (line,) = lines
    assert line.startswith("beambench: ")
    return line.removeprefix("beambench: ")


def check_record(answer: Answer, case: Case) -> None:
    """Check that the record of the run was printed, and stored as it was printed."""
    document = answer.document
    assert document["status"] == case.status
    assert (document["error"] is None) == (case.code == 0)
    named = sorted(failure["id"] for failure in document["verification"]["failed"])
    assert named == sorted(case.failed)
    assert (document["verification"]["elements_failed"] or 0) == len(case.failed)
    with RunStore.open("sqlite:///runs.db") as store:
        stored = store.get(document["run_id"])
    assert stored is not None
    assert stored.model_dump(mode="json") == document


@pytest.mark.parametrize("case", parameters())
def test_a_mistake(answered, seen, folder, case):
    if "GPU" in case.mistake and cuda_devices().count:
        pytest.skip("this machine has a GPU")
    answer = answered(case)
    assert "Traceback" not in answer.err
    assert answer.code == case.code
    line = the_line(answer, case)
    for word in case.words:
        assert word in line
    if case.status is None:
        assert answer.out == ""
    else:
        check_record(answer, case)
    shown = normalised(line, folder)
    seen[identity(case)] = shown
    if WRITE not in os.environ:
        assert recorded().get(identity(case)) == shown, f"docs/errors.md: make it with {WRITE}=1"


@pytest.mark.skipif(WRITE in os.environ, reason="the page is being written")
def test_the_page_has_a_row_for_every_mistake_and_no_other():
    assert PAGE.read_text("utf-8") == page(recorded())


def test_there_are_enough_mistakes_and_each_is_another():
    assert len({identity(case) for case in CASES}) == len(CASES) >= 30
    assert all(case.words for case in CASES if case.code != 0)


@pytest.mark.skipif(WRITE in os.environ, reason="the page is being written")
def test_no_line_is_long_or_raw():
    for name, line in recorded().items():
        assert 10 < len(line) < 300, name
        assert "\\n" not in line, name
        assert line == line.strip(), name


def test_the_page_can_be_read_back():
    signs = ["plain", "`code`", "a | b", "`a` | b", "\\udcff", "a|b"]
    lines = {
        identity(case): f"{signs[index % len(signs)]} {index}" for index, case in enumerate(CASES)
    }
    assert lines_of(page(lines)) == lines
