"""What people read on narrow terminals: every word whole, every name whole, nothing left out."""

import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

import costed_runs
from beambench.cli.console.progress import ProgressReporter
from beambench.controller.session import Step
from beambench.definition.library import Library
from beambench.presentation.layout import Page, TableColumn
from beambench.request.benchmark import make_request
from beambench.store import RunStore, sqlite_url

STORE = "sqlite:///runs.db"
RUN = "20260131T100100Z-00000001"
PRICED = costed_runs.local_run(2).run_id
VERBS = (
    ["list"],
    ["show", RUN, "--store", STORE],
    ["show", "overhead-noop"],
    ["history", "overhead-noop", "--store", STORE],
    ["validate", "overhead-noop"],
    ["options", "overhead-noop"],
    ["run", "overhead-noop", "--dry-run"],
    ["publish", "--status", "--store", STORE],
    ["cost", PRICED, "--store", STORE],
    ["doctor", "--store", STORE],
)
WIDE = "1000"


@pytest.fixture(scope="module")
def three_runs(make_record, tmp_path_factory) -> Path:
    """A store of three runs. Tests get copies: to make one takes longer than most of them do."""
    metrics = {
        f"inference_batch_latency_{end}": {
            "value": 0.0123 + index / 1000,
            "unit": "s",
            "direction": "lower",
            "n": 6,
            "ci_low": 0.0111 + index / 1000,
            "ci_high": 0.0333 + index / 1000,
        }
        for index, end in enumerate(("mean", "p50", "p90", "p95", "p99"))
    }
    first = make_record(metrics={**make_record().metrics, **metrics}, warnings=["a " * 60 + "b"])
    path = tmp_path_factory.mktemp("stored") / "runs.db"
    with RunStore.open(sqlite_url(path)) as store:
        store.add(first)
        store.add(make_record(3, status="timed_out", error="timed out", variant="tuned-compiled"))
        store.add(costed_runs.local_run(2))
    return path


@pytest.fixture
def shown(beambench, folder, three_runs, monkeypatch):
    """Return a function that gives what a verb prints at a width."""
    shutil.copy(three_runs, folder)

    def at(columns: str, *arguments: str) -> str:
        monkeypatch.setenv("COLUMNS", columns)
        return beambench(*arguments).out

    return at


def words(text: str) -> set[str]:
    return {word.strip(";:,") for word in text.split()} - {""}


@pytest.mark.parametrize("columns", ["40", "80"])
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_every_word_of_a_wide_terminal_is_there_whole(shown, verb, columns):
    wide, narrow = words(shown(WIDE, *verb)), words(shown(columns, *verb))
    left_out = wide - narrow
    started = re.compile(r"started|\(UTC\)|2026-01-31T10:0\d:00")  # the run's name holds it
    if verb[0] == "history":
        left_out = {word for word in left_out if not started.fullmatch(word)}
    if verb[0] == "doctor":  # how much is free changes
        left_out = {word for word in left_out if not re.search(r"\d", word)}
    assert left_out == set()


@pytest.mark.parametrize("columns", [20, 60, 120])
@pytest.mark.parametrize("verb", [VERBS[0], VERBS[1], VERBS[3]], ids=lambda verb: verb[0])
def test_no_line_is_longer_than_the_terminal_but_for_one_word(shown, verb, columns):
    for line in shown(str(columns), *verb).splitlines():
        assert len(line.rstrip()) <= columns or len(line.split()) <= 2


def test_history_on_forty_columns(shown):
    lines = shown("40", "history", "overhead-noop", "--store", STORE).splitlines()
    assert lines[:2] == ["run", "20260131T100300Z-00000003"]
    assert " ".join(" ".join(lines[2:7]).split()) == (
        "started (UTC): 2026-01-31T10:03:00; variant: tuned-compiled; profile: smoke; "
        "status: timed out; input, weights: synthetic, none; elements/s: 3,168; n: 1"
    )


def test_history_on_eighty_columns_is_a_table_without_the_start(
    beambench, make_record, monkeypatch
):
    with RunStore.open(STORE) as store:
        store.add(make_record())
    monkeypatch.setenv("COLUMNS", "80")
    answer = beambench("history", "overhead-noop", "--store", STORE)
    assert answer.out.splitlines()[1].split() == (
        f"{RUN} stock smoke succeeded synthetic, none 3,168 1".split()
    )


def test_metrics_with_names_that_begin_alike_can_be_told_apart_on_forty_columns(shown):
    lines = shown("40", "show", RUN, "--store", STORE).splitlines()
    at = lines.index("inference_batch_latency_p90")
    assert lines[at + 1].startswith("  value: 14.3 ms;")
    assert "inference_batch_latency_p95" in lines


def test_a_table_gives_its_room_to_the_columns_that_need_it(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "32")
    Page().print_table(
        [TableColumn("id", whole=True), TableColumn("what"), TableColumn("n", right=True)],
        [["first-of-all", "several words of text", "1"], ["日本", "two", "23"]],
    )
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "id            what             n",
        "first-of-all  several words    1",
        "              of text",
        "日本          two             23",
    ]


def on_a_terminal(folder, columns: int, *arguments: str) -> str:
    """Run a command line on a terminal of so many columns; return what it wrote."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with subprocess.Popen(
        [sys.executable, "-m", "beambench", *arguments],
        cwd=folder,
        env={**environment, "TERM": "xterm", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.STDOUT,
    ):
        os.close(theirs)
        text = b""
        try:
            while part := os.read(ours, 65536):
                text += part
        except OSError:  # the last of the other side was closed
            pass
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", text.decode()).replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [40, 0])
def test_on_a_terminal(folder, make_record, columns):
    with RunStore.open(STORE) as store:
        store.add(make_record(status="timed_out", error="timed out"))
    text = on_a_terminal(folder, columns, "history", "overhead-noop", "--store", STORE)
    assert words(text) >= {RUN, "timed", "out", "3,168", "n"}
    assert max(map(len, text.splitlines())) <= (columns or 120)


class Narrow(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("columns", "shown"),
    [(200, "overhead-noop [3/5] repeat 1: 20 of 40"), (20, "…repeat 1: 20 of 40"), (0, None)],
)
def test_the_live_line_has_one_row(monkeypatch, columns, shown):
    monkeypatch.setattr("os.get_terminal_size", lambda *_: os.terminal_size((columns, 24)))
    stream = Narrow()
    reporter = ProgressReporter(stream).begin(make_request(Library(), "overhead-noop"))
    reporter(Step("repeat 1", 3, 5), 40)({"done": 20})
    last = stream.getvalue().split("\r\x1b[K")[-1]
    assert last == (shown or "overhead-noop [3/5] repeat 1: 20 of 40")
