"""Reading, preprocessing and postprocessing one element, and measuring that."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from beambench.inputs.elements import parsed
from beambench.instrumentation.failures import ElementFailure, failure
from beambench.instrumentation.proof.label import as_label, as_numbers
from beambench.instrumentation.recorder import ElementRecorder, PlanClock
from beambench.instrumentation.stage_cpu import (
    POSTPROCESS_CPU,
    POSTPROCESS_SAMPLED,
    PREPROCESS_CPU,
    PREPROCESS_SAMPLED,
    READ_CPU,
    SampledCpu,
)
from beambench.record.observation import EVIDENCE

Output = tuple[str, Any, Any, Any]
"""(id, label, evidence, failure): `evidence` is the model's raw output as a list of floats, for
sampled elements only; `failure` is (stage, error) or None."""


class InstrumentedPreprocess:
    """line → (id, example): reads and preprocesses one element, and measures both."""

    def __init__(
        self,
        read: Callable[[Any], Any],
        preprocess: Callable[[Any], Any],
        root: str | None,
        clock: PlanClock,
        *,
        counts_tree: bool = False,
    ) -> None:
        self._counts_tree = counts_tree
        self._read = read
        self._preprocess = preprocess
        self._root = root
        self._clock = clock
        self._recorder: ElementRecorder | None = None
        self._cpu: SampledCpu | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_recorder": None, "_cpu": None}

    def __call__(self, line: str) -> tuple[str, Any]:
        if self._recorder is None or self._cpu is None:
            self._recorder = ElementRecorder(self._clock, counts_tree=self._counts_tree)
            self._cpu = SampledCpu(PREPROCESS_SAMPLED, READ_CPU, PREPROCESS_CPU)
        self._recorder.reading()
        sampled = self._cpu.is_next()
        cpu_start = cpu_read = time.thread_time_ns() if sampled else 0
        start = time.perf_counter_ns()
        read_end, size = None, 0
        element_id, source = parsed(line, self._root)
        try:
            raw = self._read(source)
            read_end = time.perf_counter_ns()
            cpu_read = time.thread_time_ns() if sampled else 0
            size = len(raw) if isinstance(raw, bytes) else 0
            example = self._preprocess(raw)
        except Exception as error:
            example = failure("read" if read_end is None else "preprocess", error)
        end = time.perf_counter_ns()
        cpu_end = time.thread_time_ns() if sampled else 0
        if read_end is None:
            read_end, cpu_read = end, cpu_end
        self._recorder.preprocessed(read_end - start, end - read_end, size)
        if sampled:
            self._cpu.add(cpu_read - cpu_start, cpu_end - cpu_read)
        return element_id, example


class InstrumentedPostprocess:
    """(id, prediction) → `Output`, and the time that it takes."""

    def __init__(
        self,
        postprocess: Callable[[Any], Any],
        evidence: Callable[[Any], Sequence[float] | None],
        quantities: Callable[[Any], Mapping[str, int]],
        sample: frozenset[str],
        clock: PlanClock,
    ) -> None:
        self._postprocess = postprocess
        self._evidence = evidence
        self._quantities = quantities
        self._sample = sample
        self._clock = clock
        self._recorder: ElementRecorder | None = None
        self._cpu: SampledCpu | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_recorder": None, "_cpu": None}

    def __call__(self, keyed: tuple[str, Any]) -> Output:
        if self._recorder is None or self._cpu is None:
            self._recorder = ElementRecorder(self._clock)
            self._cpu = SampledCpu(POSTPROCESS_SAMPLED, POSTPROCESS_CPU)
        element_id, prediction = keyed
        sampled = self._cpu.is_next()
        cpu_start = time.thread_time_ns() if sampled else 0
        start = time.perf_counter_ns()
        evidence = self._evidence if element_id in self._sample else None
        output = label_of(element_id, prediction, self._postprocess, evidence)
        output, quantities = counted(output, prediction, self._quantities)
        took = time.perf_counter_ns() - start
        cpu_end = time.thread_time_ns() if sampled else 0
        self._recorder.output(took, quantities)
        if sampled:
            self._cpu.add(cpu_end - cpu_start)
        return output


def counted(
    output: Output, prediction: Any, quantities: Callable[[Any], Mapping[str, int]]
) -> tuple[Output, dict[str, int]]:
    """Return what else to count of an element; one for which that fails has failed itself."""
    if output[3] is not None:
        return output, {}
    try:
        return output, {name: int(count) for name, count in quantities(prediction).items()}
    except Exception as error:
        return (output[0], None, None, tuple(failure("postprocess", error))), {}


def label_of(
    element_id: str,
    prediction: Any,
    postprocess: Callable[[Any], Any],
    evidence: Callable[[Any], Sequence[float] | None] | None,
) -> Output:
    """Postprocess one prediction; shared with the loop, so that both do the same work."""
    failed = getattr(prediction, "inference", None)
    if type(failed) is ElementFailure:
        return element_id, None, None, tuple(failed)
    try:
        label = as_label(postprocess(prediction))
    except Exception as error:
        return element_id, None, None, tuple(failure("postprocess", error))
    try:
        raw = evidence(prediction) if evidence is not None else None
        numbers = as_numbers(raw) if raw is not None else None
    except Exception as error:
        return element_id, None, None, tuple(failure(EVIDENCE, error))
    return element_id, label, numbers, None
