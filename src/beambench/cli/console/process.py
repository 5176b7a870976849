"""The process of the command line: signals, standard streams, and how it ends.

Handlers of signals take no lock and write to no buffer: the next signal may interrupt them
anywhere. Signals that were ignored when we were started (nohup, a shell's background job) stay so.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from beambench.cancellation import Cancellation
from beambench.errors import EXIT_FAILED, EXIT_INTERRUPTED

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BURST_SECONDS = 1.0
"""Signals within this time count as one: what one of them began, the others leave in peace."""

INTERRUPTED = b"beambench: interrupted\n"

_Handler = Callable[[int, Any], None]


class _Bursts:
    """When the last burst of signals began, and whether one has raised KeyboardInterrupt."""

    def __init__(self) -> None:
        self.has_raised = False
        self._began = float("-inf")

    def begin(self) -> bool:
        """Take in a signal; return whether it is the first of its burst."""
        now = time.monotonic()
        if now - self._began < BURST_SECONDS:
            return False
        self._began = now
        return True


_bursts = _Bursts()


def exit_on_signals() -> None:
    """End the process at once on a signal: before anything has begun, there is nothing to lose."""
    _install(lambda *_: _exit_interrupted())


def raise_on_signals() -> None:
    """Raise KeyboardInterrupt on each burst of signals."""
    sys.unraisablehook = _on_unraisable
    _install(_raise)


def _raise(*_: object) -> None:
    if _bursts.begin():
        _bursts.has_raised = True
        raise KeyboardInterrupt


def _exit_interrupted() -> None:
    with contextlib.suppress(OSError):
        os.write(2, INTERRUPTED)
    os._exit(EXIT_INTERRUPTED)


def _on_unraisable(problem: Any) -> None:
    """Python throws away what is raised in a destructor or a callback: still end on Ctrl-C."""
    if problem.exc_type is KeyboardInterrupt:
        _exit_interrupted()
    sys.__unraisablehook__(problem)


def _install(handler: _Handler) -> dict[signal.Signals, Any]:
    """Set the handler of all signals that are not ignored; return what was there before."""
    previous = {}
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            previous[number] = signal.signal(number, handler)
    return previous


class Interruption:
    """A run that signals cancel instead of ending the process, so that its record is stored."""

    def __init__(self) -> None:
        self.cancelled = Cancellation()
        self.has_cut_output = False
        self._is_printing = False

    def on_signal(self, *_: object) -> None:
        is_first = _bursts.begin()
        self.cancelled.set()
        if self._is_printing and is_first:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def printing(self) -> Iterator[None]:
        """Print what was stored already; a signal ends that, for a reader may be stuck for ever."""
        try:
            self._is_printing = True
            yield
        except KeyboardInterrupt:
            self.has_cut_output = True
        finally:
            self._is_printing = False


@contextlib.contextmanager
def cancelled_by_signals() -> Iterator[Interruption]:
    """Cancel a run on Ctrl-C, SIGTERM or SIGHUP."""
    interruption = Interruption()
    previous = _install(interruption.on_signal)
    try:
        yield interruption
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def open_closed_descriptors() -> None:
    """Open /dev/null where stdin, stdout or stderr is closed.

    The next file that is opened would get its number, and what a library prints would go into it:
    the store's database. What cannot be said on stderr is dropped.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
            os.set_inheritable(descriptor, True)
    if sys.stderr is None:
        sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115


def run_and_exit(command: Callable[[], int]) -> None:
    """End the process with the exit code of a command, without a traceback on any signal.

    Nothing that Python does at its own end is waited for: a thread of a library would keep the
    process, and a signal in there shows as a traceback.
    """
    raise_on_signals()
    try:
        code = command()
        try:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        except (OSError, ValueError):
            code = code or EXIT_FAILED
        os._exit(EXIT_INTERRUPTED if code and _bursts.has_raised else code)
    except KeyboardInterrupt:
        os._exit(EXIT_INTERRUPTED)
    except Exception:
        if _bursts.has_raised:  # a library has made an error of its own of it, as pydantic does
            _exit_interrupted()
        raise
