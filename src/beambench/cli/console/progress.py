"""Progress on stderr: a live line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import select
import sys
import time
from typing import Any, TextIO

from beambench.controller.session import Step
from beambench.experiments.experiment import Request
from beambench.printable import printable

CLEAR_LINE = "\r\x1b[K"
PLAIN_SECONDS = 10.0
"""Seconds between two lines of one step where there is no terminal."""

PLAIN_SECONDS_OF_JOB = 60.0
"""The same for a job of a service, which takes longer; a change of its state is always shown."""


class ProgressReporter:
    """Shows elements done, rate and time left of the step that is running."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._name = ""
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()

    def begin(self, request: Request) -> ProgressReporter:
        """Begin with another benchmark."""
        self._name = request.name
        return self

    def __call__(self, step: Step, elements: int | None) -> Any:
        head = printable(f"{self._name} [{step.index}/{step.total}] {step.label}")
        self._show(head)
        first: list[tuple[float, int]] = []
        shown_at, shown_state = time.monotonic(), ""

        def on_progress(message: dict[str, Any]) -> None:
            nonlocal shown_at, shown_state
            if "line" in message:
                self._write(f"{CLEAR_LINE if self._live else ''}{printable(message['line'])}\n")
                return
            now, text = time.monotonic(), printable(str(message.get("text", "")))
            done = message.get("done")
            done = done if isinstance(done, int) else 0
            if done <= 0 and not text:
                return
            state = text.partition(",")[0]
            pause = PLAIN_SECONDS_OF_JOB if text else PLAIN_SECONDS
            if done > 0 and not first:
                first.append((now, done))
            if self._live or state != shown_state or now - shown_at >= pause:
                shown_at, shown_state = now, state
                line = head + (f": {text}" if text else "")
                line += progress_text(done, elements, first[0]) if done > 0 else ""
                self._show(line)

        return on_progress

    def close(self) -> None:
        """Clear the live line, so that results begin on a line of their own."""
        if self._live:
            self._write(CLEAR_LINE)

    def _show(self, line: str) -> None:
        self._write(CLEAR_LINE + self._fitted(line) if self._live else f"{line}\n")

    def _fitted(self, line: str) -> str:
        """Return the end of a line, which says most, where the terminal is narrow."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        return line if len(line) < columns or columns < 2 else f"…{line[2 - columns :]}"

    def _write(self, text: str) -> None:
        try:
            if _is_ready(self._stream):
                self._stream.write(text)
                self._stream.flush()
        except (OSError, ValueError):
            self._live = False  # a closed terminal must not end the run


def _is_ready(stream: TextIO) -> bool:
    """Return whether a line can be written at once: one that waits would stop the controller."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return True  # no file of the system
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)
    return bool(ready.poll(0))


def progress_text(
    done: int, elements: int | None, first: tuple[float, int], now: float | None = None
) -> str:
    """Return `: 120 of 200, 11.3/s, 7 s left`; rate and time left once they are known.

    Args:
        done: elements done so far.
        elements: elements in all, if known.
        first: time (monotonic) and count of the first report that had any done.
        now: the time (monotonic), for tests.
    """
    elapsed = (time.monotonic() if now is None else now) - first[0]
    text = f": {done} of {elements}" if elements is not None else f": {done}"
    rate = (done - first[1]) / elapsed if elapsed > 0 else 0.0
    if rate > 0:
        text += f", {rate:.3g}/s"
        if elements is not None:
            text += f", {max(0, elements - done) / rate:.0f} s left"
    return text
