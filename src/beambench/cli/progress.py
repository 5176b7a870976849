"""Progress on stderr: a live line on a terminal, one line a step elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

from beambench.experiments.request import RunRequest
from beambench.experiments.run import Step

CLEAR_LINE = "\r\x1b[K"


class ProgressReporter:
    """Shows elements done, rate and time left of the step that is running."""

    def __init__(self, request: RunRequest, stream: TextIO | None = None) -> None:
        self._name = request.resolved.definition.name
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()

    def __call__(self, step: Step, elements: int | None) -> Any:
        head = f"{self._name} [{step.index}/{step.total}] {step.label}"
        self._write(CLEAR_LINE + head if self._live else f"{head}\n")
        if not self._live:
            return lambda _: None
        began: list[tuple[float, int]] = []

        def on_progress(message: dict[str, Any]) -> None:
            done = message.get("done")
            if isinstance(done, int) and done > 0:
                began.append((time.monotonic(), done)) if not began else None
                self._write(CLEAR_LINE + head + progress_text(done, elements, began[0]))
            if step.index == step.total and done == elements:
                self._write(CLEAR_LINE)

        return on_progress

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._live = False  # a closed terminal must not end the run


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
