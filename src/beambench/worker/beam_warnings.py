"""Warnings of Beam's inference code and of the runtimes below it, kept for the record."""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any

from beambench.errors import RunError
from beambench.printable import storable

MAX_WARNINGS = 10
LONGEST_TEXT = 300

INFERENCE_CODE = "/apache_beam/ml/"
"""Part of the path of every file whose warnings bend a measurement."""

SWITCHES = (
    "Switching to CPU",
    "Attempting to load onto a CPU device instead",
    "'CUDAExecutionProvider' is not in available provider names",
    "Falling back to CPU",
)
"""What Beam's handlers and ONNX Runtime say when the GPU that they are to use is not there."""

FORWARDED = re.compile(
    r'message: "(?P<text>.*?)" .*?log_location: "(?P<path>[^"]*?):\d+"', re.DOTALL
)
"""A log entry of another worker process, as FnApiRunner prints it."""


class BeamWarnings:
    """Keeps each distinct warning once, in the order in which they came.

    Attributes:
        texts: the warnings, one line each, at most `MAX_WARNINGS`.
        switch: what was said when the GPU that was asked for was not there, or None.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.switch: str | None = None

    def seen(self, record: logging.LogRecord) -> None:
        """Keep what is logged, if it is a warning of the code that runs inference."""
        if record.levelno < logging.WARNING:
            return
        try:
            text, path = record.getMessage(), record.pathname
        except (TypeError, ValueError):  # arguments that do not fit the message
            return
        forwarded = FORWARDED.search(text)
        if forwarded is not None:
            text, path = (
                forwarded["text"].replace('\\"', '"').replace("\\'", "'"),
                forwarded["path"],
            )
        if INFERENCE_CODE in path.replace("\\", "/"):
            self.add(text)

    def add(self, text: str) -> None:
        """Keep a warning, as a line that says what it means for the run where that is known."""
        line = " ".join(storable(text).split())[:LONGEST_TEXT]
        if any(words in line for words in SWITCHES):
            self.switch = self.switch or line
            line = f"a handler asked for a GPU and ran on the CPU: {line}"
        if line and line not in self.texts and len(self.texts) < MAX_WARNINGS:
            self.texts.append(line)

    def check_device(self, device: str) -> None:
        """Raise RunError if a benchmark that is defined for a GPU ran on the CPU."""
        if device == "gpu" and self.switch is not None:
            raise RunError(f"model.device gpu: the model ran on the CPU: {self.switch}")


@contextlib.contextmanager
def recorded_warnings() -> Iterator[BeamWarnings]:
    """Record the warnings of what runs inside; they are logged and shown as before."""
    # A handler of ours would keep a user's logging.basicConfig from doing anything.
    recorded, make, show = BeamWarnings(), logging.getLogRecordFactory(), warnings.showwarning

    def made(*parts: Any, **options: Any) -> logging.LogRecord:
        record = make(*parts, **options)
        recorded.seen(record)
        return record

    def shown(message: Any, *rest: Any, **options: Any) -> None:
        if any(words in str(message) for words in SWITCHES):
            recorded.add(str(message))
        show(message, *rest, **options)

    logging.setLogRecordFactory(made)
    warnings.showwarning = shown
    try:
        yield recorded
    finally:
        logging.setLogRecordFactory(make)
        warnings.showwarning = show
