"""The bare loop: the batches that it replays, and that it does the same work as the pipeline."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from beambench.analysis.histogram import bucket
from beambench.definition.plan import PipelinePlan
from beambench.errors import RunError
from beambench.inputs.elements import Element, parsed
from beambench.instrumentation.proof.output_sums import add_up
from beambench.instrumentation.recorder import PlanClock
from beambench.record.observation import BatchSizeRates, Proof
from beambench.runners.direct.beam import pipeline as direct
from beambench.worker import loop
from beambench.worker.outputs import read_predictions
from beambench.worker.tasks import run_pipeline
from beambench.workloads.base import Weights
from beambench.workloads.pipeline.outputs import Outputs
from tiny_workloads import Tiny, definition, make_plan, outputs_of, prepared

pytestmark = pytest.mark.real

CLOCK = PlanClock(epoch_ns=0, slot_us=1_000_000)
THIRTY = [str(number) for number in range(30)]
STAGES = ["read", "preprocess", "inference", "postprocess"]


def tiny(**parameters: Any) -> Tiny:
    return Tiny(definition(parameters=parameters), Weights(None))


def elements_of(ids: Sequence[str], root: str = "") -> list[Element]:
    return [parsed(element_id, root) for element_id in ids]


class Ticking:
    """Stands in for the module `time`: all clocks are one, and only the handler moves it."""

    def __init__(self) -> None:
        self.now = 0

    def perf_counter_ns(self) -> int:
        return self.now

    def process_time_ns(self) -> int:
        return self.now // 2

    def perf_counter(self) -> float:
        return self.now / 1e9


class Noting(ModelHandler[Any, Any, Any]):
    """Notes its batches and takes the time that a function of the batch's size says."""

    def __init__(self, cost_us: Any, ticking: Ticking) -> None:
        super().__init__()
        self.cost_us = cost_us
        self.ticking = ticking
        self.sizes: list[int] = []
        self.bad: set[int] = set()

    def load_model(self) -> str:
        self.ticking.now += 7_000_000
        return "model"

    def run_inference(self, batch: Sequence[int], model: Any, inference_args: Any = None) -> Any:
        assert model == "model"
        self.sizes.append(len(batch))
        for element in batch:
            if element in self.bad:
                self.bad = set()  # only once
                raise ConnectionError("gone")
        return self._lazily(batch)

    def _lazily(self, batch: Sequence[int]) -> Any:
        self.ticking.now += self.cost_us(len(batch)) * 1000
        for element in batch:
            yield PredictionResult(element, outputs_of(element, "plain"))


@pytest.fixture
def noting(monkeypatch) -> Any:
    def make(cost_us: Any = lambda size: 100 * size) -> tuple[Tiny, Noting]:
        ticking = Ticking()
        monkeypatch.setattr(loop, "time", ticking)
        workload, handler = tiny(), Noting(cost_us, ticking)
        workload.model_handler = lambda: handler  # type: ignore[method-assign]
        return workload, handler

    return make


# --- batch sizes


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([10], [10, 10, 10]),
        ([5, 10, 15], [5, 10, 15]),
        ([5, 10], [5, 10, 10, 5]),
        ([7, 2], [7, *[2] * 11, 1]),
        ([40], [30]),
        ([10, 20, 30], [10, 20]),
        ([1], [1] * 30),
    ],
)
def test_the_sizes_are_replayed_in_order_and_the_rest_uses_the_last(noting, sizes, expected):
    workload, handler = noting()
    _, measured = loop.run(workload, elements_of(THIRTY), sizes, CLOCK)
    assert handler.sizes == expected
    assert measured.batch_sizes == Counter(expected)
    assert measured.batches == len(expected)
    assert measured.batch_size.model_dump() == {
        "count": len(expected),
        "sum": 30,
        "min": min(expected),
        "max": max(expected),
    }


@pytest.mark.parametrize("sizes", [[], [0], [5, -1]])
def test_sizes_that_cannot_be_replayed_are_refused(noting, sizes):
    workload, _ = noting()
    with pytest.raises(ValueError, match="must be 1 or more"):
        loop.run(workload, elements_of(THIRTY), sizes, CLOCK)


def test_sizes_never_run_out():
    assert list(itertools.islice(loop.replayed([3, 4]), 5)) == [3, 4, 4, 4, 4]


# --- what it measures


