"""The errors that a user is meant to read: one line, no traceback, and an exit code."""

from __future__ import annotations

import re

EXIT_OK = 0
EXIT_USAGE = 2
EXIT_FAILED = 3
EXIT_UNPUBLISHED = 5
EXIT_TIMED_OUT = 124
EXIT_INTERRUPTED = 130


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
