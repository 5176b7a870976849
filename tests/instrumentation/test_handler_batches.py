"""What the instrumented handler makes of a batch: times, results, retries, failures."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from apache_beam.ml.inference.base import ModelHandler, PredictionResult
from hypothesis import given
from hypothesis import strategies as st

from beambench.analysis.histogram import bucket
from beambench.errors import RunError
from beambench.instrumentation import handler as handler_module
from beambench.instrumentation import weights
from beambench.instrumentation.failures import ElementFailure, failure, one_by_one
from beambench.instrumentation.handler import InstrumentedModelHandler
from beambench.instrumentation.recorder import (
    COMPUTED_SIZES,
    LATENCIES,
    REPLACED_SIZES,
    RETRY_CAUSE,
    SIZES,
    PlanClock,
)
from beambench.instrumentation.request_times import ReportsRequestTimes
from beambench.record.observation import RequestTimes
from property_checks import CHECKED

pytestmark = pytest.mark.real

CLOCK = PlanClock(epoch_ns=1_700_000_000_000_000_000, slot_us=1_000_000)
MODEL = object()
LOST = ElementFailure("preprocess", "ValueError: lost")


class Scripted(ModelHandler[Any, Any, Any]):
    """Runs a function of (batch, number of the call) and keeps the batches that it got."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        self._run = run
        self.batches: list[list[Any]] = []

    def load_model(self) -> Any:
        return MODEL

    def run_inference(self, batch: Sequence[Any], model: Any, inference_args: Any = None) -> Any:
        assert model is MODEL
        self.batches.append(list(batch))
        return self._run(batch, len(self.batches))

    def get_num_bytes(self, batch: Sequence[Any]) -> int:
        return 100 * len(batch)


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("nothing to say")


def instrumented(run: Any, **options: Any) -> tuple[InstrumentedModelHandler, Scripted]:
    inner = Scripted(run)
    return InstrumentedModelHandler(inner, CLOCK, **options), inner


def doubled(batch: Sequence[int], call: int) -> list[int]:
    return [2 * element for element in batch]


def failing_at(*bad: int) -> Any:
    def run(batch: Sequence[int], call: int) -> list[int]:
        for element in batch:
            if element in bad:
                raise ValueError(f"cannot {element}")
        return doubled(batch, call)

    return run


def shown(results: Sequence[Any]) -> list[Any]:
    """Replace the predictions that stand for a failure by the failure."""
    return [
        result.inference if isinstance(result, PredictionResult) else result for result in results
    ]


# --- times


def test_a_lazy_result_is_computed_while_the_clock_runs(clock, metrics):
    def run(batch: Sequence[int], call: int) -> Iterator[int]:
        for element in batch:
            clock.advance_us(1000)
            yield 2 * element

    handler, _ = instrumented(run)
    results = handler.run_inference([1, 2, 3], MODEL)
    assert results == [2, 4, 6]
    assert isinstance(results, list)
    assert metrics.values["batch_latency_ns"] == [3_000_000]
    assert metrics.counters["inference_ns"] == 3_000_000
    assert metrics.counters["inference_cpu_ns"] == 1_500_000
    assert metrics.histogram(LATENCIES) == {bucket(3_000_000): 1}
    assert metrics.namespaces == {"beambench"}


def test_what_one_batch_writes(clock, metrics):
    def run(batch: Sequence[int], call: int) -> list[int]:
        clock.advance_us(2500)
        return doubled(batch, call)

    handler, _ = instrumented(run)
    clock.advance_us(700)
    handler.run_inference([1, 2, 3, 4], MODEL)
    assert metrics.values["batch_size"] == [4]
    assert metrics.histogram(SIZES) == {4: 1}
    assert metrics.values["batch_latency_ns"] == [2_500_000]
    assert metrics.counters["inferred_at_us"] == 4 * 700
    assert metrics.counters["element_latency_ns"] == 4 * 2_500_000
    assert metrics.counters["batches_retried"] == 0
    [first] = [name for name in metrics.values if name.startswith("first_batch_end_us/")]
    assert metrics.values[first] == [3200]
    [start] = [name for name in metrics.values if name.startswith("batch_start_us/")]
    assert metrics.values[start] == [700]
    assert "batch_launch_latency_ns" not in metrics.values


