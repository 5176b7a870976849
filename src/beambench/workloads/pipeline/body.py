"""The body: preprocess, inference, postprocess, with the stock names, measured from inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import (
    KeyedModelHandler,
    KeyModelMapping,
    ModelHandler,
    RunInference,
)

from beambench.definition.plan import PreparedPlan
from beambench.definition.schema import Definition
from beambench.errors import UsageError
from beambench.inputs import files
from beambench.inputs.elements import parsed
from beambench.instrumentation.elements import InstrumentedPostprocess, InstrumentedPreprocess
from beambench.instrumentation.handler import InstrumentedModelHandler
from beambench.instrumentation.ignored_settings import noted_settings
from beambench.instrumentation.recorder import PlanClock
from beambench.workloads.base import Workload

PER_KEY_NAMESPACE = "BeamML_KeyedModels"
"""Where Beam keeps its RunInference metrics if it chooses among several models by key."""


def metrics_namespace(workload: Workload) -> str:
    """Return the namespace of Beam's own RunInference metrics for this workload."""
    handlers = workload.model_handlers()
    return PER_KEY_NAMESPACE if len(handlers) > 1 else str(handlers[0].get_metrics_namespace())


def instrumented(
    workload: Workload, plan: PreparedPlan, clock: PlanClock
) -> KeyedModelHandler[Any, Any, Any]:
    """Wrap a workload's handlers for measuring, keyed by element id as in Beam's examples."""
    weights = workload.weights.path
    with noted_settings() as ignored:
        inner = workload.model_handlers()
    check_settings(plan.definition, inner, list(ignored))
    handlers = [
        InstrumentedModelHandler(
            handler,
            clock,
            weights_path=str(weights) if weights else None,
            size_mib=plan.definition.model.size_mib,
            device=workload.checked_device(),
            by_key=len(inner) > 1,
            model_runs=workload.model_runs,
            threads=plan.definition.threads,
        )
        for handler in inner
    ]
    if len(handlers) == 1:
        return KeyedModelHandler(handlers[0])
    keys: dict[int, list[str]] = {}
    for element_id in dict.fromkeys(_ids(plan)):
        keys.setdefault(workload.model_of(element_id), []).append(element_id)
    return KeyedModelHandler([KeyModelMapping(keys[index], handlers[index]) for index in keys])


def check_settings(
    definition: Definition, handlers: Sequence[ModelHandler[Any, Any, Any]], ignored: Sequence[str]
) -> None:
    """Check that the handlers of a workload read what the definition sets for them.

    Args:
        definition: of the benchmark.
        handlers: of the workload, without wrappers.
        ignored: what they were given and Beam throws away.

    Raises:
        UsageError: names the first setting that nothing reads.
    """
    where, hint = f"{definition.name}: ", "give its handler **self.handler_options()"
    if ignored:
        raise UsageError(f"{where}workload {definition.workload}: nothing reads {ignored[0]}")
    set_here = definition.batching.model_dump(exclude_none=True)
    for handler in handlers:
        read = {} if handler.should_skip_batching() else handler.batch_elements_kwargs()
        for name in set_here:
            if len(handlers) > 1 or name not in read:
                raise UsageError(
                    f"{where}batching.{name}: workload {definition.workload} does not read it: "
                    + (hint if len(handlers) == 1 else "Beam ignores it with models per key")
                )
        copies = definition.model.copies
        if definition.model.large and not handler.share_model_across_processes():
            raise UsageError(
                f"{where}model.large: workload {definition.workload} does not read it: {hint}"
            )
        if copies is not None and handler.model_copies() != copies:
            raise UsageError(
                f"{where}model.copies: workload {definition.workload} does not read it: {hint}"
            )


def _ids(plan: PreparedPlan) -> Iterator[str]:
    prepared = plan.preparation
    for line in files.lines_of(prepared.ids_file):
        yield parsed(line, prepared.root).id


def add_body(elements: Any, workload: Workload, plan: PreparedPlan) -> Any:
    """Add preprocessing, inference and postprocessing; return the outputs."""
    clock = PlanClock(plan.epoch_ns, plan.slot_us)
    handler = instrumented(workload, plan, clock)
    before = InstrumentedPreprocess(
        workload.read,
        workload.preprocess,
        plan.preparation.root,
        clock,
        counts_tree=workload.model_runs == "server" or handler.share_model_across_processes(),
    )
    sample = frozenset(plan.preparation.sample)
    after = InstrumentedPostprocess(
        workload.postprocess, workload.evidence, workload.quantities, sample, clock
    )
    preprocess, postprocess = workload.preprocess_transform, workload.postprocess_transform
    if metrics_namespace(workload) == PER_KEY_NAMESPACE:
        # Beam 2.77's own wrappers lose the metrics of a handler of several models, and it fails.
        preprocess, postprocess = preprocess or "Preprocess", postprocess or "Postprocess"
    if preprocess is None:
        handler = handler.with_preprocess_fn(before)
    else:
        elements |= preprocess >> beam.Map(before)
    if postprocess is None:
        handler = handler.with_postprocess_fn(after)
    inference = RunInference(handler, inference_args=workload.inference_args())
    outputs = elements | workload.transform >> inference
    if postprocess is not None:
        outputs |= postprocess >> beam.Map(after)
    return outputs
