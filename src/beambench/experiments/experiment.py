"""An experiment as data (arms in an order, a rule to stop, a judge), and carrying it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from beambench.cancellation import Cancellation
from beambench.clock import Clock, SystemClock
from beambench.controller.execution import Execution
from beambench.controller.processes.work_dir import work_dir
from beambench.controller.repeats import ArmName
from beambench.controller.results import Trouble
from beambench.controller.session import Announce, Session, silent
from beambench.definition.entry_points import load
from beambench.definition.publish import Publish
from beambench.definition.runners import find_runner
from beambench.errors import BeambenchError, RunError
from beambench.experiments.records import Judge, Subject, make_record
from beambench.experiments.retries import Arm, retry_disturbed
from beambench.record.run_record import Repeat, RunRecord


class Request(Protocol):
    """What was asked for, of whatever kind: what it is called, and what its record says of it."""

    @property
    def name(self) -> str: ...

    @property
    def publish(self) -> Publish: ...

    @property
    def runner(self) -> str: ...

    @property
    def time_limit(self) -> float: ...

    @property
    def interpreter(self) -> str: ...

    @property
    def search_path(self) -> Sequence[str]: ...

    @property
    def labels(self) -> Mapping[str, str]: ...

    @property
    def shown_command(self) -> Sequence[str]: ...

    def identity(self) -> Mapping[str, str]: ...

    def configuration(self) -> Mapping[str, object]: ...

    def without_secrets(self, text: str) -> str: ...


R = TypeVar("R", bound=Request)
T = TypeVar("T")


GivesUp = Callable[[Sequence[Repeat]], bool]
"""Tells from all repeats so far, in the order of their execution, whether the rest is left out."""


def failed_in_a_row(count: int) -> GivesUp:
    """Give up once so many repeats have failed one after the other."""

    def gives_up(repeats: Sequence[Repeat]) -> bool:
        last = [repeat.status for repeat in repeats[-count:]]
        return len(last) == count and "succeeded" not in last

    return gives_up


@dataclass(frozen=True)
class Experiment:
    """What is measured, in which order, until when, and what is made of it.

    Attributes:
        prepare: makes ready what the arms need; it may end the run.
        schedule: the arm of each repeat, in order.
        gives_up: the rule to stop early.
        judge: says why the run failed, if it did.
        subject: says what was run, as far as that is known in the end.
        execution: what is known of the run before its first repeat.
        steps_before: how many steps the preparation has.
        started_at: when the run began, where that was before this process.
        added_config: what stands in the configuration beside that of the request.
        retries: how many disturbed rounds may be repeated. A round is a repeat of each arm.
    """

    request: Request
    prepare: Callable[[Session, Execution], Trouble | None]
    schedule: Sequence[Arm]
    gives_up: GivesUp
    judge: Judge
    subject: Callable[[Execution], Subject]
    execution: Execution
    steps_before: int = 0
    started_at: str | None = None
    added_config: Callable[[], Mapping[str, Any]] = dict
    retries: int = 0


def carry_out(
    experiment: Experiment,
    cancelled: Cancellation,
    announce: Announce = silent,
    clock: Clock | None = None,
) -> RunRecord:
    """Carry out an experiment and return its record, whatever its status.

    Raises:
        UsageError: the preparation, or a first repeat, came upon what only the user can fix.
        RunError: there is no room to work in.
    """
    clock = clock or SystemClock(cancelled)
    deadline = clock.now() + experiment.request.time_limit
    with session_of(experiment, cancelled, announce, clock, deadline) as session:
        trouble = guarded(session, lambda: _executed(experiment, session))
    return record_of(experiment, session, trouble, len(experiment.schedule))


@contextmanager
def session_of(
    experiment: Experiment,
    cancelled: Cancellation,
    announce: Announce,
    clock: Clock,
    deadline: float,
) -> Iterator[Session]:
    """Open the session of an experiment, with a scratch folder that goes when it ends.

    Raises:
        RunError: there is no room to work in.
    """
    request, started_at = experiment.request, experiment.started_at or clock.utc_now()
    with work_dir() as folder:
        yield Session(
            work_dir=folder,
            deadline=deadline,
            clock=clock,
            cancelled=cancelled,
            announce=announce,
            run_task=load(find_runner(request.runner).run_task),
            masked=request.without_secrets,
            steps=experiment.steps_before + len(experiment.schedule),
            started_at=started_at,
            interpreter=request.interpreter,
            search_path=request.search_path,
        )


def guarded(session: Session, work: Callable[[], T]) -> T | Trouble:
    """Return what a part of a run comes to, or the trouble where it cannot be carried out."""
    try:
        return work()
    except OSError as error:
        return Trouble("failed", f"{session.work_dir}: {error.strerror or error}")
    except RunError as error:  # a worker could not be started; others did before it
        return Trouble("failed", str(error))


def record_of(
    experiment: Experiment, session: Session, trouble: Trouble | None, expected: int
) -> RunRecord:
    """Return the record of an experiment that has ended.

    Args:
        experiment: what was carried out.
        session: in which it was.
        trouble: what ended it early, None if nothing did.
        expected: how many repeats there are in a run that succeeded.
    """
    return make_record(
        experiment.request,
        experiment.subject(experiment.execution),
        experiment.execution,
        trouble,
        started_at=session.started_at,
        finished_at=session.clock.utc_now(),
        expected=expected,
        judge=experiment.judge,
        added_config=experiment.added_config(),
    )


def _executed(experiment: Experiment, session: Session) -> Trouble | None:
    """Prepare and repeat; return what ended the run early."""
    return experiment.prepare(session, experiment.execution) or _repeated(experiment, session)


def _repeated(experiment: Experiment, session: Session) -> Trouble | None:
    """Run the arms in turn. A failed repeat is recorded; the run goes on if it can."""
    execution, repeats = experiment.execution, list[Repeat]()
    seconds: dict[ArmName, float] = {}
    for arm in experiment.schedule:
        done = sum(1 for repeat in repeats if repeat.arm == arm.name)
        step, began = session.next_step(f"{arm.label} {done + 1}"), session.clock.now()
        result = arm.repeat(session, step, execution)
        seconds[arm.name] = max(seconds.get(arm.name, 0.0), session.clock.now() - began)
        if isinstance(result, Trouble):
            return result
        repeats.append(execution.add(arm.name, result))
        if repeats[-1].status in ("cancelled", "timed_out"):
            return Trouble.of(step.label, result)
        if experiment.gives_up(repeats):
            return None
    return retry_disturbed(
        session, execution, experiment.schedule, experiment.retries, sum(seconds.values())
    )


def execute_all(
    requests: Sequence[R],
    cancelled: Cancellation,
    announce: Callable[[R], Announce],
    run: Callable[[R, Cancellation, Announce], RunRecord],
) -> Iterator[tuple[R, RunRecord | BeambenchError]]:
    """Run one request after the other; an error of one does not keep the others from running."""
    for request in requests:
        try:
            yield request, run(request, cancelled, announce(request))
        except BeambenchError as error:
            yield request, error
        if cancelled.is_set():
            return
