"""The arms of an experiment, and repeating what other work on the machine disturbed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from beambench.controller.execution import Execution
from beambench.controller.repeats import ArmName
from beambench.controller.results import TaskResult, Trouble
from beambench.controller.session import Session, Step
from beambench.record.run_record import Repeat


@dataclass(frozen=True)
class Arm:
    """A configuration that is measured, and the task that measures it.

    Attributes:
        name: under which its repeats are in the record.
        label: what a repeat is called while it is carried out.
        repeat: carries out one repeat; it may find that there can be none, which ends the run.
    """

    name: ArmName
    label: str
    repeat: Callable[[Session, Step, Execution], TaskResult | Trouble]


def retry_disturbed(
    session: Session, execution: Execution, schedule: Sequence[Arm], retries: int, seconds: float
) -> Trouble | None:
    """Repeat disturbed rounds of a run whose repeats are done, and return what ended it early.

    A round is a repeat of each arm, which are pairs: so all of it is repeated if one of them was
    disturbed. It does not count any more once all of the new one have succeeded. A run of which a
    repeat failed, or whose time would not last for another round, is left as it is.

    Args:
        session: in which the run is carried out.
        execution: the repeats so far; it gets the new ones.
        schedule: the arms of the repeats that are done, in their order.
        retries: how many rounds may be repeated.
        seconds: how long a round takes.
    """
    rounds = _rounds(schedule)
    for _ in range(retries):
        every = [*execution.repeats, *execution.references]
        if any(repeat.status != "succeeded" for repeat in every):
            return None
        disturbed = [
            repeat.index for repeat in every if repeat.excluded is None and repeat.is_disturbed
        ]
        if not disturbed:
            return None
        index = min(disturbed)
        if session.clock.now() + seconds > session.deadline:
            execution.warnings.append(
                f"repeat {index + 1} was disturbed, and the time limit leaves no time to repeat it"
            )
            return None
        rounds.append(rounds[index])
        trouble = _retry(session, execution, rounds[index], index)
        if trouble is not None:
            return trouble if trouble.status != "timed_out" else None
    return None


def _rounds(schedule: Sequence[Arm]) -> list[list[Arm]]:
    """Return the arms of each round, in their order."""
    rounds: list[list[Arm]] = []
    done: dict[ArmName, int] = {}
    for arm in schedule:
        number = done.get(arm.name, 0)
        done[arm.name] = number + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(arm)
    return rounds


def _retry(
    session: Session, execution: Execution, arms: Sequence[Arm], index: int
) -> Trouble | None:
    """Repeat a round. One that was cut does not count; what it was to replace does."""
    session.steps += len(arms)
    added: list[Repeat] = []
    for arm in arms:
        number = 1 + sum(
            repeat.arm == arm.name for repeat in [*execution.repeats, *execution.references]
        )
        step = session.next_step(f"{arm.label} {number}, in place of {index + 1}")
        result = arm.repeat(session, step, execution)
        if isinstance(result, Trouble):
            return result
        if result.status in ("timed_out", "cancelled"):
            trouble = Trouble.of(step.label, result)
            for repeat in added:
                execution.exclude(repeat.arm, repeat.index, trouble.message)
            if result.status == "cancelled":
                execution.add(arm.name, result)
            else:  # the run was whole without it
                execution.warnings.append(f"{trouble.message}: repeat {index + 1} still counts")
            return trouble
        added.append(execution.add(arm.name, result))
        if added[-1].status != "succeeded":
            return None
    for repeat in added:
        reason = f"repeat {repeat.index + 1} counts in its place"
        execution.exclude(repeat.arm, index, reason)
    return None
