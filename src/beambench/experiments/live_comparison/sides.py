"""A side of a live comparison: a benchmark prepared in a session of its own, then repeated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from beambench.cancellation import Cancellation
from beambench.clock import Clock
from beambench.controller.processes.worker_process import OnProgress
from beambench.controller.results import Trouble
from beambench.controller.session import Announce, Session, Step
from beambench.experiments.benchmark import BenchmarkRun
from beambench.experiments.experiment import Experiment, guarded, record_of, session_of
from beambench.machine.cores import Cores, kept_to
from beambench.record.run_record import Repeat, RunRecord
from beambench.request.comparison import Side


@dataclass
class LiveSide:
    """A side while it is measured.

    Attributes:
        keeps_cut: a repeat that the time limit cut stands in the record, and makes it `timed_out`.
    """

    side: Side
    run: BenchmarkRun
    experiment: Experiment
    session: Session
    keeps_cut: bool

    @property
    def name(self) -> str:
        return self.side.name

    @property
    def done(self) -> int:
        """How many repeats there are."""
        return len(self.experiment.execution.repeats)

    @property
    def environment(self) -> Mapping[str, Any]:
        """What its workers run in, empty as long as none has told."""
        prepared = self.run.prepared.prepared if self.run.prepared is not None else None
        return prepared.environment if prepared is not None else {}

    def prepare(self, cores: Cores | None = None) -> Trouble | None:
        """Make input and weights ready, and run the reference sample.

        Args:
            cores: that its workers may use; None: all.

        Raises:
            UsageError: it came upon what only the user can fix.
        """
        experiment, session = self.experiment, self.session
        with kept_to(cores):
            return guarded(session, lambda: experiment.prepare(session, experiment.execution))

    def repeat(self, cores: Cores | None = None) -> Repeat | Trouble:
        """Carry out one repeat; return it, or the trouble where it did not succeed.

        Args:
            cores: that its worker may use; None: all.
        """
        execution, arm = self.experiment.execution, self.experiment.schedule[0]
        step = self.session.next_step(f"{arm.label} {self.done + 1}")
        with kept_to(cores):
            result = guarded(self.session, lambda: arm.repeat(self.session, step, execution))
        if isinstance(result, Trouble):
            return result
        if result.status == "timed_out" and not self.keeps_cut:
            return Trouble.of(step.label, result)
        repeat = execution.add(arm.name, result)
        if repeat.status == "failed" and repeat.error is not None:
            return Trouble("failed", f"{step.label}: {repeat.error['message']}")
        return repeat if repeat.status == "succeeded" else Trouble.of(step.label, result)

    def exclude(self, index: int, reason: str) -> None:
        """Leave a repeat of this session, counted from 0, out of the values of the run."""
        self.experiment.execution.exclude("pipeline", index, reason)

    def record(self, trouble: Trouble | None) -> RunRecord:
        """Return the record of its run, with the repeats that there are."""
        asked = replace(self.side.request, repeats=max(1, self.done))
        return record_of(
            replace(self.experiment, request=asked), self.session, trouble, max(1, self.done)
        )


@contextmanager
def opened(
    side: Side,
    cancelled: Cancellation,
    announce: Announce,
    clock: Clock,
    deadline: float,
    *,
    keeps_cut: bool,
) -> Iterator[LiveSide]:
    """Open a side: nothing of it runs yet.

    Raises:
        RunError: there is no room to work in.
    """
    run = BenchmarkRun(side.request)
    experiment = run.experiment()
    with session_of(experiment, cancelled, announce, clock, deadline) as session:
        yield LiveSide(side, run, experiment, session, keeps_cut)


@dataclass
class SharedSteps:
    """Counts the steps of all sides together, for whoever shows progress.

    Attributes:
        total: how many are expected; steps beyond that move it.
    """

    announce: Announce
    total: int
    begun: int = 0
    _lock: Lock = field(default_factory=Lock)  # of a duet, both sides announce at once

    def of(self, name: str) -> Announce:
        """Return what announces the steps of a side."""

        def announce(step: Step, elements: int | None) -> OnProgress:
            with self._lock:
                self.begun += 1
                self.total = max(self.total, self.begun)
                shown = Step(f"{name}: {step.label}", self.begun, self.total)
            return self.announce(shown, elements)

        return announce