def test_times_are_those_of_the_handler_with_its_lazy_results(noting):
    workload, _ = noting(lambda size: 1000 + 10 * size)
    _, measured = loop.run(workload, elements_of(THIRTY), [10, 5], CLOCK)
    latencies = [1100, 1050, 1050, 1050, 1050]
    assert measured.latencies == Counter(bucket(1000 * latency) for latency in latencies)
    assert measured.batch_latency.sum == 1000 * sum(latencies)
    assert measured.loads.model_dump() == {"count": 1, "sum": 7000, "min": 7000, "max": 7000}
    assert measured.cpu == sum(latencies) // 2  # without the model load
    assert measured.bytes_read == sum(map(len, THIRTY))
    assert measured.elements == 30
    assert measured.last_output >= measured.first_read


def test_a_handler_may_empty_its_batch_as_it_may_in_the_pipeline(noting):
    workload, handler = noting()
    run = handler.run_inference

    def emptying(batch: list[int], *arguments: Any) -> Any:
        results = list(run(batch, *arguments))
        batch.clear()
        return results

    handler.run_inference = emptying  # type: ignore[method-assign, assignment]
    outputs, measured = loop.run(workload, elements_of(THIRTY), [10, 5], CLOCK)
    assert [output[0] for output in outputs] == THIRTY
    assert measured.batch_sizes == {10: 1, 5: 4}
    assert measured.elements == 30


def test_all_is_set_up_before_the_model_loads_and_that_before_the_first_read(noting):
    workload, handler = noting()
    seen: list[str] = []
    workload.set_up = lambda: seen.append("set up")  # type: ignore[method-assign]
    handler.set_environment_vars = lambda: seen.append("set")  # type: ignore[method-assign]
    load = handler.load_model
    handler.load_model = lambda: seen.append("load") or load()  # type: ignore[method-assign]
    read = workload.read
    workload.read = lambda path: seen.append("read") or read(path)  # type: ignore[method-assign]
    loop.run(workload, elements_of(THIRTY[:2]), [3], CLOCK)
    assert seen == ["set up", "set", "load", "read", "read"]


def test_the_latency_of_a_retried_batch_is_what_its_caller_waited(noting):
    workload, handler = noting(lambda size: 1000)
    handler.bad = {12}
    outputs, measured = loop.run(workload, elements_of(THIRTY), [10], CLOCK)
    assert handler.sizes == [10, 10, *[1] * 10, 10]
    assert all(output[3] is None for output in outputs)
    assert measured.retried_batches == 1
    assert measured.batch_latency.sum == 1000 * (2 * 1000 + 10 * 1000)
    assert measured.latencies == {bucket(10**6): 2, bucket(10**7): 1}
    assert measured.batches == 3
    assert measured.batch_sizes == {10: 3}
    assert (measured.replaced_sizes, measured.computed_sizes) == ({10: 1}, {1: 10})
    assert measured.retry_cause == "ConnectionError: gone"


def test_a_batch_of_one_gets_its_second_try_as_in_the_pipeline(noting):
    workload, handler = noting()
    handler.bad = {1}
    outputs, _ = loop.run(workload, elements_of(THIRTY[:3]), [1], CLOCK)
    assert handler.sizes == [1, 1, 1, 1]
    assert [output[3] for output in outputs] == [None] * 3


def test_no_elements_no_batches(noting):
    workload, handler = noting()
    outputs, measured = loop.run(workload, elements_of([]), [1], CLOCK)
    assert outputs == []
    assert handler.sizes == []
    assert (measured.batch_size, measured.batch_latency, measured.elements) == (None, None, 0)


def test_raw_outputs_are_those_of_sampled_elements(noting):
    workload, _ = noting()
    outputs, _ = loop.run(workload, elements_of(THIRTY), [10], CLOCK, frozenset({"4"}))
    assert {output[0]: output[2] for output in outputs if output[2] is not None} == {
        "4": outputs_of(4, "plain")
    }


@pytest.mark.parametrize("fault", ["drop first", "drop last", "double first", "double last"])
def test_a_wrong_number_of_results_is_an_error(fault):
    with pytest.raises(RunError, match=r"the model handler gave \d+ results for a batch of 10"):
        loop.run(tiny(fault=fault), elements_of(THIRTY), [10], CLOCK)


def test_the_path_is_below_the_root(noting, monkeypatch):
    workload, _ = noting()
    monkeypatch.setattr(workload, "read", lambda path: path.removeprefix("/root/").encode())
    outputs, _ = loop.run(workload, elements_of(THIRTY, "/root"), [10], CLOCK)
    assert [output[3] for output in outputs] == [None] * 30


