"""Measuring a handler that is not ours: what it does, and how it fails, stays as it is."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from typing import Any

from apache_beam.ml.inference import base

from beambench.instrumentation.device import synchronise
from beambench.instrumentation.handler import InstrumentedModelHandler
from beambench.instrumentation.memory_log import MEMORY_LOG
from beambench.instrumentation.recorder import PROCESS_CPU, PlanClock, Progress

INNER = {
    base.KeyedModelHandler: "_unkeyed",
    base.MaybeKeyedModelHandler: "_unkeyed",
    base._PrebatchedModelHandler: "_base",
    base._PreProcessingModelHandler: "_base",
    base._PostProcessingModelHandler: "_base",
}
"""Beam's own wrappers, and where each holds the handler inside it."""


class TransparentModelHandler(InstrumentedModelHandler):
    """Measures the handler inside it and changes nothing: a batch that fails, fails.

    The batch and its results pass as they are. A failed batch is not counted, as by Beam.
    """

    def run_inference(
        self,
        batch: Sequence[Any],
        model: Any,
        inference_args: dict[str, Any] | None = None,
    ) -> list[Any]:
        if self._recorder is None:
            PROCESS_CPU.start()  # no element of ours is read, where the clock is started else
        recorder = self._recording()
        MEMORY_LOG.before_batch(len(batch))
        synchronise()
        start_us, start = self._clock.offset_us(), time.perf_counter_ns()
        # A lazy result would be computed after the clock stopped; Beam makes a list of it anyway.
        results = list(self._inner.run_inference(batch, model, inference_args))
        returned = time.perf_counter_ns()
        launch_ns = returned - start if synchronise() else None
        duration = time.perf_counter_ns() - start
        recorder.batch(len(batch), start_us, duration, launch_ns)
        if not isinstance(batch, (Mapping, str, bytes)):  # whose length is no number of elements
            recorder.miscount(len(results), len(batch))
        Progress.done += len(batch)
        return results

    def get_num_bytes(self, batch: Sequence[Any]) -> int:
        size: int = self._inner.get_num_bytes(batch)
        return size


def instrumented(
    handler: base.ModelHandler[Any, Any, Any],
    clock: PlanClock,
    *,
    by_key: bool = False,
) -> base.ModelHandler[Any, Any, Any]:
    """Return a copy of a handler that measures its innermost handler, or that of each key.

    The handler itself is left alone: the user may give it to another transform too.
    """
    # A subclass of a wrapper may do anything with what it holds: it is measured as a whole.
    inner = INNER.get(type(handler))
    if inner is None:
        return TransparentModelHandler(handler, clock, by_key=by_key)
    wrapper = copy.copy(handler)
    if has_model_per_key(handler):
        wrapper._id_to_mh_map = {
            key: instrumented(wrapped, clock, by_key=True)
            for key, wrapped in handler._id_to_mh_map.items()
        }
    else:
        own = instrumented(getattr(handler, inner), clock, by_key=by_key)
        setattr(wrapper, inner, own)
    return wrapper


def innermost(handler: base.ModelHandler[Any, Any, Any]) -> list[base.ModelHandler[Any, Any, Any]]:
    """Return the handlers without Beam's wrappers: one, or one for each model of a keyed one."""
    inner = INNER.get(type(handler))
    if inner is None:
        return [handler]
    if has_model_per_key(handler):
        return [
            handlers
            for wrapped in handler._id_to_mh_map.values()
            for handlers in innermost(wrapped)
        ]
    return innermost(getattr(handler, inner))


def has_model_per_key(handler: base.ModelHandler[Any, Any, Any]) -> bool:
    return type(handler) is base.KeyedModelHandler and not handler._single_model
