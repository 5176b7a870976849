"""stdout and stderr as people have them: other encodings, readers that leave, full disks."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_answer import Answer

import costed_runs
from beambench.cli.console import terminal
from beambench.cli.main import VERBS as ALL_VERBS
from beambench.cli.main import execute
from beambench.errors import RunError
from beambench.record.run_record import RunRecord
from beambench.store import RunStore, sqlite_url
from fake_workers import crashed

STORE = "sqlite:///runs.db"
RUN = "20260131T100100Z-00000001"
PRICED = costed_runs.local_run(2).run_id
VERBS = (
    ["list"],
    ["show", "overhead-noop"],
    ["show", RUN, "--store", STORE],
    ["validate", "overhead-noop"],
    ["options", "overhead-noop"],
    ["history", "overhead-noop", "--store", STORE],
    ["export", RUN, "--store", STORE],
    ["export", RUN, "--store", STORE, "--format", "csv"],
    ["export", RUN, "--store", STORE, "--format", "markdown"],
    ["run", "overhead-noop", "--dry-run"],
    ["publish", "--status", "--store", STORE],
    ["doctor", "--store", STORE],
    ["cost", PRICED, "--store", STORE],
)
NAMES = {
    "metrics": {
        "run_time": {
            "value": 4.2e-6,
            "unit": "s",
            "direction": "lower",
            "n": 6,
            "ci_low": 4e-6,
            "ci_high": 5e-6,
        }
    },
    "warnings": ["naïve: 5 € – or 10 ≥ 9 …"],
    "config": {"place": "Ωmega 😀"},
}


@pytest.fixture(scope="module")
def two_runs(make_record, tmp_path_factory) -> Path:
    """A store of two runs. Tests get copies: to make one takes longer than most of them do."""
    path = tmp_path_factory.mktemp("stored") / "runs.db"
    with RunStore.open(sqlite_url(path)) as store:
        store.add(make_record(**NAMES))
        store.add(costed_runs.local_run(2))
    return path


@pytest.fixture
def printed_to(folder, two_runs, monkeypatch):
    """Return a function that runs a command line with stdout on a descriptor; its exit code."""
    shutil.copy(two_runs, folder)

    def run(number: int, *arguments: str, encoding: str = "utf-8") -> int:
        with Path(os.devnull).open("w", encoding=encoding) as old, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal.stream(number, old))
            return terminal.close(execute(list(arguments)))

    return run


@pytest.fixture
def printed(printed_to, tmp_path):
    """Return a function that gives the bytes that a command line prints in an encoding."""

    def run(*arguments: str, encoding: str) -> bytes:
        place = tmp_path / "stdout"
        with place.open("wb") as file:
            assert printed_to(file.fileno(), *arguments, encoding=encoding) in (0, 3)
        return place.read_bytes()

    return run


@pytest.fixture
def full():
    number = os.open("/dev/full", os.O_WRONLY)
    yield number
    os.close(number)


@pytest.fixture
def unread():
    """A pipe whose reader went away."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_prints_where_the_terminal_knows_ascii_only(printed, verb):
    out = printed(*verb, encoding="ascii")
    assert out.isascii()
    assert out.count(b"\n") == printed(*verb, encoding="utf-8").count(b"\n")


def test_signs_that_a_terminal_lacks_are_written_with_others(printed):
    out = " ".join(printed("show", RUN, "--store", STORE, encoding="ascii").decode().split())
    assert "run_time 4.2 us 4 us - 5 us 6" in out
    assert r"warning: na\xefve: 5 \u20ac - or 10 >= 9 ..." in out
    out = " ".join(
        printed("show", RUN, "--store", STORE, encoding="latin-1").decode("latin-1").split()
    )
    assert "run_time 4.2 µs 4 µs - 5 µs 6" in out
    assert r"warning: naïve: 5 \u20ac - or 10 >= 9 ..." in out


@pytest.mark.parametrize("verb", [verb for verb in VERBS if "--format" not in verb], ids=" ".join)
def test_json_holds_the_same_in_every_encoding(printed, verb):
    documents = [
        json.loads(printed(*verb, "--json", encoding=encoding).decode(encoding))
        for encoding in ("ascii", "utf-8")
    ]
    if verb[0] != "doctor":  # says how much of the disk is free
        assert documents[0] == documents[1]


def test_json_for_a_terminal_that_knows_ascii_only(printed):
    out = printed("show", RUN, "--store", STORE, "--json", encoding="ascii")
    assert out.isascii()
    assert json.loads(out)["config"] == NAMES["config"]
    assert json.loads(out)["warnings"] == NAMES["warnings"]


def test_export_knows_json_as_every_verb_does(printed):
    export = ("export", RUN, "--store", STORE)
    assert printed(*export, "--json", encoding="utf-8") == printed(*export, encoding="utf-8")
    for name in ALL_VERBS:
        assert b"--json" in printed(name, "--help", encoding="utf-8")


def test_help_is_ascii(printed):
    assert len(ALL_VERBS) >= 14
    for name in ALL_VERBS:
        assert printed(name, "--help", encoding="utf-8").isascii()


@pytest.mark.parametrize("verb", [*VERBS[::3], ["--help"], ["--version"]], ids=" ".join)
def test_a_result_that_cannot_be_written_is_a_failure(printed_to, full, capsys, verb):
    assert printed_to(full, *verb) == 3
    assert capsys.readouterr().err == (
        "beambench: stdout could not be written: No space left on device\n"
    )


