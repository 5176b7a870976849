"""The tasks of one run, carried out one after the other: where, until when, and who is told."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from beambench.cancellation import Cancellation
from beambench.clock import Clock
from beambench.controller.execution import Execution
from beambench.controller.processes.work_dir import cache_dir
from beambench.controller.processes.worker_process import OnProgress
from beambench.controller.results import TaskResult, Trouble, without_secrets
from beambench.definition.plan import PipelinePlan, WorkerPlan
from beambench.record.run_record import RunRecord

OnStop = Literal["leave", "cancel"]
"""What becomes of a job that goes on without beambench, on Ctrl-C or at the time limit."""


@dataclass(frozen=True)
class Step:
    """What is happening, for whoever shows progress."""

    label: str
    index: int
    total: int

    def then(self, label: str) -> Step:
        """Return what follows it without a number of its own, or with the last."""
        return Step(label, min(self.index + 1, self.total), self.total)


Announce = Callable[[Step, int | None], OnProgress]
"""Called when a step begins, with the elements it will process; returns its progress callback."""

RunTask = Callable[..., TaskResult]
"""Carries out a plan, as `controller.processes.worker_process.run_task` does."""


def silent(step: Step, elements: int | None) -> OnProgress:
    """Announce nothing."""
    return lambda _: None


@dataclass
class Session:
    """The tasks of one run.

    Attributes:
        work_dir: scratch folder of the run.
        deadline: end of the run's time, by the clock.
        run_task: carries out a plan; without workers in tests.
        masked: takes secrets out of a text.
        steps: how many there will be.
        started_at: when the run began, in UTC.
        interpreter: Python of the workers.
        search_path: folders in which the workers look for modules first.
    """

    work_dir: Path
    deadline: float
    clock: Clock
    cancelled: Cancellation
    announce: Announce
    run_task: RunTask
    masked: Callable[[str], str]
    steps: int
    started_at: str
    interpreter: str = sys.executable
    search_path: Sequence[str] = ()
    _begun: int = 0

    def next_step(self, label: str) -> Step:
        self._begun += 1
        return Step(label, self._begun, self.steps)

    def places(self) -> dict[str, Any]:
        """Return the fields of every plan that say where and when it is carried out."""
        return {
            "work_dir": str(self.work_dir),
            "cache_dir": str(cache_dir()),
            "project_dir": os.getcwd(),  # noqa: PTH109
            "epoch_ns": time.time_ns(),
        }

    def run(
        self,
        plan: WorkerPlan,
        step: Step,
        elements: int | None = None,
        deadline: float | None = None,
    ) -> TaskResult:
        """Carry out a plan and return its result, without secrets.

        Args:
            plan: what is to be done.
            step: what this is called.
            elements: how many will be processed, if that is known.
            deadline: its end, by the clock; None: that of the run.

        Raises:
            RunError: no worker can be started.
        """
        result = self.run_task(
            plan,
            deadline=self.deadline if deadline is None else deadline,
            cancelled=self.cancelled,
            interpreter=self.interpreter,
            search_path=self.search_path,
            on_progress=self.announce(step, elements),
        )
        return without_secrets(result, self.masked)


@dataclass(frozen=True)
class PipelineRepeat:
    """One repeat of a benchmark's pipeline, for a runner that carries it out in a way of its own.

    Attributes:
        plan: what a worker of this machine would be told.
        execution: the run so far.
        draft: makes the record that the run would have if it ended in this trouble.
    """

    session: Session
    step: Step
    plan: PipelinePlan
    execution: Execution
    on_stop: OnStop
    draft: Callable[[Trouble], RunRecord]
