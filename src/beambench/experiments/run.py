"""`beambench run`: prepare, reference sample, repeats, record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from platformdirs import user_cache_dir

from beambench.cancellation import Cancellation
from beambench.controller.assemble import (
    Arm,
    Execution,
    input_record,
    model_record,
)
from beambench.controller.worker_process import OnProgress, WorkerResult, run_task, utc_now
from beambench.definition.plan import Plan, Preparation, Task, with_choices
from beambench.definition.publish import Publish
from beambench.definition.schema import Definition
from beambench.errors import BeambenchError, RunError, UsageError
from beambench.experiments.records import Subject, Trouble, make_record
from beambench.experiments.request import RunRequest, search_path
from beambench.experiments.work_dir import work_dir
from beambench.machine.environment import fingerprint
from beambench.record.observation import InferenceStep, Measured, Observation
from beambench.record.run_record import RunRecord

GIVE_UP_AFTER = 2
"""Repeats that fail one after the other before the rest is left out."""


@dataclass(frozen=True)
class Step:
    """What is happening, for whoever shows progress."""

    label: str
    index: int
    total: int


class Request(Protocol):
    """What was asked for, of whatever kind: what it is called, and what its record says of it."""

    @property
    def name(self) -> str: ...

    @property
    def publish(self) -> Publish: ...

    @property
    def runner(self) -> str: ...

    @property
    def labels(self) -> Mapping[str, str]: ...

    @property
    def shown_command(self) -> Sequence[str]: ...

    def identity(self) -> Mapping[str, str]: ...

    def configuration(self) -> Mapping[str, object]: ...


class KeepsSecrets(Protocol):
    """A request that knows its secrets."""

    def without_secrets(self, text: str) -> str: ...


R = TypeVar("R", bound=Request)
Announce = Callable[[Step, int | None], OnProgress]
"""Called when a step begins, with the elements it will process; returns its progress callback."""


def silent(step: Step, elements: int | None) -> OnProgress:
    """Announce nothing."""
    return lambda _: None


def cache_dir() -> Path:
    return Path(user_cache_dir("beambench", appauthor=False))


def schedule(repeats: int, reference: bool) -> list[Arm]:
    """Return the order of the timed repeats.

    Pipeline and loops take turns in mirrored blocks (A B C, C B A, …), so that a machine that
    slowly gets faster or slower favours none of them.
    """
    block: list[Arm] = ["pipeline", "loop", "ceiling"] if reference else ["pipeline"]
    blocks = [block if index % 2 == 0 else block[::-1] for index in range(repeats)]
    return [arm for arms in blocks for arm in arms]


@dataclass
class Run:
    """One run on its way. `execute` always returns a record once a worker was started."""

    request: RunRequest
    cancelled: Cancellation
    announce: Announce = silent
    work_dir: Path = field(default_factory=lambda: Path())
    deadline: float = 0.0
    preparation: Preparation | None = None
    prepared: Observation | None = None
    best_batch_size: int | None = None

    def execute(self) -> RunRecord:
        """Run the benchmark and return its record, whatever its status.

        Raises:
            UsageError: the preparation found something that only the user can mend.
            RunError: there is no room to work in.
        """
        started_at = utc_now()
        self.deadline = time.monotonic() + self.request.time_limit
        execution = Execution(self.request.failed_share)
        with work_dir() as self.work_dir:
            try:
                trouble = self._prepare(execution) or self._repeat(execution)
            except OSError as error:
                trouble = Trouble("failed", f"{self.work_dir}: {error.strerror or error}")
            except RunError as error:  # a worker could not be started; others did before it
                trouble = Trouble("failed", str(error))
        return self._record(execution, started_at, trouble)

    def _prepare(self, execution: Execution) -> Trouble | None:
        """Make input and weights ready, then run the sample."""
        step = self._step("prepare", 1)
        result = self._task("prepare", step, None)
        self.prepared = result.observation
        error = result.error
        if error is not None and error["kind"] == "usage":
            raise UsageError(error["message"])
        found = result.observation.prepared if result.observation is not None else None
        if found is None:
            return Trouble.of(step.label, result)
        self.preparation = Preparation.model_validate(found.preparation)
        definition = with_choices(self.request.resolved.definition, self.preparation.choices)
        execution.rounded = definition.model.precision != "float32"
        return self._sample(execution)

    def _sample(self, execution: Execution) -> Trouble | None:
        """Run the sample through the loop."""
        assert self.preparation is not None
        step = self._step("reference sample", 2)
        sampled = self._task("reference", step, len(self.preparation.sample))
        execution.reference = sampled.observation
        if sampled.status != "succeeded":
            return Trouble.of(step.label, sampled)
        return self._sample_stock(execution, len(self.preparation.sample))

    def _sample_stock(self, execution: Execution, elements: int) -> Trouble | None:
        """Run the sample as `stock` does, to state what a variant does to the outputs."""
        if self.request.stock is None:
            return None
        step = self._step("sample of stock", 3)
        definition = self.request.placed(self.request.stock)
        sampled = self._task("reference", step, elements, definition=definition)
        execution.stock = sampled.observation
        return None if sampled.status == "succeeded" else Trouble.of(step.label, sampled)

    def _arms(self) -> list[Arm]:
        return schedule(self.request.repeat_count, self.request.reference)

    def _step(self, label: str, index: int) -> Step:
        return Step(label, index, len(self._arms()) + self._steps_before())

    def _steps_before(self) -> int:
        """Return how many steps come before the repeats."""
        return 2 + (self.request.stock is not None) + self.request.reference

    def _repeat(self, execution: Execution) -> Trouble | None:
        """Run all arms in turn. A failed repeat is recorded; the run goes on if it can."""
        assert self.preparation is not None
        count, arms = self.preparation.count, self._arms()
        if self.request.reference:
            step = self._step("calibrate the loop", self._steps_before())
            found = self._task("calibrate", step, None)
            if found.observation is None or found.observation.best_batch_size is None:
                return Trouble.of(step.label, found)
            self.best_batch_size = found.observation.best_batch_size
        failures = 0
        for index, arm in enumerate(arms):
            best = self.best_batch_size if arm == "ceiling" else None
            sizes = execution.batch_sizes() if best is None else [best]
            if arm == "loop" and not sizes:
                return Trouble("failed", "no pipeline repeat whose batches the loop can replay")
            task: Task = "pipeline" if arm == "pipeline" else "loop"
            step = self._step(_label(arm, execution), index + self._steps_before() + 1)
            result = self._task(task, step, count, sizes)
            repeat = execution.add(arm, result)
            failures = 0 if repeat.status == "succeeded" else failures + 1
            if repeat.status in ("cancelled", "timed_out"):
                return Trouble.of(step.label, result)
            if failures == GIVE_UP_AFTER:
                return None
        return None

    def _task(
        self,
        task: Task,
        step: Step,
        elements: int | None,
        batch_sizes: list[int] | None = None,
        definition: Definition | None = None,
        **more: Any,
    ) -> WorkerResult:
        """Run a task in a worker; `more` are fields of its plan."""
        request = self.request
        plan = Plan(
            task=task,
            definition=definition or request.placed_definition,
            runner=request.runner,
            beam_flags=list(request.beam_flags),
            seed=request.seed,
            source=request.effective_source,
            limit=request.effective_limit,
            labels=request.effective_labels,
            output=request.output,
            overwrite=request.overwrite,
            work_dir=str(self.work_dir),
            cache_dir=str(cache_dir()),
            project_dir=os.getcwd(),  # noqa: PTH109
            epoch_ns=time.time_ns(),
            slot_us=int(request.resolved.profile.slot_seconds * 1e6),
            preparation=self.preparation,
            batch_sizes=batch_sizes or [],
            **more,
        )
        result = run_task(
            plan,
            deadline=self.deadline,
            cancelled=self.cancelled,
            interpreter=request.interpreter,
            search_path=search_path(request.resolved),
            on_progress=self.announce(step, elements),
        )
        return without_secrets(result, request)

    def _record(self, execution: Execution, started_at: str, trouble: Trouble | None) -> RunRecord:
        best = {"best_batch_size": self.best_batch_size} if self.request.reference else {}
        return make_record(
            self.request,
            self._subject(execution.reference),
            execution,
            trouble,
            started_at=started_at,
            expected=len(self._arms()),
            added_config=best,
        )

    def _subject(self, reference: Observation | None) -> Subject:
        """Return what is known of input, model and machine; `reference` is the sample's run."""
        request, prepared = self.request, self.prepared
        model = request.resolved.definition.model
        details = prepared.prepared if prepared is not None else None
        return Subject(
            input=input_record(prepared, request.effective_source, request.effective_labels),
            model=model_record(prepared, model.name, model.weights),
            environment=details.environment if details is not None else fingerprint(Path.cwd()),
            choices=self.preparation.choices if self.preparation is not None else [],
            warnings=[
                *request.warnings,
                *(details.warnings if details is not None else []),
                *(prepared.warnings if prepared is not None else []),
                *(reference.warnings if reference is not None else []),
            ],
        )


