"""A real pipeline whose every batch is known: what comes back must be exactly what happened.

The workload notes what it does, and a clock that only the workload moves makes times exact.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from apache_beam.ml.inference.base import (
    KeyedModelHandler,
    ModelHandler,
    PredictionResult,
    RunInference,
)

from beambench.analysis.histogram import bucket
from beambench.controller.proof.cross_check import cross_check
from beambench.instrumentation.beam_metrics import counters_kind, measured, theirs
from beambench.record.observation import LatencyGap, Measured, Proof
from beambench.runners.direct.beam import pipeline as direct
from beambench.workloads.base import Label, Weights, Workload
from beambench.workloads.pipeline import body
from beambench.workloads.pipeline.outputs import Outputs
from tiny_workloads import definition, make_plan, prepared

pytestmark = pytest.mark.real

SLOT_US = 2_000
READ_US, PREPROCESS_US, POSTPROCESS_US, LOAD_US = 30, 70, 10, 4_321
FIXED_US, ELEMENT_US = 2_500, 100


@dataclass
class Log:
    """What the workload did; offsets in µs."""

    clock: Any = None
    start: int = 0
    reads: list[int] = field(default_factory=list)
    preprocessed: list[int] = field(default_factory=list)
    batches: list[tuple[int, int, int]] = field(default_factory=list)
    """(size, start, end)."""
    outputs: list[int] = field(default_factory=list)
    failing: frozenset[str] = frozenset()

    def now(self) -> int:
        return (self.clock.time_ns() - self.start) // 1000


LOG = Log()


class Noting(ModelHandler[Any, Any, Any]):
    def load_model(self) -> Any:
        LOG.clock.advance_us(LOAD_US)
        return Log()  # anything that can be weakly referenced

    def run_inference(self, batch: Sequence[str], model: Any, inference_args: Any = None) -> Any:
        start = LOG.now()
        LOG.clock.advance_us(FIXED_US + ELEMENT_US * len(batch))
        if LOG.failing & set(batch):
            raise ValueError("no")
        LOG.batches.append((len(batch), start, LOG.now()))
        return (PredictionResult(element, element) for element in batch)

    def get_num_bytes(self, batch: Sequence[str]) -> int:
        return 1


class NotingWorkload(Workload):
    input_types: ClassVar[tuple[str, ...]] = ("numbers",)

    def model_handler(self) -> ModelHandler[Any, Any, Any]:
        batching = self.definition.batching
        return Noting(
            min_batch_size=batching.min_batch_size, max_batch_size=batching.max_batch_size
        )

    def read(self, path: str) -> bytes:
        LOG.reads.append(LOG.now())
        LOG.clock.advance_us(READ_US)
        return path.encode()

    def preprocess(self, raw: bytes) -> str:
        LOG.clock.advance_us(PREPROCESS_US)
        LOG.preprocessed.append(LOG.now())
        return raw.decode()

    def postprocess(self, prediction: Any) -> Label:
        LOG.clock.advance_us(POSTPROCESS_US)
        LOG.outputs.append(LOG.now())
        return str(prediction.inference)


def run(
    folder: Path,
    clock: Any,
    elements: int,
    batching: dict[str, int],
    failing: Sequence[str] = (),
    flags: Sequence[str] = (),
    slot_us: int = SLOT_US,
) -> tuple[Log, Measured, Any]:
    LOG.__init__(clock, clock.time_ns(), failing=frozenset(failing))  # type: ignore[misc]
    plan = make_plan(
        folder,
        definition=definition("test_conformance:NotingWorkload", batching=batching),
        preparation=prepared(folder, [str(number) for number in range(elements)], sample=[]),
        epoch_ns=clock.time_ns(),
        slot_us=slot_us,
        beam_flags=list(flags),
    )
    files = Outputs.within(str(folder))
    finished = direct.run(NotingWorkload(plan.definition, Weights(None)), plan, files)
    proof = Proof.model_validate_json(Path(files.proof).read_text())
    values = measured(finished.query, proof.count, slot_us, finished.threads)
    return LOG, values, finished


@pytest.mark.parametrize(
    ("elements", "batching"),
    [
        (200, {"min_batch_size": 8, "max_batch_size": 8}),
        (203, {"min_batch_size": 8, "max_batch_size": 8}),
        (300, {"min_batch_size": 10, "max_batch_size": 100}),  # adaptive: sizes are not known ahead
        (1, {}),
    ],
)
def test_counts_sums_sizes_and_offsets_are_exactly_those_that_happened(
    tmp_path, clock, elements, batching
):
    log, values, finished = run(tmp_path, clock, elements, batching)
    sizes = [size for size, _, _ in log.batches]
    latencies = [end - start for _, start, end in log.batches]
    assert sum(sizes) == elements == values.elements
    assert values.batches == len(sizes)
    assert values.batch_sizes == Counter(sizes)
    assert values.batch_size.model_dump() == {
        "count": len(sizes),
        "sum": elements,
        "min": min(sizes),
        "max": max(sizes),
    }
    assert values.batch_latency.model_dump() == {
        "count": len(sizes),
        "sum": 1000 * sum(latencies),
        "min": 1000 * min(latencies),
        "max": 1000 * max(latencies),
    }
    assert values.latencies == Counter(bucket(1000 * latency) for latency in latencies)
    assert values.loads.model_dump() == {"count": 1, "sum": LOAD_US, "min": LOAD_US, "max": LOAD_US}
    assert values.late_loads == 0  # one worker loads before it reads
    assert (values.folded, values.retried_batches) == (0, 0)
    assert values.bytes_read == sum(len(str(number)) for number in range(elements))
    assert values.first_read == log.reads[0]
    assert values.last_output == log.outputs[-1]
    assert values.element_latency == sum(size * (end - start) for size, start, end in log.batches)
    assert values.element_time == sum(log.outputs) - sum(log.reads)
    assert values.clock_step == 0
    assert values.threads == 1
    assert counters_kind(finished.query) == "committed"
    assert finished.implementation == "FnApiRunner, in_memory"


def test_stages_are_exactly_the_times_that_they_took(tmp_path, clock):
    log, values, _ = run(tmp_path, clock, 203, {"min_batch_size": 8, "max_batch_size": 8})
    assert values.stages.read == 203 * READ_US
    assert values.stages.preprocess == 203 * PREPROCESS_US
    assert values.stages.postprocess == 203 * POSTPROCESS_US
    assert values.stages.inference == sum(end - start for _, start, end in log.batches)
    begun = sum(size * start for size, start, _ in log.batches)
    assert values.stages.batch_wait == begun - sum(log.preprocessed)
    assert values.stages.batch_wait > 0


@pytest.mark.parametrize("slot_us", [SLOT_US, 50_000, 10**9])
def test_the_steady_window_and_its_elements_are_exact_whatever_the_slots(tmp_path, clock, slot_us):
    log, values, _ = run(
        tmp_path, clock, 200, {"min_batch_size": 8, "max_batch_size": 8}, slot_us=slot_us
    )
    begin, end = log.batches[0][2], log.batches[-2][2]
    assert end // slot_us < 239
    assert values.steady_window == (begin, end)
    inside = sum(size for size, _, ended in log.batches if begin < ended <= end)
    assert inside == 200 - 8 - 8  # neither the first batch nor the last
    assert values.steady_elements == inside


def test_cpu_time_is_that_from_the_first_read_to_the_last_batch(tmp_path, clock):
    log, values, _ = run(tmp_path, clock, 40, {"min_batch_size": 8, "max_batch_size": 8})
    assert values.cpu == (log.batches[-1][2] - log.reads[0]) // 2  # this clock's share of CPU


def test_a_retried_batch_is_counted_and_its_latency_is_what_its_caller_waited(tmp_path, clock):
    log, values, _ = run(
        tmp_path, clock, 24, {"min_batch_size": 8, "max_batch_size": 8}, failing=["11"]
    )
    assert [size for size, _, _ in log.batches] == [8, *[1] * 7, 8]
    assert values.batch_sizes == {8: 3}
    assert values.retried_batches == 1
    latency = FIXED_US + 8 * ELEMENT_US
    retried = latency + 8 * (FIXED_US + ELEMENT_US)
    assert values.latencies == {bucket(1000 * latency): 2, bucket(1000 * retried): 1}
    assert values.batch_latency.model_dump() == {
        "count": 3,
        "sum": 1000 * (2 * latency + retried),
        "min": 1000 * latency,
        "max": 1000 * retried,
    }
    assert values.stages.inference == 2 * latency + retried
    assert values.elements == 23


def test_two_threads_lose_and_double_nothing(tmp_path, clock):
    log, values, finished = run(
        tmp_path,
        clock,
        64,
        {"min_batch_size": 8, "max_batch_size": 8},
        flags=["--direct_num_workers=2", "--direct_running_mode=multi_threading"],
    )
    assert finished.implementation == "FnApiRunner, multi_threading"
    assert finished.threads is None
    assert values.elements == 64
    assert values.batch_sizes == Counter(size for size, _, _ in log.batches)
    assert values.batch_size.sum == 64
    assert values.loads.count == 1


# --- Beam's latency beside ours

LATENCY_US = FIXED_US + 8 * ELEMENT_US


class LogsClock:
    """Beam's clock, by the same time: what is pickled finds it again."""

    def time_ns(self) -> int:
        return int(LOG.clock.time_ns())


@pytest.mark.parametrize(
    ("extra_us", "agrees"),
    [(0, True), (80, True), (200, True), (LATENCY_US // 5, False), (5_000, False)],
)
def test_what_beams_latency_holds_beyond_ours_is_found(
    tmp_path, clock, monkeypatch, extra_us, agrees
):
    run_inference = KeyedModelHandler.run_inference

    def longer(self: Any, *arguments: Any) -> Any:
        results = list(run_inference(self, *arguments))
        LOG.clock.advance_us(extra_us)  # our clock has stopped, Beam's has not
        return results

    monkeypatch.setattr(KeyedModelHandler, "run_inference", longer)
    monkeypatch.setattr(body, "RunInference", functools.partial(RunInference, clock=LogsClock()))
    _, values, finished = run(tmp_path, clock, 80, {"min_batch_size": 8, "max_batch_size": 8})
    beams = theirs(finished.query, Noting().get_metrics_namespace())
    empty = LatencyGap(calls=100, median_us=60, high_us=100, greatest_us=9_000)
    checked = cross_check(values, beams, empty)
    assert (checked["agrees"], checked["latency_gap_us"]) == (agrees, extra_us)
    assert checked["allowed_gap_us"] == 200 + 0.01 * LATENCY_US
