"""Processes that write the pages of benchmarks beside each other."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

from beambench.errors import BeambenchError, RunError
from beambench.site.benchmark_pages import BenchmarkPages, BenchmarkState, SiteRequest
from beambench.site.data.outlines import BenchmarkOutline
from beambench.site.memory import without_collection
from beambench.store.run_store import RunStore

MOST = 8


@dataclass(frozen=True)
class Written:
    """What was written of a benchmark, and how many pages."""

    outline: BenchmarkOutline
    pages: int


def write_in_processes(
    url: str, request: SiteRequest, states: Sequence[BenchmarkState], *, is_new: bool
) -> list[Written]:
    """Write the pages of benchmarks, those with most runs first, in as many processes as cores.

    A process that has no more work, or whose parent is gone, reads the end of its pipe and ends.

    Raises BeambenchError as a process raised it; RunError for one that ended without an answer.
    """
    waiting = sorted(states, key=lambda state: len(state.run_pages))
    results, context = list[Written](), multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pipes = list[Connection]()
        for _ in range(min(len(waiting), os.cpu_count() or 1, MOST)):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_write_until_closed, args=(theirs, url, request, is_new), daemon=True
            )
            process.start()
            stack.callback(process.join)
            stack.callback(ours.close)  # before it is joined
            theirs.close()
            ours.send(waiting.pop())
            pipes.append(ours)
        while len(results) < len(states):
            for ready in wait(pipes):
                assert isinstance(ready, Connection)
                results.append(_answer(ready))
                if waiting:
                    ready.send(waiting.pop())
                else:
                    pipes.remove(ready)
    return results


def _answer(pipe: Connection) -> Written:
    try:
        answer = pipe.recv()
    except (EOFError, ConnectionResetError):
        raise RunError("a process that wrote pages ended: run the command again") from None
    if isinstance(answer, BaseException):
        raise answer
    assert isinstance(answer, Written)
    return answer


def _write_until_closed(pipe: Connection, url: str, request: SiteRequest, is_new: bool) -> None:
    """Answer each state with what was written, or with what went wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and closes the pipe
    with contextlib.suppress(EOFError, BrokenPipeError), without_collection():
        try:
            with RunStore.open(url) as store:
                pages = BenchmarkPages(store, request, is_new)
                while True:
                    pipe.send(Written(*pages.write(pipe.recv())))
        except (BeambenchError, OSError) as error:
            pipe.send(error)
