"""A pipeline that exists already, run by the direct runner and measured from inside.

The pipeline handed to the user's function wraps the model handler of every RunInference that is
applied to it. What the function makes of its own is left alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import PipelineVisitor

from beambench.definition.plan import ExistingPlan
from beambench.errors import RunError
from beambench.instrumentation.existing.element_flow import ElementCounts, Outlets, outlets
from beambench.instrumentation.existing.transparent import (
    TransparentModelHandler,
    innermost,
    instrumented,
)
from beambench.instrumentation.recorder import PlanClock
from beambench.runners.direct.beam.flags_read import FlagsRead
from beambench.runners.direct.beam.pipeline import make_runner, wait_for
from beambench.workloads.pipeline.options import parsed
from beambench.workloads.pipeline.outputs import FinishedPipeline

Function = Callable[..., Any]


class MeasuredPipeline(beam.Pipeline):
    """A pipeline that measures its RunInference transforms and keeps the results of its runs."""

    def __init__(self, options: PipelineOptions, clock: PlanClock, flags: FlagsRead) -> None:
        super().__init__(runner=make_runner(options), options=options)
        self.clock = clock
        self.flags = flags
        self.results: list[Any] = []
        self.failure: BaseException | None = None
        self._outlets: dict[int, Outlets | None] = {}

    def apply(self, transform: Any, pvalueish: Any = None, label: str | None = None) -> Any:
        if isinstance(transform, RunInference) and not is_measured(transform):
            transform = copy.copy(transform)
            transform._model_handler = instrumented(transform._model_handler, self.clock)
        result = super().apply(transform, pvalueish, label)
        if isinstance(transform, RunInference) and id(transform) not in self._outlets:
            self._outlets[id(transform)] = outlets(transform, pvalueish, result)
        return result

    def run(self, *args: Any, **kwargs: Any) -> Any:
        self.flags.check()  # now that all is parsed, and before anything is measured
        try:
            result = super().run(*args, **kwargs)
        except SystemExit as error:  # of a handler: that is no end of the function
            self.failure = RunError(f"sys.exit was called while the pipeline ran: {error}")
            raise self.failure from error
        except BaseException as error:  # kept, for the function may swallow it
            self.failure = error
            raise
        self.failure = None
        self.results.append(result)
        return result

    def outlets_of(self, transform: RunInference) -> Outlets | None:
        """Return where the elements of one of its RunInference transforms go, if that is known."""
        return self._outlets.get(id(transform))

    def inference_steps(self) -> dict[str, RunInference]:
        """Return the RunInference transforms by their full names."""
        steps: dict[str, RunInference] = {}

        class Finder(PipelineVisitor):
            def enter_composite_transform(self, transform_node: Any) -> None:
                if isinstance(transform_node.transform, RunInference):
                    steps[transform_node.full_label] = transform_node.transform

        self.visit(Finder())
        return steps


def is_measured(transform: RunInference) -> bool:
    """Beam applies a transform anew to give it its label."""
    return any(
        type(handler) is TransparentModelHandler for handler in innermost(transform._model_handler)
    )


@dataclass(frozen=True)
class FinishedExisting:
    """A pipeline that exists already, after its run.

    Attributes:
        steps: its RunInference transforms by full name.
        outlets: where the elements of each go, as far as that is known.
        counts: Beam's counts of the elements of each PCollection.
        warnings: what was not as it is with Beam's examples.
    """

    finished: FinishedPipeline
    steps: dict[str, RunInference]
    outlets: dict[str, Outlets | None]
    counts: ElementCounts
    warnings: list[str]


def run(function: Function, plan: ExistingPlan) -> FinishedExisting:
    """Let a function build its pipeline, and run it, or run it ourselves if the function did not.

    Raises:
        RunError: the function built nothing on the pipeline that it was given, or gave it up.
        UsageError: a flag that nothing reads.
    """
    options, flags = parsed(plan.argv), FlagsRead(plan.argv)
    pipeline = MeasuredPipeline(options, PlanClock(plan.epoch_ns, plan.slot_us), flags)
    warnings = []
    try:
        with flags.noted():
            function(argv=list(plan.argv), test_pipeline=pipeline)
    except SystemExit as error:
        if not pipeline.results:
            raise
        if error.code:
            text = f"sys.exit({error.code!r}) was called after its pipeline was run"
            raise RunError(f"{plan.pipeline}: {text}") from error
    flags.check()  # a function may swallow what is raised while it runs its pipeline
    warnings += flags.warnings()
    if not pipeline.transforms_stack[0].parts:
        raise RunError(
            f"{plan.pipeline}: built nothing on the test_pipeline that it was given: let it use "
            "that instead of a pipeline of its own"
        )
    if pipeline.failure is not None:  # a second run would hide it
        raise pipeline.failure
    if not pipeline.results:
        pipeline.run()
        warnings.append("the function did not run its pipeline: beambench did")
    if len(pipeline.results) > 1:
        warnings.append(
            f"the function ran its pipeline {len(pipeline.results)} times: all but run_time and "
            "peak_rss is of the last one"
        )
    finished, steps = wait_for(pipeline.results[-1], options, plan.argv), pipeline.inference_steps()
    return FinishedExisting(
        finished,
        steps,
        {name: pipeline.outlets_of(transform) for name, transform in steps.items()},
        ElementCounts(pipeline.runner.proto, pipeline.results[-1]._monitoring_infos_by_stage),
        warnings,
    )
