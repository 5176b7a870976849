"""A handler that is not ours is measured from inside Beam's wrappers, and nothing of it changes."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from apache_beam.ml.inference.base import (
    KeyedModelHandler,
    KeyModelMapping,
    MaybeKeyedModelHandler,
    ModelHandler,
)

from beambench.instrumentation.existing import transparent
from beambench.instrumentation.existing.transparent import (
    TransparentModelHandler,
    innermost,
    instrumented,
)
from beambench.instrumentation.recorder import PlanClock, ProcessCpu

pytestmark = pytest.mark.real

CLOCK = PlanClock(epoch_ns=1_700_000_000_000_000_000, slot_us=1_000_000)
MODEL = object()


class Inner(ModelHandler[Any, Any, Any]):
    """Gives what it is told to, and keeps the batches that it got."""

    def __init__(self, results: Sequence[Any] = ()) -> None:
        super().__init__()
        self.results, self.batches = results, list[Any]()

    def load_model(self) -> Any:
        return MODEL

    def run_inference(self, batch: Any, model: Any, inference_args: Any = None) -> Iterator[Any]:
        assert model is MODEL
        self.batches.append((batch, inference_args))
        for result in self.results:
            if isinstance(result, Exception):
                raise result
            yield result


class OwnKeyed(KeyedModelHandler[Any, Any, Any, Any]):
    """A user's own kind of Beam's wrapper."""


@pytest.fixture(autouse=True)
def _cpu(clock, monkeypatch) -> None:
    monkeypatch.setattr(transparent, "time", clock)
    monkeypatch.setattr(transparent, "PROCESS_CPU", ProcessCpu())


def keyed(handler: Any) -> Any:
    return KeyedModelHandler(handler).with_preprocess_fn(str).with_postprocess_fn(str)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: inner,
        keyed,
        lambda inner: MaybeKeyedModelHandler(inner).with_postprocess_fn(str),
        lambda inner: inner.with_preprocess_fn(str).with_no_batching(),
    ],
)
def test_the_innermost_handler_is_measured_and_the_users_object_left_alone(wrap):
    inner = Inner()
    given = wrap(inner)
    measured = instrumented(given, CLOCK)
    (handler,) = innermost(measured)
    assert isinstance(handler, TransparentModelHandler)
    assert handler._inner is inner
    assert innermost(given) == [inner]
    if given is not inner:
        assert type(measured) is type(given)
    assert measured.get_preprocess_fns() == given.get_preprocess_fns()
    assert measured.get_postprocess_fns() == given.get_postprocess_fns()
    assert measured.should_skip_batching() == given.should_skip_batching()


def test_each_model_of_a_keyed_handler_is_measured():
    first, second = Inner(), Inner()
    given = KeyedModelHandler([KeyModelMapping(["a", "b"], first), KeyModelMapping(["c"], second)])
    measured = instrumented(given, CLOCK)
    assert [handler._inner for handler in innermost(measured)] == [first, second]
    assert innermost(given) == [first, second]


def test_a_users_own_wrapper_is_measured_as_a_whole():
    given = OwnKeyed(Inner())
    measured = instrumented(given, CLOCK)
    assert isinstance(measured, TransparentModelHandler)
    assert measured._inner is given


@pytest.mark.parametrize("results", [[1, 2], [1], [], [1, 2, 3]])
def test_batch_and_results_pass_as_they_are(metrics, results):
    inner, batch = Inner(results), ("a", "b")
    handler = instrumented(inner, CLOCK)
    assert handler.run_inference(batch, handler.load_model(), {"top": 1}) == results
    ((passed, arguments),) = inner.batches
    assert passed is batch
    assert arguments == {"top": 1}
    assert metrics.values["batch_size"] == [2]
    assert metrics.values["model_load_us"] == [0]


def test_a_failed_batch_fails_once_and_is_not_counted(metrics):
    error = ValueError("no")
    inner = Inner([1, error])
    handler = instrumented(inner, CLOCK)
    with pytest.raises(ValueError, match="no") as caught:
        handler.run_inference(("a", "b"), MODEL)
    assert caught.value is error
    assert len(inner.batches) == 1
    assert metrics.values["batch_size"] == []
    assert not metrics.counters.get("batches_retried")


class Shared(Inner):
    """One copy for all processes, as Beam's `large_model` asks for."""

    def share_model_across_processes(self) -> bool:
        return True


@pytest.mark.parametrize(
    "given",
    [Shared([1]), KeyedModelHandler([KeyModelMapping(["a"], Inner([1]))])],
    ids=["shared", "per-key"],
)
def test_a_load_in_another_process_is_counted_once(given, clock, metrics, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (handler,) = innermost(instrumented(given, CLOCK))
    loading, first, second = (pickle.loads(pickle.dumps(handler)) for _ in range(3))
    monkeypatch.setattr(loading._inner, "load_model", lambda: clock.advance_us(7))
    loading.load_model()
    monkeypatch.setattr("beambench.instrumentation.handler.PENDING_LOADS", {})
    for running in (first, second):
        running.run_inference(("a",), MODEL)
    assert metrics.values["model_load_us"] == [7]
    assert list(tmp_path.iterdir()) == []
