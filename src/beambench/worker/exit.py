"""The end of a worker whose result is written: nothing that is left behind may keep it."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

LEFT_SECONDS = 5.0
"""How long threads and processes of others may take to end once the result is written."""

EXIT_SECONDS = 30.0
"""The same for all else that Python does at its end, slow as that is on a busy machine."""

KILL_SECONDS = 5.0
"""How long after that the kernel ends the worker, should even our thread not run any more."""


def limit_exit(result: Path, code: int) -> None:
    """See to it that this process ends, whatever keeps the interpreter; to be called at its end.

    Python waits at its end for every thread that is not a daemon, for processes of
    ``multiprocessing`` and for exit hooks. What kept it is named as a warning in the result.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    signal.setitimer(signal.ITIMER_REAL, EXIT_SECONDS + KILL_SECONDS)
    threading.Thread(target=_exit_later, args=(result, code), daemon=True).start()


def _exit_later(result: Path, code: int) -> None:
    began = time.monotonic()
    time.sleep(LEFT_SECONDS)
    if not what_runs():
        time.sleep(EXIT_SECONDS - LEFT_SECONDS)
    try:
        note(result, what_runs(), time.monotonic() - began)
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    finally:
        os._exit(code)


def what_runs() -> str:
    """Name the threads and processes that Python waits for at its end; empty if there are none."""
    names = [
        f"thread {thread.name!r}"
        for thread in threading.enumerate()
        if not thread.daemon and thread is not threading.main_thread()
    ]
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None:
        names += [
            f"process {child.name!r}"
            for child in multiprocessing.active_children()
            if not child.daemon
        ]
    return " and ".join(names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")


def note(result: Path, names: str, seconds: float) -> None:
    """Add to a result what kept the worker, if there is a result."""
    try:
        document = json.loads(result.read_text("utf-8"))
    except (OSError, ValueError):
        return
    document["exit_wait"] = seconds
    document["warnings"] = [
        *document.get("warnings", []),
        f"{names or 'an exit hook'} kept the worker for {seconds:.0f} s after its work was done, "
        "until it was ended: end what the handler starts, or make it a daemon",
    ]
    partial = result.with_suffix(".partial")
    partial.write_text(json.dumps(document), "utf-8")
    partial.replace(result)
