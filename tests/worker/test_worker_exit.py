"""A worker that has done its work ends, whatever its handler has left running."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

DONE = '{"task": "pipeline", "warnings": ["an earlier one"]}'
END = """
import sys, threading, time
from pathlib import Path
from beambench.worker import exit
exit.LEFT_SECONDS, exit.EXIT_SECONDS, exit.KILL_SECONDS = 0.3, 0.4, 0.5
forever = threading.Event().wait
{}
exit.limit_exit(Path(sys.argv[1]), 0)
"""
THREAD = "threading.Thread(target=forever, name='poll').start()"
POOL = """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(4)
pool.submit({}).result
"""
CHILD = """
import multiprocessing, time
multiprocessing.get_context("fork").Process(target=time.sleep, args=(2,), name="child").start()
"""
HOOK = "import atexit; atexit.register(forever)"
# Deaf to Python: the last lock of the interpreter is never given back.
HANG_IN_C = """
import atexit, ctypes
atexit.register(ctypes.PyDLL(None).sleep, 60)
"""


def end(tmp_path, left: str, written: str | None = DONE) -> tuple[int, dict, float]:
    """Return exit code, result and seconds of a worker that leaves this behind."""
    result = tmp_path / "result.json"
    if written is not None:
        result.write_text(written)
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", END.format(left), str(result)], timeout=60, check=False
    )
    document = json.loads(result.read_text()) if result.exists() else {}
    return done.returncode, document, time.monotonic() - began


def test_a_worker_that_leaves_nothing_ends_at_once(tmp_path):
    code, document, _ = end(
        tmp_path, POOL.format("int")
    )  # idle threads of a pool end by themselves
    assert (code, document) == (0, json.loads(DONE))


@pytest.mark.parametrize(
    ("left", "names"),
    [
        (THREAD, "thread 'poll'"),
        (THREAD + "\n" + THREAD.replace("poll", "log"), "thread 'poll' and thread 'log'"),
        (CHILD, "process 'child'"),
        (HOOK, "an exit hook"),
    ],
)
def test_what_keeps_a_worker_is_named_and_its_result_is_kept(tmp_path, left, names):
    code, document, seconds = end(tmp_path, left)
    assert code == 0
    earlier, warning = document["warnings"]
    assert earlier == "an earlier one"
    assert warning == (
        f"{names} kept the worker for 0 s after its work was done, until it was ended: end what "
        "the handler starts, or make it a daemon"
    )
    assert 0.3 <= document["exit_wait"] <= seconds


def test_a_stuck_job_of_a_pool_is_a_thread_that_stays(tmp_path):
    code, document, _ = end(tmp_path, POOL.format("forever"))
    assert code == 0
    assert document["warnings"][1].startswith("thread 'ThreadPoolExecutor-0_0' kept the worker")


def test_a_library_that_hangs_at_the_exit_is_ended_by_the_kernel(tmp_path):
    code, document, _ = end(tmp_path, HANG_IN_C)
    assert code == -14
    assert document == json.loads(DONE)


def test_without_a_result_none_is_made_up(tmp_path):
    assert end(tmp_path, THREAD, written=None)[:2] == (0, {})
