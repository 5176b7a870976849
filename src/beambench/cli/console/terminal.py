"""stdout and stderr that take any text, and keep the first error of writing for the end."""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from typing import Any, TextIO

from beambench.cli.console.messages import say
from beambench.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_READER_LEFT, worst

REPLACEMENTS = {
    "µ": "u",
    "μ": "u",
    "×": "x",
    "÷": "/",
    "–": "-",
    "—": "-",
    "…": "...",
    "≥": ">=",
    "≤": "<=",
    "→": "->",
    "“": '"',
    "”": '"',
    "\u2018": "'",
    "\u2019": "'",
}
"""What stands for the signs that beambench writes itself where the encoding has none."""

ERRORS = "beambench.replace"
CHOSEN_ERRORS = ("replace", "ignore", "xmlcharrefreplace", "namereplace")
"""Ways to replace that ``PYTHONIOENCODING=ascii:…`` may ask for, and that never fail."""


class Descriptor(io.RawIOBase):
    """A file descriptor; after the first error what is written is dropped, and the error kept.

    So a run goes on and is stored, whoever went away meanwhile.
    """

    def __init__(self, number: int, closed: OSError | None = None) -> None:
        super().__init__()
        self._number = number
        self._closed = closed
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return self.error is self._closed is None and os.isatty(self._number)

    def write(self, data: Any) -> int:
        self.error = self.error or self._closed  # only now: who prints nothing lacks nothing
        while self.error is None:
            try:
                return os.write(self._number, data)
            except BlockingIOError:  # another process that shares it made it so
                select.select([], [self._number], [])
            except OSError as error:
                self.error = error
            except KeyboardInterrupt:  # of somebody who waits for a reader that is stuck
                self.error = OSError(errno.EINTR, os.strerror(errno.EINTR))
                raise
        return len(data)


def open_streams() -> None:
    """Put streams that never raise in place of stdout and stderr."""
    sys.stdout = stream(1, sys.stdout)
    sys.stderr = stream(2, sys.stderr)


def stream(number: int, old: TextIO | None) -> TextIO:
    """Return a stream on a descriptor, with the encoding of the one that Python made of it."""
    if old is None:
        closed = Descriptor(number, OSError(errno.EBADF, "it is closed"))
        return io.TextIOWrapper(io.BufferedWriter(closed), "utf-8", ERRORS)
    how = old.errors if old.errors in CHOSEN_ERRORS else ERRORS
    buffer = io.BufferedWriter(Descriptor(number))
    return io.TextIOWrapper(buffer, old.encoding, how, line_buffering=True)


def replaced(error: UnicodeError) -> tuple[str, int]:
    r"""Write what an encoding lacks as a sign like it, or else as ``\xe9``, ``\u20ac``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    signs = (REPLACEMENTS.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text)
    return "".join(signs), error.end


codecs.register_error(ERRORS, replaced)


def unwritten() -> OSError | None:
    """Return why stdout did not get all that was printed, if it did not."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.error if isinstance(raw, Descriptor) else None


def reader_left(error: OSError) -> bool:
    """Tell whether nobody reads or waits any more (``| head``, Ctrl-C), which is no fault."""
    return error.errno in (errno.EPIPE, errno.EINTR)


def close(code: int) -> int:
    """Write out what is left; return the exit code, which says if stdout did not get all.

    Where the reader left, an exit code that says more is kept.
    """
    error = unwritten()
    if error is None:
        return code
    if error.errno == errno.EINTR:
        return worst([code, EXIT_INTERRUPTED])
    if reader_left(error):
        return EXIT_READER_LEFT if code == EXIT_OK else code
    say(f"stdout could not be written: {error.strerror}")
    return worst([code, EXIT_FAILED])