# --- the same work as the pipeline


def pipeline(
    folder: Path, ids: list[str], **parameters: Any
) -> tuple[PipelinePlan, Proof, list[Any]]:
    whole = definition(parameters=parameters)
    plan = make_plan(folder, definition=whole, preparation=prepared(folder, ids, sample=[]))
    files = Outputs.within(str(folder))
    direct.run(Tiny(whole, Weights(None)), plan, files)
    proof = Proof.model_validate_json(Path(files.proof).read_text())
    return plan, proof, list(read_predictions(files.predictions))


def failures(outputs: Sequence[Any]) -> dict[str, list[str]]:
    return {output[0]: list(output[3]) for output in outputs if output[3] is not None}


@pytest.mark.parametrize("labels", ["class", "number"])
def test_loop_and_pipeline_give_the_same_digest(tmp_path, labels):
    _, proof, _ = pipeline(tmp_path, THIRTY, labels=labels)
    outputs, _ = loop.run(tiny(labels=labels), elements_of(THIRTY), [4, 9], CLOCK)
    assert add_up(outputs) == proof


@pytest.mark.parametrize("stage", STAGES)
def test_the_same_elements_fail_in_the_same_stage_with_the_same_words(tmp_path, stage):
    broken = {"fail_at": [0, 7, 8, 29], "stage": stage}
    _, proof, measured = pipeline(tmp_path, THIRTY, **broken)
    outputs, numbers = loop.run(tiny(**broken), elements_of(THIRTY), [10], CLOCK)
    assert failures(outputs) == failures(measured)
    assert set(failures(outputs)) == {"0", "7", "8", "29"}
    assert failures(outputs)["7"] == [stage, f"ValueError: {stage} of 7"]
    assert add_up(outputs) == proof
    assert numbers.elements == 26
    assert numbers.batch_sizes == {10: 3}  # batches are as large as planned, whatever fails


def test_an_element_whose_quantities_fail_fails_in_postprocessing(tmp_path):
    broken = {"fail_at": [7], "stage": "quantities"}
    _, proof, measured = pipeline(tmp_path, THIRTY, **broken)
    outputs, numbers = loop.run(tiny(**broken), elements_of(THIRTY), [10], CLOCK)
    assert failures(outputs) == failures(measured)
    assert failures(outputs) == {"7": ["postprocess", "ValueError: quantities of 7"]}
    assert add_up(outputs) == proof
    assert numbers.elements == 29


@pytest.mark.parametrize("stage", ["postprocess", "quantities"])
def test_quantities_are_those_of_the_elements_that_came_out(tmp_path, stage):
    broken = {"fail_at": [0, 29], "stage": stage}
    measured = run_pipeline(pipeline(tmp_path, THIRTY, **broken)[0]).measured
    _, numbers = loop.run(tiny(**broken), elements_of(THIRTY), [10], CLOCK)
    assert numbers.quantities["units"] == sum(range(1, 29))
    assert measured is not None
    assert measured.quantities["units"] == sum(range(1, 29))


def test_only_the_reference_sample_gets_its_arguments(noting):
    workload, handler = noting()
    seen: list[Any] = []
    handler.run_inference = lambda batch, model, arguments: (
        seen.append(arguments)
        or [PredictionResult(element, outputs_of(element, "plain")) for element in batch]
    )
    workload.inference_args = lambda: {"timed": True}
    workload.reference_args = lambda: {"timed": False}
    loop.run(workload, elements_of(THIRTY[:1]), [1], CLOCK)
    loop.run(workload, elements_of(THIRTY[:1]), [1], CLOCK, frozenset({"0"}))
    assert seen == [{"timed": True}, {"timed": False}]


def test_how_long_a_server_took_is_noted(noting):
    workload, handler = noting()
    assert loop.run(workload, elements_of(THIRTY), [30], CLOCK)[1].server_starts is None
    handler.load_model = lambda: ServedModel()
    handler.run_inference = lambda batch, model, arguments: [
        PredictionResult(element, outputs_of(element, "plain")) for element in batch
    ]
    _, measured = loop.run(workload, elements_of(THIRTY), [30], CLOCK)
    assert measured.server_starts.model_dump() == {
        "count": 1,
        "sum": 1234,
        "min": 1234,
        "max": 1234,
    }


class ServedModel:
    server_start_us = 1234


