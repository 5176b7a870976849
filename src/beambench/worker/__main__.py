"""The worker: ``python -m beambench.worker PLAN RESULT`` does one task and writes what it saw."""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import threading
import traceback
import typing
from pathlib import Path
from typing import Any

from beambench.errors import BeambenchError, UsageError, text_of
from beambench.machine.tree_cpu import WORKER_PID
from beambench.printable import storable_values
from beambench.record.observation import Observation, WorkerError
from beambench.worker.exit import limit_exit
from beambench.worker.wrapped_errors import STEP, innermost

PROGRESS_FD = "BEAMBENCH_PROGRESS_FD"
PROGRESS_SECONDS = 0.5

OURS = {BeambenchError.__name__, *(cls.__name__ for cls in BeambenchError.__subclasses__())}


def main(plan_path: str, result_path: str) -> int:
    """Do the task of a plan. The result is written whole or not at all; return an exit code."""
    document = json.loads(Path(plan_path).read_text("utf-8"))
    os.environ[WORKER_PID] = str(os.getpid())
    _report_progress()
    try:
        observation = _carried_out(document)
    except (Exception, SystemExit) as error:  # a handler may call sys.exit, with 0 even
        observation = Observation(task=document["task"], error=_described(error))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    _write(Path(result_path), observation.model_copy(update={"peak_rss": peak}))
    return 0 if observation.error is None else 1


def _carried_out(document: dict[str, Any]) -> Observation:
    """Carry a plan out by the function that it names, whose annotation says what plan it takes."""
    module, _, name = document["function"].partition(":")
    function = getattr(importlib.import_module(module), name)
    plan = typing.get_type_hints(function)["plan"].model_validate(document)
    observation: Observation = function(plan)
    return observation


def _described(error: BaseException) -> WorkerError:
    name, text = innermost(type(error).__name__, text_of(error))
    if isinstance(error, SystemExit):
        text = f"the workload or its handler called sys.exit({error.code!r}): raise an error there"
    ours = name in OURS
    text = " ".join((STEP.sub("", text) if ours else text).split())
    return WorkerError(
        kind="usage" if name == UsageError.__name__ else "run",
        message=text if ours else f"{name}: {text[:300]}" if text else name,
        detail=traceback.format_exc()[-8000:],
    )


def _write(path: Path, observation: Observation) -> None:
    partial = path.with_suffix(".partial")
    # pydantic's own JSON would turn an output that is not a number into null.
    document = storable_values(observation.model_dump(mode="json"))
    partial.write_text(json.dumps(document), "utf-8")
    partial.replace(path)


def _report_progress() -> None:
    """Tell the controller how many elements are done, from a thread, until the process ends."""
    number = os.environ.pop(PROGRESS_FD, None)
    if number is None:
        return
    descriptor = int(number)
    os.set_blocking(descriptor, False)
    os.set_inheritable(descriptor, False)
    threading.Thread(target=_progress_loop, args=(descriptor,), daemon=True).start()


def _progress_loop(descriptor: int) -> None:
    pause = threading.Event()
    while not pause.wait(PROGRESS_SECONDS):
        recorder = sys.modules.get("beambench.instrumentation.recorder")
        progress = getattr(recorder, "Progress", None)
        if progress is None:
            continue  # not imported yet, or only half
        try:
            os.write(descriptor, json.dumps({"done": progress.done}).encode() + b"\n")
        except BlockingIOError:
            continue  # the controller is busy; the next line says more
        except OSError:
            return


if __name__ == "__main__":
    code = 1
    try:
        code = main(sys.argv[1], sys.argv[2])
    finally:
        limit_exit(Path(sys.argv[2]), code)
    sys.exit(code)