def test_on_cuda_both_timestamps_wait_for_the_device_and_the_launch_is_kept_beside(
    clock, metrics, monkeypatch
):
    queue = [400]  # µs of work of someone else, queued before

    def synchronise(device: Any) -> None:
        clock.advance_us(sum(queue))
        queue.clear()

    def run(batch: Sequence[int], call: int) -> list[int]:
        clock.advance_us(30)
        queue.append(9000)
        return doubled(batch, call)

    cuda = SimpleNamespace(is_initialized=lambda: True, synchronize=synchronise)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    handler, _ = instrumented(run)
    handler.run_inference([1], MODEL)
    assert metrics.values["batch_latency_ns"] == [9_030_000]
    assert metrics.values["batch_launch_latency_ns"] == [30_000]
    assert metrics.counters["inferred_at_us"] == 400


def test_on_a_cpu_torch_is_not_imported(clock, metrics, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it would raise
    handler, _ = instrumented(doubled)
    assert handler.run_inference([1], MODEL) == [2]


def test_cuda_that_the_batch_itself_starts_is_waited_for(clock, metrics, monkeypatch):
    started = []
    cuda = SimpleNamespace(
        is_initialized=lambda: bool(started), synchronize=lambda device: clock.advance_us(500)
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    handler, _ = instrumented(lambda batch, call: started.append(call) or doubled(batch, call))
    handler.run_inference([1], MODEL)
    assert metrics.values["batch_latency_ns"] == [500_000]
    assert metrics.values["batch_launch_latency_ns"] == [0]


@pytest.mark.parametrize("asked", [None, "cpu", "gpu"])
def test_a_model_on_another_device_than_the_definition_asks_for_is_not_used(asked, metrics):
    import torch

    handler, inner = instrumented(doubled, device=asked)
    inner.load_model = lambda: torch.nn.Linear(2, 2, device="meta")  # type: ignore[method-assign]
    if asked is None:
        handler.load_model()
        assert handler._pending_loads[0].device == "meta/"
        return
    with pytest.raises(
        RunError, match=rf"^model\.device {asked}: after the load the model is on meta"
    ):
        handler.load_model()
    assert handler._pending_loads == []


def test_a_load_writes_its_device(clock, metrics):
    handler, _ = instrumented(doubled, device="gpu")  # of a model that says no device
    handler.run_inference([1], handler.load_model())
    [name] = [name for name in metrics.counters if name.startswith("model_device/")]
    assert name == "model_device/unknown/a model of type object does not say"
    assert metrics.counters[name] == 1


def test_load_times_wait_for_the_first_batch_and_are_written_once(clock, metrics):
    handler, inner = instrumented(doubled)
    inner.load_model = lambda: clock.advance_us(5000) or MODEL  # type: ignore[method-assign]
    handler.load_model()
    handler.load_model()
    assert metrics.values["model_load_us"] == []
    for _ in range(2):
        handler.run_inference([1], MODEL)
    assert metrics.values["model_load_us"] == [5000, 5000]


def test_on_cuda_loading_ends_when_the_device_has_the_model(clock, metrics, monkeypatch):
    cuda = SimpleNamespace(
        is_initialized=lambda: True, synchronize=lambda device: clock.advance_us(70)
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    handler, _ = instrumented(doubled)
    model = handler.load_model()
    handler.run_inference([1], model)
    assert metrics.values["model_load_us"] == [70]


# --- retries


def test_a_failed_batch_runs_again_once_one_by_one_and_the_others_come_out(clock, metrics):
    handler, inner = instrumented(failing_at(3))
    results = shown(handler.run_inference([1, 2, 3, 4], MODEL))
    assert results == [2, 4, ElementFailure("inference", "ValueError: cannot 3"), 8]
    assert inner.batches == [[1, 2, 3, 4], [1], [2], [3], [4]]


def test_the_latency_of_a_retried_batch_is_what_its_caller_waited(clock, metrics):
    def run(batch: Sequence[int], call: int) -> list[int]:
        clock.advance_us(1000)
        return failing_at(2)(batch, call)

    handler, _ = instrumented(run)
    handler.run_inference([1, 2], MODEL)
    assert metrics.counters["batches_retried"] == 1
    assert metrics.values["batch_latency_ns"] == [3_000_000]
    assert metrics.histogram(LATENCIES) == {bucket(3_000_000): 1}
    assert metrics.values["batch_size"] == [2]
    assert metrics.histogram(SIZES) == {2: 1}
    assert metrics.histogram(COMPUTED_SIZES) == {1: 1}  # the other element failed again
    [cause] = [name for name in metrics.values if name.startswith(RETRY_CAUSE)]
    assert cause == f"{RETRY_CAUSE}/ValueError: cannot 2"
    assert metrics.counters["inference_ns"] == 3_000_000  # the batch, and twice one element
    handler.run_inference([4, 5, 6], MODEL)
    assert metrics.counters["batches_retried"] == 1
    assert metrics.values["batch_latency_ns"] == [3_000_000, 1_000_000]


def test_a_failure_that_passes_costs_no_element(clock, metrics):
    def run(batch: Sequence[int], call: int) -> list[int]:
        if call == 1:
            raise ConnectionError("gone")
        return doubled(batch, call)

    handler, inner = instrumented(run)
    assert handler.run_inference([1, 2], MODEL) == [2, 4]
    assert inner.batches == [[1, 2], [1], [2]]


def test_a_batch_of_one_gets_its_second_try_too(clock, metrics):
    def run(batch: Sequence[int], call: int) -> list[int]:
        if call == 1:
            raise ConnectionError("gone")
        return doubled(batch, call)

    handler, inner = instrumented(run)
    assert handler.run_inference([1], MODEL) == [2]
    assert inner.batches == [[1], [1]]


def test_an_element_that_fails_after_its_result_stands_once(clock, metrics):
    def run(batch: Sequence[int], call: int) -> Iterator[int]:
        for element in batch:
            yield 2 * element
            if element == 2:
                raise ValueError("late")

    handler, _ = instrumented(run)
    results = shown(handler.run_inference([1, 2, 3], MODEL))
    assert results == [2, ElementFailure("inference", "ValueError: late"), 6]


def emptying(*bad: int) -> Any:
    """Take the elements out of the batch, as a handler may: Beam has the keys elsewhere."""

    def run(batch: list[int], call: int) -> list[int]:
        results = []
        while batch:
            element = batch.pop(0)
            if element in bad:
                raise ValueError(f"cannot {element}")
            results.append(2 * element)
        return results

    return run


def test_a_handler_may_empty_the_batch_and_a_second_try_is_whole(clock, metrics):
    handler, _ = instrumented(emptying())
    assert handler.run_inference([1, 2, 3], MODEL) == [2, 4, 6]
    handler, inner = instrumented(emptying(2))
    failed = ElementFailure("inference", "ValueError: cannot 2")
    assert shown(handler.run_inference([1, 2, 3], MODEL)) == [2, failed, 6]
    assert inner.batches == [[1, 2, 3], [1], [2], [3]]


@pytest.mark.parametrize("count", [0, 2])
def test_a_retried_element_has_one_result_or_fails(clock, metrics, count):
    def run(batch: Sequence[int], call: int) -> list[int]:
        if len(batch) > 1:
            raise ValueError("too large")
        return [2 * batch[0]] * (count if batch[0] == 2 else 1)

    handler, _ = instrumented(run)
    text = f"RunError: the model handler gave {count} results for a batch of 1"
    assert shown(handler.run_inference([1, 2, 3], MODEL)) == [
        2,
        ElementFailure("inference", text),
        6,
    ]


def test_no_exit_is_taken_for_a_failed_element():
    def infer(_: Sequence[int]) -> list[int]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one_by_one(infer, [1, 2])


# --- failures from before


@CHECKED
@given(st.lists(st.booleans(), min_size=1, max_size=12), st.sets(st.integers(0, 11)))
def test_failures_come_back_at_their_own_places(lost, bad):
    batch = [LOST if is_lost else index for index, is_lost in enumerate(lost)]
    handler, inner = instrumented(failing_at(*bad))
    handler._recorder = SimpleNamespace(  # type: ignore[assignment]
        loads=lambda _: None, batch=lambda *_, **__: None
    )
    results = shown(handler.run_inference(batch, MODEL))
    expected = [
        LOST
        if element is LOST
        else ElementFailure("inference", f"ValueError: cannot {element}")
        if element in bad
        else 2 * element
        for element in batch
    ]
    assert results == expected
    assert all(type(call) is int for called in inner.batches for call in called)


def test_a_batch_in_which_all_failed_calls_nobody_and_still_counts(clock, metrics):
    handler, inner = instrumented(doubled)
    assert shown(handler.run_inference([LOST, LOST], MODEL)) == [LOST, LOST]
    assert inner.batches == []
    assert metrics.values["batch_size"] == [2]
    assert metrics.counters["batches_retried"] == 0
    assert metrics.counters["batches_empty"] == 1
    assert metrics.values["batch_latency_ns"] == []  # 0 µs would be no latency of the model
    handler.run_inference([LOST, 1], MODEL)
    assert metrics.counters["batches_empty"] == 1
    assert metrics.histogram(SIZES) == {2: 2}  # as Beam formed them
    assert metrics.histogram(REPLACED_SIZES) == {2: 2}
    assert metrics.histogram(COMPUTED_SIZES) == {1: 1}


def test_a_result_may_be_none(clock, metrics):
    handler, _ = instrumented(lambda batch, _: [None] * len(batch))
    assert handler.run_inference([1, LOST, 3], MODEL) == [None, PredictionResult(None, LOST), None]


def test_bytes_are_those_of_the_elements_that_are_inferred():
    handler, _ = instrumented(doubled)
    assert handler.get_num_bytes([1, LOST, 3]) == 200
    assert handler.get_num_bytes([LOST]) == 0


# --- the wrong number of results


def test_too_few_results_are_passed_on_for_the_proof_to_find(clock, metrics):
    handler, _ = instrumented(lambda batch, _: [2 * element for element in batch[1:]])
    assert handler.run_inference([1, 2, 3], MODEL) == [4, 6]


def test_a_failure_takes_no_place_that_a_lost_result_left(clock, metrics):
    handler, _ = instrumented(lambda batch, _: [2 * batch[0]])
    assert handler.run_inference([1, 2, LOST], MODEL) == [2]


def test_too_many_results_are_an_error_because_beam_would_drop_the_last(clock, metrics):
    handler, _ = instrumented(lambda batch, _: [*batch, batch[-1]])
    with pytest.raises(RunError, match="the model handler gave 3 results for a batch of 2"):
        handler.run_inference([1, 2], MODEL)


# --- size and texts


def sized(tmp_path, mib: float, says: float | None) -> InstrumentedModelHandler:
    path = tmp_path / "weights [1]*.pth"  # what a pattern would not match
    with path.open("wb") as file:
        file.truncate(int(mib * weights.MIB))
    return instrumented(doubled, weights_path=str(path), size_mib=says)[0]


@pytest.mark.parametrize("mib", [0.981, 1.0, 1.019])
def test_weights_within_two_per_cent_are_loaded(tmp_path, mib):
    assert sized(tmp_path, mib, 1.0).load_model() is MODEL


@pytest.mark.parametrize("mib", [0.979, 1.021, 0.0])
def test_weights_of_another_size_are_not_loaded(tmp_path, mib):
    with pytest.raises(RunError) as raised:
        sized(tmp_path, mib, 1.0).load_model()
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith("model.size_mib says 1 MiB but ")
    assert f"has {mib:.1f} MiB" in message


def test_a_definition_without_size_asks_for_none(tmp_path):
    assert sized(tmp_path, 3.0, None).load_model() is MODEL


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("one\ntwo"), "ValueError: one"),
        (ValueError("\n  one  \n"), "ValueError: one"),
        (ValueError(), "ValueError"),
        (SpeechlessError(), "SpeechlessError"),
        (OSError(2, "No such file", "a.jpg"), "FileNotFoundError: [Errno 2] No such file: 'a.jpg'"),
        (ValueError("x" * 500), f"ValueError: {'x' * 200}"),
        (ValueError("a\udcff"), "ValueError: a\\udcff"),
        (TypeError(f"no {io.BytesIO()} here"), "TypeError: no <_io.BytesIO object> here"),
        (KeyError(range.__iter__), "KeyError: <slot wrapper '__iter__' of 'range' objects>"),
        (RuntimeError("bad flags 0x80070005"), "RuntimeError: bad flags 0x80070005"),
    ],
)
def test_a_failure_is_one_short_line_that_json_can_hold(error, text):
    assert failure("read", error) == ("read", text)
    text.encode("utf-8")