@pytest.mark.parametrize("stage", STAGES)
def test_all_elements_may_fail(stage):
    broken = {"fail_at": list(range(10)), "stage": stage}
    outputs, numbers = loop.run(tiny(**broken), elements_of(THIRTY[:10]), [4], CLOCK)
    assert [output[3][0] for output in outputs] == [stage] * 10
    assert numbers.elements == 0
    # A batch that was never inferred has no latency.
    empty, retried = numbers.empty_batches, numbers.retried_batches
    without = {"read": (3, 0), "preprocess": (3, 0), "inference": (0, 3), "postprocess": (0, 0)}
    assert (empty, retried) == without[stage]
    assert sum(numbers.latencies.values()) == 3 - empty
    assert numbers.computed_sizes == {}
    assert sum(numbers.replaced_sizes.values()) == empty + retried


def test_an_id_listed_twice_comes_out_twice():
    outputs, _ = loop.run(tiny(), elements_of(["1", "2", "1"]), [2], CLOCK)
    assert [output[0] for output in outputs] == ["1", "2", "1"]


# --- the ceiling


@pytest.mark.parametrize(
    ("cost_us", "best"),
    [
        (lambda size: 1000 + 10 * size, 128),  # always better
        (lambda size: 100 * size + size**2, 1),  # never better
        (lambda size: 1000 + 10 * size + size**3, 8),  # best at 7.9
        (lambda size: 50 if size == 4 else 100 * size, 4),
    ],
)
def test_the_best_size_is_that_with_the_highest_rate(noting, monkeypatch, cost_us, best):
    monkeypatch.setattr(loop, "CALIBRATION_SECONDS", 0.1)
    workload, handler = noting(cost_us)
    ids = [str(number) for number in range(200)]
    batch_size_rates = loop.batch_size_rates(workload, elements_of(ids), loop.CALIBRATION_SIZES)
    assert batch_size_rates.best == best
    assert batch_size_rates.rates == {
        size: pytest.approx(size / cost_us(size) * 1e6) for size in batch_size_rates.rates
    }
    assert set(handler.sizes) == {1, 2, 4, 8, 16, 32, 64, 128}


def test_every_size_gets_its_time_and_one_batch_to_warm_up(noting):
    workload, handler = noting(lambda size: 501_000)
    loop.batch_size_rates(workload, elements_of(THIRTY), (1, 2, 4))
    assert loop.CALIBRATION_SECONDS == 2.0
    assert handler.sizes == [size for size in (1, 2, 4) for _ in range(1 + 4)]


def test_what_takes_longer_than_its_time_is_run_once_for_every_element(noting):
    workload, handler = noting(lambda size: 10_000_000)
    loop.batch_size_rates(workload, elements_of(THIRTY), (1, 2, 3))
    assert handler.sizes == [1, *[1] * 3, 2, *[2] * 2, 3, 3]


def test_every_size_runs_the_same_elements_from_all_over_the_input(noting, monkeypatch):
    monkeypatch.setattr(loop, "CALIBRATION_SECONDS", 0.0)
    workload, handler = noting()
    seen: dict[int, list[int]] = {}
    lazily = handler._lazily

    def keeping(batch: Sequence[int]) -> Any:
        seen.setdefault(len(batch), []).extend(batch)
        return lazily(batch)

    handler._lazily = keeping
    loop.batch_size_rates(
        workload, elements_of([str(number) for number in range(40)]), (1, 2, 3, 8)
    )
    spread = [0, 5, 10, 15, 20, 25, 30, 35]
    assert seen[1] == [0, *spread]  # the first batch warms up
    assert seen[2] == [0, 5, *spread]
    assert seen[3] == [0, 5, 10, *spread, 0]
    assert seen[8] == [*spread, *spread]


def test_a_size_is_not_the_best_because_it_ran_the_cheap_elements_alone(noting, monkeypatch):
    """Of 200 elements the first 100 take 1 ms, the rest 100 ms, and every batch 2 ms more.

    In two seconds from the start a batch size of 1 comes to 117 elements, 58 a second, and one of
    128 to 128, 44 a second. But over the same elements the larger one is faster.
    """
    workload, handler = noting()

    def by_element(batch: Sequence[int]) -> Any:
        milliseconds = 2 + sum(1 if element < 100 else 100 for element in batch)
        handler.ticking.now += milliseconds * 1_000_000
        return [PredictionResult(element, outputs_of(element, "plain")) for element in batch]

    handler._lazily = by_element
    batch_size_rates = loop.batch_size_rates(
        workload, elements_of([str(n) for n in range(200)]), (1, 128)
    )
    work = 64 * 1 + 64 * 100
    assert batch_size_rates.rates == {
        1: pytest.approx(128 / (work + 128 * 2) * 1000),
        128: pytest.approx(128 / (work + 2) * 1000),
    }
    assert batch_size_rates.best == 128
    assert batch_size_rates.margin == pytest.approx((work + 256) / (work + 2) - 1)


