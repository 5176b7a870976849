"""One task in a worker process of its own: plan in, observation out, watched from outside."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from beambench.cancellation import Cancellation
from beambench.clock import utc_now
from beambench.controller.processes.supervisor import ProcessOutcome, supervise
from beambench.controller.results import TaskResult
from beambench.definition.plan import WorkerPlan
from beambench.machine.cores import Cores, usable_cores
from beambench.machine.noise import NoiseMonitor
from beambench.machine.processes import ProcessTreeSampler
from beambench.record.observation import Observation
from beambench.record.run_record import Status

OnProgress = Callable[[dict[str, Any]], None]


def run_task(
    plan: WorkerPlan,
    *,
    deadline: float,
    cancelled: Cancellation,
    interpreter: str = sys.executable,
    search_path: Sequence[str] = (),
    on_progress: OnProgress | None = None,
) -> TaskResult:
    """Run a plan in a worker and wait for it, until the deadline (monotonic) or cancellation."""
    folder = Path(plan.work_dir)
    plan_file, result_file = folder / "plan.json", folder / "result.json"
    # pydantic's own JSON would turn an output that is not a number into null.
    document = json.dumps(plan.model_dump(mode="json"), separators=(",", ":"))
    plan_file.write_text(document, "utf-8")
    result_file.unlink(missing_ok=True)
    temporary = _empty(folder / "temporary")
    noise, samplers = NoiseMonitor(cores=_own_cores()), list[ProcessTreeSampler]()

    def watch(pid: int) -> None:
        sampler = ProcessTreeSampler(pid, supervisors=2, on_sample=noise.read)  # the watchdog: 2
        samplers.append(sampler)
        sampler.start()

    started_at = utc_now()
    noise.start()
    try:
        outcome = supervise(
            [interpreter, "-m", "beambench.worker", str(plan_file), str(result_file)],
            log_path=folder / "worker.log",
            env=_environment(search_path, temporary),
            deadline=deadline,
            cancelled=cancelled,
            on_progress=on_progress,
            on_start=watch,
        )
    finally:
        for sampler in samplers:
            sampler.stop()
    seen = samplers[0] if samplers else None
    observation, unreadable = _observation(result_file)
    if observation is not None:
        observation = _with_ending(observation, outcome)
        outcome = replace(outcome, duration=outcome.duration - observation.exit_wait)
    return TaskResult(
        status=_status(outcome, observation),
        observation=observation,
        error=_error(outcome, observation, unreadable),
        duration=outcome.duration,
        started_at=started_at,
        finished_at=utc_now(),
        noise=noise.stop(seen.cpu_seconds if seen else None, _window(plan, observation)),
        peak_rss=_greatest(seen.peak_rss if seen else None, observation),
        rss_samples=seen.samples if seen else 0,
    )


def _own_cores() -> Cores | None:
    """Return the cores that a worker is kept to, None if it may use all.

    Work on others takes nothing from it, so that is not what it is disturbed by.
    """
    cores = usable_cores()
    return None if cores is None or len(cores) == os.cpu_count() else cores


def _empty(folder: Path) -> Path:
    """Make an empty folder: what a killed worker left in it must not reach the next one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    return folder


def _environment(search_path: Sequence[str], temporary: Path) -> dict[str, str]:
    """Return the worker's environment: ours, and where a workload module of the user's own lies.

    Temporary files go into the scratch folder of the run, and with it: a killed worker removes none
    of its own.
    """
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("BEAMBENCH_")
    }
    places = [*search_path, environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(place for place in places if place)
    environment["TMPDIR"] = str(temporary)
    environment["PYTHONSAFEPATH"] = "1"  # a stray random.py in the current folder stays unseen
    return environment


def _observation(path: Path) -> tuple[Observation | None, str | None]:
    """Read what the worker wrote, or say why not.

    It is written whole as the last thing, so that it counts however the worker ended after it.
    """
    if not path.is_file():
        return None, None
    try:
        return Observation.model_validate_json(path.read_text("utf-8")), None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return None, ": ".join([".".join(map(str, first["loc"])) or "the whole", first["msg"]])
    except (OSError, ValueError) as error:
        return None, str(error)


def _window(plan: WorkerPlan, observation: Observation | None) -> tuple[float, float] | None:
    """Return when the numbers of a worker come from, in seconds since 1970; None if unknown."""
    measured = observation.measured if observation is not None else None
    if measured is None:
        return None
    offsets = (measured.first_read, measured.last_output)
    begin, end = offsets if None not in offsets else measured.inference_window or (None, None)
    if begin is None or end is None:
        return None
    return plan.epoch_ns / 1e9 + begin / 1e6, plan.epoch_ns / 1e9 + end / 1e6


def _with_ending(observation: Observation, outcome: ProcessOutcome) -> Observation:
    """Add a warning if a worker that had done its work did not end well."""
    if outcome.kind == "cancelled" or outcome.exit_code in (0, 1):
        return observation
    if outcome.signal == signal.SIGALRM:
        ending = "the worker hung at its exit"
    elif outcome.kind == "timed_out":
        ending = "the time limit was reached at the exit of the worker"
    elif outcome.exit_code is not None:
        ending = f"the worker ended with exit code {outcome.exit_code}"
    else:
        ending = _ending(outcome).partition(":")[0]
    warning = f"{ending}, after its work was done"
    return observation.model_copy(update={"warnings": [*observation.warnings, warning]})


def _status(outcome: ProcessOutcome, observation: Observation | None) -> Status:
    if observation is not None:
        return "succeeded" if observation.error is None else "failed"
    return outcome.kind if outcome.kind in ("timed_out", "cancelled") else "failed"


def _error(
    outcome: ProcessOutcome, observation: Observation | None, unreadable: str | None
) -> dict[str, Any] | None:
    if observation is not None:
        return observation.error.model_dump() if observation.error is not None else None
    problem = None
    if unreadable is not None and outcome.kind == "exited":
        problem = f"the worker's result cannot be read: {unreadable}"
    return {"kind": "run", "message": problem or _ending(outcome), "detail": outcome.stderr_tail}


def _ending(outcome: ProcessOutcome) -> str:
    if outcome.kind == "timed_out":
        return "timed out"
    if outcome.kind == "cancelled":
        return "cancelled"
    if outcome.kind == "lost":
        return "the worker's watchdog was killed"  # and ended the worker, by a signal too
    if outcome.signal is not None:
        hint = ": out of memory?" if outcome.signal == signal.SIGKILL else ""
        return f"the worker was killed by {_signal_name(outcome.signal)}{hint}"
    last = [line for line in outcome.stderr_tail.splitlines() if line.strip()][-1:]
    said = f": {last[0].strip()[:200]}" if last else ""
    return f"the worker ended with exit code {outcome.exit_code} and no result{said}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # most real-time signals have no name


def _greatest(sampled: int | None, observation: Observation | None) -> int | None:
    """Return the greater of what was sampled outside and what the kernel noted inside."""
    noted = observation.peak_rss if observation is not None else None
    return max((peak for peak in (sampled, noted) if peak is not None), default=None)