# --- loads in another process


def test_a_load_of_models_per_key_reaches_a_copy_in_another_process(
    clock, metrics, tmp_path, monkeypatch
):
    monkeypatch.setattr(handler_module.tempfile, "tempdir", str(tmp_path))
    loading, _ = instrumented(doubled, by_key=True)
    running = pickle.loads(pickle.dumps(loading))
    loading.load_model()
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(handler_module, "PENDING_LOADS", {})  # that of the other process
    for _ in range(2):
        running.run_inference([1, 2], MODEL)
    assert len(metrics.values["model_load_us"]) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_load_in_this_process_needs_no_file(clock, metrics, tmp_path, monkeypatch):
    monkeypatch.setattr(handler_module.tempfile, "tempdir", str(tmp_path))
    handler, _ = instrumented(doubled)
    handler.load_model()
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_a_shared_model_is_named_by_its_last_line():
    rule = "-" * 75
    error = RuntimeError(
        f"\n{rule}\nTraceback (most recent call last):\n  File x\nKeyError: 3\n{rule}"
    )
    assert failure("inference", error) == ElementFailure("inference", "RuntimeError: KeyError: 3")


@pytest.mark.parametrize("told", [True, False])
def test_a_server_that_tells_of_its_requests_is_asked_after_each_batch(clock, metrics, told):
    times = RequestTimes(first_token_us=5, first_tokens=1, per_token_us=3, per_token_requests=1)

    class Serving(Scripted, ReportsRequestTimes):
        def request_times(self, model: str) -> tuple[str, RequestTimes] | None:
            clock.advance_us(10_000)
            return (model, times) if told else None

    handler = InstrumentedModelHandler(Serving(doubled), CLOCK)
    handler.run_inference([1, 2], "a")
    assert metrics.values["batch_latency_ns"] == [0]  # the question is no part of it
    written = {name: values for name, values in metrics.values.items() if "server_requests" in name}
    assert written == (
        {f"server_requests/{name}/a": [value] for name, value in times} if told else {}
    )


def test_a_model_with_an_attribute_of_that_name_is_not_asked(clock, metrics):
    handler, _ = instrumented(doubled)
    handler.run_inference([1, 2], SimpleNamespace(request_times=lambda: ("a", {})))
    assert not [name for name in metrics.values if "server_requests" in name]