def test_one_size_alone_has_no_margin():
    assert BatchSizeRates(rates={4: 2.0}).margin is None
    assert BatchSizeRates(rates={4: 2.0, 1: 1.0, 2: 1.6}).margin == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("elements", "max_batch_size", "largest_batch", "sizes"),
    [
        (30, 100, None, [1, 2, 4, 8, 16]),
        (500, 100, None, [1, 2, 4, 8, 16, 32, 64, 100, 128]),
        (500, 256, None, [1, 2, 4, 8, 16, 32, 64, 128, 256]),
        (500, None, None, [1, 2, 4, 8, 16, 32, 64, 128]),
        (500, 16, 16, [1, 2, 4, 8, 16]),
        (500, 1, 1, [1]),
        (0, 100, None, [1]),
    ],
)
def test_only_sizes_that_may_occur_are_tried(elements, max_batch_size, largest_batch, sizes):
    assert loop.sizes_to_try(elements, max_batch_size, largest_batch) == sizes


def test_a_corrupt_element_does_not_end_the_calibration(monkeypatch):
    monkeypatch.setattr(loop, "CALIBRATION_SECONDS", 0.0)
    broken = tiny(fail_at=[3], stage="preprocess")
    assert set(loop.batch_size_rates(broken, elements_of(THIRTY), (1, 2, 4)).rates) == {1, 2, 4}


# --- several models


class Signed(ModelHandler[Any, Any, Any]):
    """Signs what it gives with its own name, and notes its batches."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.batches: list[list[Any]] = []

    def load_model(self) -> str:
        return self.name

    def run_inference(self, batch: Sequence[int], model: Any, inference_args: Any = None) -> Any:
        assert model == self.name
        self.batches.append(list(batch))
        return [PredictionResult(element, f"{model}{element}") for element in batch]


def test_each_element_goes_to_the_model_of_its_key():
    workload = tiny(fail_at=[4], stage="preprocess")
    handlers = [Signed("even"), Signed("odd")]
    workload.model_handlers = lambda: list(handlers)  # type: ignore[method-assign]
    workload.model_of = lambda element_id: int(element_id) % 2  # type: ignore[method-assign]
    workload.postprocess = lambda prediction: prediction.inference  # type: ignore[method-assign]
    outputs, measured = loop.run(workload, elements_of(THIRTY[:10]), [5], CLOCK)
    labels = {output[0]: output[1] for output in outputs}
    assert labels == {
        element_id: None
        if element_id == "4"
        else f"{'odd' if int(element_id) % 2 else 'even'}{element_id}"
        for element_id in THIRTY[:10]
    }
    assert handlers[0].batches == [[0, 2], [6, 8]]
    assert handlers[1].batches == [[1, 3], [5, 7, 9]]
    assert measured.batch_sizes == Counter({3: 2, 2: 2})  # the failed element was in a batch too
    assert measured.loads is not None
    assert measured.loads.count == 2
    assert measured.elements == 9


@pytest.mark.parametrize("shares", [True, False])
def test_the_cpu_time_of_a_model_in_other_processes_is_that_of_the_tree(shares, monkeypatch):
    class Tree:
        def __init__(self, root_pid: int) -> None:
            self.readings = iter([1_000, 51_000])

        def read_us(self) -> int:
            return next(self.readings)

    monkeypatch.setattr(loop, "TreeCpu", Tree)
    if shares:
        monkeypatch.setattr(ModelHandler, "share_model_across_processes", lambda _: True)
    else:
        monkeypatch.setattr(Tiny, "model_runs", "server")
    _, measured = loop.run(tiny(), elements_of(THIRTY), [8], CLOCK)
    assert (measured.cpu, measured.cpu_unknown) == (50_000, None)


def test_the_cpu_time_of_a_model_elsewhere_is_unknown(monkeypatch):
    monkeypatch.setattr(Tiny, "model_runs", "elsewhere")
    _, measured = loop.run(tiny(), elements_of(THIRTY), [8], CLOCK)
    assert measured.cpu is None
    assert measured.cpu_unknown is not None
