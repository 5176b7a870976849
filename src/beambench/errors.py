"""The errors that a user is meant to read: one line, no traceback, and an exit code."""

from __future__ import annotations

import re
from collections.abc import Sequence

EXIT_OK = 0
EXIT_REGRESSION = 1
EXIT_USAGE = 2
EXIT_FAILED = 3
EXIT_INCONCLUSIVE = 4
EXIT_UNPUBLISHED = 5
EXIT_TIMED_OUT = 124
EXIT_INTERRUPTED = 130
EXIT_READER_LEFT = 141
"""Nobody read stdout any more: what a shell says of commands that SIGPIPE ended."""

WORST_FIRST = (
    EXIT_INTERRUPTED,
    EXIT_TIMED_OUT,
    EXIT_FAILED,
    EXIT_UNPUBLISHED,
    EXIT_INCONCLUSIVE,
    EXIT_REGRESSION,
)
"""Of several codes the first of these is that of the command; bad usage stops before any run."""


class BeambenchError(Exception):
    """An expected failure: one line that names the file, key or value and what to do."""

    exit_code = EXIT_FAILED


class UsageError(BeambenchError):
    """Wrong usage: a command line, a definition or an input that cannot be right (exit code 2)."""

    exit_code = EXIT_USAGE


class RunError(BeambenchError):
    """The run failed or could not start (exit code 3)."""


class StoreError(BeambenchError):
    """The store cannot be opened, read or written (exit code 3)."""


ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")


def without_addresses(text: str) -> str:
    """Return a text without the addresses of objects, which differ each time that one is made."""
    return ADDRESS.sub("", text)


def text_of(error: BaseException) -> str:
    """Return what an error says, without addresses; nothing where its own `__str__` fails."""
    try:
        return without_addresses(str(error))
    except Exception:
        return ""


def worst(codes: Sequence[int]) -> int:
    """Return the exit code of a command of whose parts each has one."""
    return next((code for code in WORST_FIRST if code in codes), max(codes, default=EXIT_OK))


SHORTEST_PART = 4
"""Characters of a part that is taken for the whole name."""


def nearest(wrong: str, known: list[str]) -> str:
    """Return ``" (did you mean X?)"`` for the closest known name, or an empty string.

    Where none is close, a known name that holds the wrong one is meant.
    """
    import difflib

    close = difflib.get_close_matches(wrong, known, n=1, cutoff=0.6)
    if not close and len(wrong) >= SHORTEST_PART:
        close = [name for name in known if wrong.lower() in name.lower()]
    return f" (did you mean {close[0]!r}?)" if close else ""
