"""Ctrl-C, SIGTERM and SIGHUP: bursts of them, and streams that are closed, full or stuck."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import stub_worker
from beambench.cancellation import Cancellation
from beambench.cli.console.progress import ProgressReporter
from beambench.controller.session import Step
from beambench.store import RunStore, sqlite_url

# Another signal comes at every line of the handler.
BURST_IN_A_HANDLER = """
import signal, sys
from beambench.cli.console.process import cancelled_by_signals

lines = 0

def trace(frame, event, argument):
    global lines
    if event == "line":
        lines += 1
        signal.raise_signal(signal.SIGTERM)
    return trace

with cancelled_by_signals() as interruption:
    before = signal.getsignal(signal.SIGTERM)
    def traced(*arguments):
        sys.settrace(trace)
        before(*arguments)
    signal.signal(signal.SIGTERM, traced)
    signal.raise_signal(signal.SIGTERM)
    sys.settrace(None)
    print(lines > 5, interruption.cancelled.is_set())
"""


def python(script: str, *, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=timeout, check=False
    )


def test_a_signal_in_the_handler_of_another_does_not_hang():
    done = python(BURST_IN_A_HANDLER)
    assert (done.stdout, done.stderr) == ("True True\n", "")


def test_a_cancellation_is_waited_for_with_a_limit():
    cancelled = Cancellation()
    began = time.monotonic()
    assert not cancelled.wait(0.01)
    assert time.monotonic() - began >= 0.01
    cancelled.set()
    assert cancelled.wait(60)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_any_verb_without_a_traceback(number):
    script = (
        "import signal, sys, time\n"
        "from beambench.cli import main\n"
        f"main.settings.check_environment = lambda: signal.raise_signal({int(number)})\n"
        "main.main()\n"
    )
    done = python(script)
    assert (done.returncode, done.stderr) == (130, "beambench: interrupted\n")


def test_a_signal_that_a_destructor_swallows_ends_the_process_all_the_same():
    script = (
        "import signal\n"
        "from beambench.cli.console.process import run_and_exit\n"
        "class Swallows:\n"
        "    def __del__(self):\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "def command():\n"
        "    Swallows()\n"
        "    return 7\n"
        "run_and_exit(command)\n"
    )
    done = python(script)
    assert (done.returncode, done.stderr) == (130, "beambench: interrupted\n")


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGTERM, 130, "beambench: interrupted"), (0, 1, "ValueError: of a library")],
)
def test_an_interruption_that_a_library_turns_into_an_error_is_no_traceback(number, code, said):
    script = (
        "import os\n"
        "from beambench.cli.console.process import run_and_exit\n"
        "def command():\n"
        "    try:\n"
        f"        os.kill(os.getpid(), {int(number)})\n"
        "    except KeyboardInterrupt:\n"
        "        pass\n"
        "    raise ValueError('of a library')\n"
        "run_and_exit(command)\n"
    )
    done = python(script)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (code, said)
    assert ("Traceback" in done.stderr) == (code == 1)


def test_a_burst_is_one_interruption():
    script = (
        "import signal\n"
        "from beambench.cli.console.process import run_and_exit\n"
        "def command():\n"
        "    try:\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "    finally:\n"
        "        [signal.raise_signal(signal.SIGTERM) for _ in range(50)]\n"
        "        print('cleaned up', flush=True)\n"
        "run_and_exit(command)\n"
    )
    done = python(script)
    assert (done.returncode, done.stdout, done.stderr) == (130, "cleaned up\n", "")


def test_before_anything_is_imported_a_signal_just_ends_it():
    script = (
        "import signal, sys\n"
        "import beambench.__main__ as entry\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'beambench.cli.main':\n"
        "            [signal.raise_signal(signal.SIGHUP) for _ in range(50)]\n"
        "sys.meta_path.insert(0, Finder())\n"
        "entry.main()\n"
    )
    done = python(script)
    assert (done.returncode, done.stderr) == (130, "beambench: interrupted\n")


def test_a_signal_that_is_ignored_stays_ignored():
    script = (
        "import signal\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"  # as nohup does
        "from beambench.cli.console.process import cancelled_by_signals, exit_on_signals\n"
        "exit_on_signals()\n"
        "with cancelled_by_signals() as interruption:\n"
        "    signal.raise_signal(signal.SIGHUP)\n"
        "    print(interruption.cancelled.is_set())\n"
    )
    assert python(script).stdout == "False\n"


def test_a_reader_that_is_stuck_keeps_nobody():
    """What is printed is stored already: a signal ends the printing."""
    script = (
        "import os, signal, threading\n"
        "from beambench.cli.console.process import cancelled_by_signals\n"
        "read, write = os.pipe()\n"
        "threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGTERM]).start()\n"
        "with cancelled_by_signals() as interruption:\n"
        "    with interruption.printing():\n"
        "        os.write(write, bytes(1 << 20))\n"
        "    print(interruption.cancelled.is_set(), interruption.has_cut_output)\n"
    )
    assert python(script).stdout == "True True\n"


def test_progress_does_not_wait_for_a_stuck_reader():
    read, write = os.pipe()
    with os.fdopen(read), os.fdopen(write, "w") as stream:
        os.set_blocking(write, False)
        with contextlib.suppress(BlockingIOError):
            while os.write(write, bytes(4096)):
                pass
        os.set_blocking(write, True)
        reporter = ProgressReporter(stream)
        reporter(Step("prepare", 1, 2), None)({"line": "job 1"})
        assert set(os.read(read, 1 << 20)) == {0}  # nothing but the filling


# --- standard streams


@pytest.fixture(scope="module")
def stub(tmp_path_factory) -> Path:
    """The definition of a benchmark whose worker takes milliseconds."""
    return stub_worker.lay_out(tmp_path_factory.mktemp("stub") / "definitions")


@pytest.mark.parametrize("streams", ["<&- 2>&-", "2>/dev/full"])
def test_a_run_without_stderr_is_run_printed_and_stored(stub, tmp_path, streams):
    store = sqlite_url(tmp_path / "runs.db")
    command = f'exec "$0" -m beambench run "$1" --profile smoke --json --store "$2" {streams}'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, str(stub), store],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    printed = json.loads(done.stdout)
    assert printed["status"] == "succeeded"
    with RunStore.open(store) as opened:
        (record,) = opened.history(stub_worker.NAME)
    assert record.model_dump(mode="json") == printed


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path):
    script = (
        "import os, sys\n"
        "from beambench.cli.console.process import open_closed_descriptors\n"
        "open_closed_descriptors()\n"
        "mine = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "os.write(2, b'what a library prints')\n"
        "print('what we print', file=sys.stderr)\n"
        "sys.exit(mine)\n"
    )
    file = tmp_path / "store.db"
    command = 'exec "$0" -c "$1" "$2" <&- >&- 2>&-'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, script, str(file)], timeout=60, check=False
    )
    assert done.returncode == 3
    assert file.read_bytes() == b""
