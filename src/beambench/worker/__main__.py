"""The worker: ``python -m beambench.worker PLAN RESULT`` does one task and writes what it saw."""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import traceback
from pathlib import Path

from beambench.errors import BeambenchError, UsageError
from beambench.record.observation import Observation, WorkerError

PROGRESS_FD = "BEAMBENCH_PROGRESS_FD"
PROGRESS_SECONDS = 0.5


def main(plan_path: str, result_path: str) -> int:
    """Do the task of a plan. The result is written whole or not at all; return an exit code."""
    from beambench.definition.plan import Plan

    plan = Plan.model_validate_json(Path(plan_path).read_text("utf-8"))
    _report_progress()
    try:
        from beambench.worker.tasks import TASKS

        observation = TASKS[plan.task](plan)
    except Exception as error:
        observation = Observation(task=plan.task, error=_described(error))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    _write(Path(result_path), observation.model_copy(update={"peak_rss": peak}))
    return 0 if observation.error is None else 1


def _described(error: Exception) -> WorkerError:
    kind = "usage" if isinstance(error, UsageError) else "run"
    message = str(error) if isinstance(error, BeambenchError) else _innermost(error)
    return WorkerError(kind=kind, message=message, detail=traceback.format_exc()[-8000:])


def _innermost(error: Exception) -> str:
    """Return one line for an error that a runner may have wrapped as the text of a traceback."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    text = next((line for line in reversed(lines) if "Error: " in line), lines[-1] if lines else "")
    ours = text.partition("beambench.errors.RunError: ")[2]
    if ours:
        return ours
    return text[:300] if "Error: " in text else f"{type(error).__name__}: {text[:300]}"


def _write(path: Path, observation: Observation) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(observation.model_dump_json(), "utf-8")
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
        if recorder is None:
            continue  # still importing
        try:
            os.write(descriptor, json.dumps({"done": recorder.Progress.done}).encode() + b"\n")
        except BlockingIOError:
            continue  # the controller is busy; the next line says more
        except OSError:
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
