"""Command lines in processes that are forked from one that has imported all they need.

Importing takes most of the second that `beambench run` needs against a stub worker. As a script
this is that process: for each line of JSON on stdin it starts a command line and answers with its
pid, and for the empty line after it with its wait status.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Forkery:
    """Starts command lines, one after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def start(
        self, arguments: list[str], output: Path, errors: Path, folder: Path, **added: str
    ) -> int:
        """Start a command line and return its pid."""
        order = {
            "arguments": arguments,
            "files": [str(output), str(errors)],
            "folder": str(folder),
            "environment": added,
        }
        self._ask(json.dumps(order))
        return self._answer()

    def end(self) -> int:
        """Wait for the command line and return its exit code, negative for a signal.

        Until then its pid cannot be another's, though it may have ended.
        """
        self._ask("")
        return os.waitstatus_to_exitcode(self._answer())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.kill()  # it may wait for a command line of a test that failed
        self._process.wait(10)

    def _ask(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def serve() -> None:
    import requests  # noqa: F401

    import beambench.cli.console.process
    import beambench.cli.console.progress
    import beambench.cli.run
    import beambench.experiments.benchmark
    import beambench.presentation.runs
    import beambench.publishers.outbox
    import beambench.runners.direct.runner
    import beambench.store.run_store
    from beambench.__main__ import main

    while line := sys.stdin.readline():
        order = json.loads(line)
        # A signal in the instant before the handlers are there waits until they are.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        pid = os.fork()
        if pid == 0:
            become(order)
            beambench.cli.console.process.exit_on_signals()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            main()
        say(pid)
        sys.stdin.readline()
        say(os.waitpid(pid, 0)[1])


def become(order: Mapping[str, Any]) -> None:
    """Make this process, which was forked, one that was started for a command line."""
    os.setsid()
    for number in SIGNALS:  # ignored, if the tests were started in the background of a shell
        signal.signal(number, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor, name in zip((1, 2), order["files"], strict=True):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
    os.closerange(3, 64)
    os.chdir(order["folder"])
    os.environ.update(order["environment"])
    sys.argv = ["beambench", *order["arguments"]]


def say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