@pytest.mark.parametrize("verb", [*VERBS[::3], ["--help"], ["--version"]], ids=" ".join)
def test_a_reader_that_leaves_is_no_fault(printed_to, unread, capsys, verb):
    assert printed_to(unread, *verb) in (3, 141) if verb[0] == "doctor" else 141
    assert capsys.readouterr().err == ""


RAN = ["run", "overhead-noop", "--repeats", "1", "--store", STORE]


def stored_run() -> RunRecord:
    with RunStore.open(STORE) as store:
        (record,) = [stored for stored in store.history("overhead-noop") if stored.run_id != RUN]
    return record


@pytest.fixture
def run_to(printed_to, workers):
    """Return a function that runs a benchmark that ends in a status; exit code and stored run."""

    def run(number: int, status: str, *form: str) -> tuple[int, RunRecord]:
        if status != "succeeded":
            workers.script("pipeline", crashed(status))
        code, record = printed_to(number, *RAN, *form), stored_run()
        assert record.status == status
        assert ("throughput_elements" in record.metrics) == (status == "succeeded")
        return code, record

    return run


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize(
    ("status", "code"), [("succeeded", 3), ("failed", 3), ("timed_out", 124), ("cancelled", 130)]
)
def test_what_was_measured_is_stored_where_the_disk_is_full(
    run_to, full, capsys, status, code, form
):
    answered, record = run_to(full, status, *form)
    assert answered == code
    said = Answer(code, "", capsys.readouterr().err).messages
    assert said[0] == (
        f"beambench: overhead-noop: stored: `beambench show {record.run_id}` prints it"
    )
    assert said[-1] == "beambench: stdout could not be written: No space left on device"


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize(
    ("status", "code"), [("succeeded", 141), ("failed", 3), ("timed_out", 124), ("cancelled", 130)]
)
def test_what_was_measured_is_stored_where_nobody_reads(run_to, unread, status, code, form):
    answered, _ = run_to(unread, status, *form)
    assert answered == code


def test_a_run_that_could_not_start_keeps_its_code(printed_to, full, monkeypatch, capsys):
    def no_room():
        raise RunError("no room")

    monkeypatch.setattr("beambench.experiments.experiment.work_dir", no_room)
    assert printed_to(full, *RAN) == 3
    assert capsys.readouterr().err == "beambench: no room\n"


def test_a_pipe_that_another_process_made_non_blocking_gets_all(tmp_path):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    text = "x" * 300_000 + "\n"
    with (tmp_path / "copy").open("wb") as copy:
        with subprocess.Popen(["cat"], stdin=reader, stdout=copy) as cat:
            os.close(reader)
            out = terminal.stream(writer, sys.__stderr__)
            out.write(text)
            out.flush()
            os.close(writer)
        assert cat.returncode == 0
    assert (tmp_path / "copy").read_text() == text


def test_after_an_error_nothing_is_written_any_more(full):
    descriptor = terminal.Descriptor(full)
    assert descriptor.write(b"abc") == 3
    assert descriptor.error.errno == errno.ENOSPC
    assert descriptor.write(b"abcd") == 4


# --- as a process ---------------------------------------------------------------------------------


def shell(script: str, folder, **environment: str) -> tuple[int, str, str]:
    """Run a script of bash in which `beambench` is this one; its exit code, stdout and stderr."""
    command = f'beambench() {{ "{sys.executable}" -m beambench "$@"; }}\n{script}'
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="strict"), done.stderr.decode()


def test_head(folder):
    code, out, err = shell("beambench list | head -1; exit ${PIPESTATUS[0]}", folder)
    assert code in (0, 141)  # all may have been written before `head` had its line
    assert err == ""
    assert out.split()[0] == "name"


def test_head_of_both_streams(folder):
    code, out, _ = shell("beambench list --nosuch 2>&1 | true; exit ${PIPESTATUS[0]}", folder)
    assert (code, out) == (2, "")


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        (">/dev/full", "No space left on device"),
        (">&-", "it is closed"),
        ("1</dev/null", "Bad file descriptor"),
    ],
)
def test_stdout_that_takes_nothing(folder, where, reason):
    code, out, err = shell(f"beambench --version {where}", folder)
    assert (code, out) == (3, "")
    assert err == f"beambench: stdout could not be written: {reason}\n"


def test_a_closed_stdout_that_nothing_was_to_go_to(folder):
    code, _, err = shell("beambench list --nosuch >&-", folder)
    assert code == 2
    assert "stdout" not in err


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_an_ascii_terminal(folder, environment):
    code, out, err = shell("beambench list", folder, **environment)
    assert (code, err) == (0, "")
    assert "n1-standard-8 + 1 x" in out
    assert out.isascii()


def test_an_argument_that_the_locale_cannot_hold(folder):
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, out, err = shell("beambench show café", folder, **ascii_only)
    assert (code, out) == (2, "")
    assert err == (
        r"beambench: argument 'caf\xe9': the locale of this shell has only ASCII: "
        "set LC_ALL=C.UTF-8\n"
    )


def test_output_that_was_cut_by_ctrl_c_is_not_tried_again(printed_to, unread, monkeypatch):
    def write(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.write", write)
        assert printed_to(unread, "list") == 130
