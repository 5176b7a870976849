"""CPU time of the stages: writing it inside of the pipeline, and reading what was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apache_beam.metrics.metric import Metrics

from beambench.instrumentation.recorder import NAMESPACE
from beambench.record.observation import CPU_STRIDE, Distribution, StageCpu

PREPROCESS_SAMPLED = "preprocess_cpu_elements"
POSTPROCESS_SAMPLED = "postprocess_cpu_elements"
INFERENCE_CPU = "inference_cpu_ns"
READ_CPU = "read_cpu_ns"
PREPROCESS_CPU = "preprocess_cpu_ns"
POSTPROCESS_CPU = "postprocess_cpu_ns"


class SampledCpu:
    """CPU time of this thread in the steps of every `CPU_STRIDE`-th element, as counters.

    Reading it takes 0.24 µs, and a counter as much again: too much for every element of a pipeline
    that takes some 50 µs for one. The same elements are sampled in every run of the same input.
    """

    def __init__(self, elements: str, *steps: str) -> None:
        """Write the CPU time of steps, and how many elements it is of."""
        self._elements = Metrics.counter(NAMESPACE, elements)
        self._steps = [Metrics.counter(NAMESPACE, step) for step in steps]
        self._seen = 0

    def is_next(self) -> bool:
        """Tell whether the element that begins is one of those that are sampled.

        The first is not: imports and caches that it fills would count for many.
        """
        self._seen += 1
        return self._seen % CPU_STRIDE == CPU_STRIDE // 2

    def add(self, *nanoseconds: int) -> None:
        """Write the CPU time of each step of an element that was sampled."""
        self._elements.inc()
        for step, used in zip(self._steps, nanoseconds, strict=True):
            step.inc(used)


def inference_cpu() -> Any:
    """Return the counter of the CPU time, in ns, that this process used while it inferred."""
    return Metrics.counter(NAMESPACE, INFERENCE_CPU)


def stage_cpu(
    counters: Mapping[str, int], batch_size: Distribution | None, threads: int | None
) -> StageCpu | None:
    """Return the CPU time of the stages from the counters of a pipeline; None if it has none.

    That of inference is unknown where threads infer at once: the time of the process is of all.
    """
    before, after = (counters.get(name, 0) for name in (PREPROCESS_SAMPLED, POSTPROCESS_SAMPLED))
    if not before and not after:
        return None
    is_known = threads == 1 and INFERENCE_CPU in counters
    inferred = batch_size.sum if batch_size is not None and is_known else 0

    def mean(name: str, elements: int) -> float | None:
        return counters.get(name, 0) / elements / 1000 if elements else None

    return StageCpu(
        read=mean(READ_CPU, before),
        preprocess=mean(PREPROCESS_CPU, before),
        inference=mean(INFERENCE_CPU, inferred),
        postprocess=mean(POSTPROCESS_CPU, after),
        sampled=max(before, after),
    )
