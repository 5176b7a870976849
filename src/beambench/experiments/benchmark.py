"""`beambench run` of a benchmark: prepare, reference sample, and the pipeline beside its loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from beambench.cancellation import Cancellation
from beambench.clock import Clock
from beambench.controller.execution import Execution
from beambench.controller.record_parts import input_record, model_record
from beambench.controller.repeats import ArmName
from beambench.controller.results import TaskResult, Trouble
from beambench.controller.session import Announce, PipelineRepeat, Session, Step, silent
from beambench.definition.entry_points import load
from beambench.definition.plan import (
    CalibratePlan,
    LoopPlan,
    PipelinePlan,
    Preparation,
    PreparePlan,
    ReferencePlan,
    decided,
    with_choices,
)
from beambench.definition.runners import Runner, find_runner
from beambench.definition.schema import Definition
from beambench.definition.user_modules import importable
from beambench.errors import UsageError
from beambench.experiments.experiment import Experiment, carry_out, failed_in_a_row
from beambench.experiments.records import Subject, first_error, make_record
from beambench.experiments.retries import Arm
from beambench.machine.environment import fingerprint
from beambench.record.observation import BatchSizeRates, Observation
from beambench.record.run_record import RunRecord
from beambench.request.benchmark import RunRequest
from beambench.workloads.base import Workload
from beambench.workloads.registry import load_class, precision_of


def schedule(repeats: int, reference: bool) -> list[ArmName]:
    """Return the order of the timed repeats.

    A block begins with the pipeline, whose batch sizes its loop replays. The two loops change
    places from block to block (A B C, A C B, …), so that neither is always next to it.
    """
    if not reference:
        return ["pipeline"] * repeats
    blocks: list[list[ArmName]] = [["pipeline", "loop", "ceiling"], ["pipeline", "ceiling", "loop"]]
    return [arm for index in range(repeats) for arm in blocks[index % 2]]


def execute(
    request: RunRequest,
    cancelled: Cancellation,
    announce: Announce = silent,
    clock: Clock | None = None,
) -> RunRecord:
    """Run a benchmark on its runner and return its record; see `carry_out`."""
    return carry_out(BenchmarkRun(request).experiment(), cancelled, announce, clock)


@dataclass
class BenchmarkRun:
    """The tasks of a benchmark's run, and what one leaves for the next."""

    request: RunRequest
    preparation: Preparation | None = None
    prepared: Observation | None = None
    calibrated: BatchSizeRates | None = None

    @property
    def runner(self) -> Runner:
        return find_runner(self.request.runner)

    @property
    def has_sample(self) -> bool:
        """Whether the sample is run here: not if the model is for a GPU of other machines."""
        return self.runner.is_local or self.request.resolved.definition.model.device != "gpu"

    def experiment(self) -> Experiment:
        request, runner = self.request, self.runner
        arms = {
            "pipeline": Arm("pipeline", runner.repeat_label, self._pipeline),
            "loop": Arm("loop", "loop repeat", self._loop),
            "ceiling": Arm("ceiling", "ceiling repeat", self._ceiling),
        }
        steps = 1 + request.reference
        return Experiment(
            request,
            prepare=self._prepare,
            schedule=[arms[name] for name in schedule(request.repeat_count, request.reference)],
            gives_up=failed_in_a_row(runner.failures),
            judge=first_error,
            subject=self._subject,
            execution=Execution(request.failed_share),
            steps_before=steps + (self.has_sample and 1 + (request.stock is not None)),
            added_config=self._added_config,
            retries=request.retry_disturbed,
        )

    def _added_config(self) -> dict[str, Any]:
        calibrated = self.calibrated
        rates = calibrated.rates if calibrated is not None else {}
        best = {
            "best_batch_size": calibrated.best if calibrated is not None else None,
            "best_batch_size_margin": calibrated.margin if calibrated is not None else None,
            "batch_size_rates": {str(size): rate for size, rate in rates.items()},
        }
        return {**(best if self.request.reference else {}), **self._precision[0]}

    @cached_property
    def _precision(self) -> tuple[dict[str, str], list[str]]:
        """Return what the model computed in, where that is not the definition's `model.precision`.

        `beambench cost` asks for it, and need not have the workload to import. A workload that
        cannot tell is named in a warning. Asked once, when the preparation is over.
        """
        definition = self.request.resolved.definition
        choices = self.preparation.choices if self.preparation is not None else []
        document = decided(definition.model_dump(mode="json"), choices)
        with importable(self.request.search_path):
            try:
                precision = precision_of(load_class(definition.workload), document)
            except UsageError as error:
                return {}, [str(error)]
        same = precision == Workload.precision_of(document)
        return ({} if same else {"precision": precision}), []

    def _prepare(self, session: Session, execution: Execution) -> Trouble | None:
        """Make input and weights ready, run the sample, and find the best batch of the loop."""
        if self.runner.access_check is not None:
            load(self.runner.access_check)(self.request)
        step = session.next_step("prepare")
        fields = session.places() | self.request.plan_fields()
        plan = PreparePlan(**fields, overwrite=self.request.overwrite)
        result = session.run(plan, step)
        self.prepared = result.observation
        if result.error is not None and result.error["kind"] == "usage":
            raise UsageError(result.error["message"])
        details = result.observation.prepared if result.observation is not None else None
        if details is None:
            return Trouble.of(step.label, result)
        self.preparation = Preparation.model_validate(details.preparation)
        definition = with_choices(self.request.resolved.definition, self.preparation.choices)
        execution.rounded = definition.model.precision != "float32"
        return self._samples(session, execution) or self._calibrate(session)

    def _samples(self, session: Session, execution: Execution) -> Trouble | None:
        """Run the sample, and run it as `stock` does, to state what a variant does to outputs."""
        if not self.has_sample:
            return None
        step = session.next_step("reference sample")
        repeats = self.request.repeat_count
        result = self._sample(session, step, self.request.placed_definition, repeats)
        execution.reference = result.observation
        stock = self.request.stock
        if result.status == "succeeded" and stock is not None:
            step = session.next_step("sample of stock")
            result = self._sample(session, step, self.request.placed(stock))
            execution.stock = result.observation
        return None if result.status == "succeeded" else Trouble.of(step.label, result)

    def _sample(
        self, session: Session, step: Step, definition: Definition, repeats: int = 0
    ) -> TaskResult:
        fields = self._prepared_fields(session) | {"definition": definition, "repeats": repeats}
        # With repeats to compare it goes on beyond the sample, while that costs little of them.
        elements = None if repeats else len(self._ready().sample)
        return session.run(ReferencePlan(**fields), step, elements)

    def _calibrate(self, session: Session) -> Trouble | None:
        if not self.request.reference:
            return None
        step = session.next_step("calibrate the loop")
        result = session.run(CalibratePlan(**self._prepared_fields(session)), step)
        if result.observation is None or result.observation.batch_size_rates is None:
            return Trouble.of(step.label, result)
        self.calibrated = result.observation.batch_size_rates
        return None

    def _pipeline(self, session: Session, step: Step, execution: Execution) -> TaskResult | Trouble:
        runner = self.runner
        plan = PipelinePlan(
            **self._prepared_fields(session), pipeline_function=runner.pipeline or ""
        )
        if runner.repeat is None:
            return session.run(plan, step, self._ready().count)
        context = PipelineRepeat(
            session, step, plan, execution, self.request.on_stop, self._draft(session, execution)
        )
        result: TaskResult | Trouble = load(runner.repeat)(context)
        return result

    def _loop(self, session: Session, step: Step, execution: Execution) -> TaskResult | Trouble:
        sizes = execution.batch_sizes()
        if not sizes:
            return Trouble("failed", "no pipeline repeat whose batches the loop can replay")
        return self._replay(session, step, sizes)

    def _ceiling(self, session: Session, step: Step, execution: Execution) -> TaskResult:
        assert self.calibrated is not None
        return self._replay(session, step, [self.calibrated.best])

    def _replay(self, session: Session, step: Step, sizes: list[int]) -> TaskResult:
        plan = LoopPlan(**self._prepared_fields(session), batch_sizes=sizes)
        return session.run(plan, step, self._ready().count)

    def _ready(self) -> Preparation:
        assert self.preparation is not None, "nothing is repeated before it is prepared"
        return self.preparation

    def _prepared_fields(self, session: Session) -> dict[str, Any]:
        fields = session.places() | self.request.plan_fields()
        return fields | {"preparation": self._ready()}

    def _draft(self, session: Session, execution: Execution) -> Callable[[Trouble], RunRecord]:
        """Return what makes the record of the run as if it ended before its first repeat."""

        def draft(trouble: Trouble) -> RunRecord:
            return make_record(
                self.request,
                self._subject(execution),
                Execution(execution.max_failed),
                trouble,
                started_at=session.started_at,
                finished_at=session.clock.utc_now(),
                expected=self.request.repeat_count,
                judge=first_error,
                added_config=self._added_config(),
            )

        return draft

    def _subject(self, execution: Execution) -> Subject:
        """Return what is known of input, model and machine."""
        request, prepared, reference = self.request, self.prepared, execution.reference
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
                *self._precision[1],
            ],
        )