def without_secrets(result: WorkerResult, request: KeepsSecrets) -> WorkerResult:
    """Return a result without secrets: error and warnings may quote what the worker was told."""
    observation, error = result.observation, result.error
    if observation is not None:
        observation = observation.model_copy(
            update={
                "warnings": [request.without_secrets(text) for text in observation.warnings],
                "measured": _measured_without_secrets(observation.measured, request),
                "steps": {
                    name: _step_without_secrets(step, request)
                    for name, step in observation.steps.items()
                },
            }
        )
    if error is not None:
        error = {key: request.without_secrets(text) for key, text in error.items()}
    return replace(result, observation=observation, error=error)


def _measured_without_secrets(measured: Measured | None, request: KeepsSecrets) -> Measured | None:
    if measured is None or measured.retry_cause is None:
        return measured
    cause = request.without_secrets(measured.retry_cause)
    return measured.model_copy(update={"retry_cause": cause})


def _step_without_secrets(step: InferenceStep, request: KeepsSecrets) -> InferenceStep:
    if step.flow is None:
        return step
    causes = [request.without_secrets(text) for text in step.flow.causes]
    flow = step.flow.model_copy(update={"causes": causes})
    return step.model_copy(update={"flow": flow})


def _label(arm: Arm, execution: Execution) -> str:
    known = execution.repeats if arm == "pipeline" else execution.references
    return f"{arm} repeat {sum(1 for repeat in known if repeat.arm == arm) + 1}"


def execute(request: RunRequest, cancelled: Cancellation, announce: Announce) -> RunRecord:
    """Run one benchmark; see `Run.execute`."""
    return Run(request, cancelled, announce).execute()


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
