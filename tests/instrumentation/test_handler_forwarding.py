"""The instrumented handler is, but for measuring, the handler inside it."""

from __future__ import annotations

import inspect
import os
import pickle
import tempfile
from typing import Any

import pytest
from apache_beam.internal import pickler
from apache_beam.ml.inference.base import KeyedModelHandler, ModelHandler

from beambench.instrumentation.handler import InstrumentedModelHandler
from beambench.instrumentation.recorder import PlanClock

pytestmark = pytest.mark.real

CLOCK = PlanClock(epoch_ns=0, slot_us=1_000_000)

PUBLIC = {name for name in dir(ModelHandler) if not name.startswith("_")}

BUILDERS = {"with_preprocess_fn", "with_postprocess_fn", "with_no_batching"}
"""They put a wrapper around `self`, and so around the measuring: forwarding would lose it."""

MODEL = object()

CALLS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "load_model": ((), MODEL),
    "run_inference": ((["a", "b"], MODEL, {"k": 1}), ["A", "B"]),
    "get_num_bytes": ((["a", "b"],), 1234),
    "get_metrics_namespace": ((), "BeamML_Own"),
    "get_resource_hints": ((), {"min_ram": "10GB"}),
    "batch_elements_kwargs": ((), {"min_batch_size": 3, "max_batch_size": 7}),
    "validate_inference_args": (({"k": 1},), None),
    "update_model_path": (("new/path",), None),
    "update_model_paths": ((MODEL, ["new/path"]), None),
    "get_preprocess_fns": ((), [len]),
    "get_postprocess_fns": ((), [str]),
    "should_skip_batching": ((), True),
    "set_environment_vars": ((), None),
    "share_model_across_processes": ((), True),
    "model_copies": ((), 5),
    "override_metrics": (("BeamML_Own",), True),
    # Unlike share_model_across_processes, which the inherited default would ask.
    "should_garbage_collect_on_timeout": ((), False),
}
"""For every method: arguments, and a value unlike the one that `ModelHandler` would give."""


class Recording(ModelHandler[Any, Any, Any]):
    """Gives the values of `CALLS` and notes who was called, with what."""

    def __init__(self) -> None:
        super().__init__(env_vars={"TINY": "1"})
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattribute__(self, name: str) -> Any:
        if name not in CALLS:
            return super().__getattribute__(name)

        def method(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, (*args, *kwargs.values())))
            return CALLS[name][1]

        return method


def wrapped(inner: ModelHandler[Any, Any, Any]) -> InstrumentedModelHandler:
    return InstrumentedModelHandler(inner, CLOCK)


def test_the_list_here_is_that_of_beam():
    assert set(CALLS) | BUILDERS == PUBLIC
    assert all(callable(getattr(ModelHandler, name)) for name in PUBLIC)


def test_every_method_of_beams_handler_is_defined_and_not_inherited():
    inherited = PUBLIC - BUILDERS - set(vars(InstrumentedModelHandler))
    assert not inherited, f"Beam's ModelHandler has {inherited}: forward it"


@pytest.mark.parametrize("name", sorted(CALLS))
def test_every_call_reaches_the_handler_inside_and_its_answer_comes_back(name, metrics):
    inner = Recording()
    arguments, value = CALLS[name]
    assert getattr(wrapped(inner), name)(*arguments) == value
    assert inner.calls.count((name, arguments)) == 1
    assert {call for call, _ in inner.calls} <= {name, "share_model_across_processes"}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_the_answer_in_this_test_is_not_the_inherited_default(name):
    arguments, value = CALLS[name]
    if value is None or name in ("load_model", "run_inference"):
        return  # nothing to tell apart; that it was called is tested above
    default = ModelHandler()
    if name == "should_garbage_collect_on_timeout":
        default._share_across_processes = True
    assert getattr(default, name)(*arguments) != value


@pytest.mark.parametrize("name", sorted(CALLS))
def test_parameters_have_the_names_and_defaults_of_beams(name):
    def parameters(cls: type) -> list[tuple[str, Any]]:
        signature = inspect.signature(getattr(cls, name))
        return [(parameter.name, parameter.default) for parameter in signature.parameters.values()]

    assert parameters(InstrumentedModelHandler) == parameters(ModelHandler)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_wrappers_go_around_the_instrumented_handler(name):
    handler = wrapped(ModelHandler())
    around = getattr(handler, name)(*([] if name == "with_no_batching" else [str]))
    assert around._base is handler


def test_environment_variables_are_those_of_the_handler_inside_through_all_wrappers(monkeypatch):
    monkeypatch.delenv("TINY_DEVICE", raising=False)
    inner = ModelHandler(env_vars={"TINY_DEVICE": "7"})
    outermost = KeyedModelHandler(wrapped(inner)).with_preprocess_fn(str).with_postprocess_fn(str)
    assert outermost._env_vars == {"TINY_DEVICE": "7"}
    with monkeypatch.context() as context:
        context.setenv("TINY_DEVICE", "before")
        outermost.set_environment_vars()
        assert os.environ["TINY_DEVICE"] == "7"


def test_a_handler_without_environment_variables_is_no_problem():
    class Bare(ModelHandler[Any, Any, Any]):
        def __init__(self) -> None:
            pass  # as user code that forgets super().__init__()

    assert wrapped(Bare())._env_vars == {}


@pytest.mark.parametrize(
    "copied",
    [
        lambda handler: pickle.loads(pickle.dumps(handler)),
        lambda handler: pickler.loads(pickler.dumps(handler)),
    ],
    ids=["pickle", "beam"],
)
def test_it_pickles_and_leaves_what_belongs_to_this_process(copied, metrics):
    from tiny_handlers import TinyHandler

    inner = TinyHandler("none", "plain", (), min_batch_size=3, env_vars={"TINY": "1"})
    handler = InstrumentedModelHandler(
        inner, CLOCK, weights_path="/weights", size_mib=None, device="gpu"
    )
    model = handler.load_model()
    handler.load_model()
    handler.run_inference([1, 2], model)
    handler.load_model()
    assert handler._recorder is not None
    assert len(handler._pending_loads) == 1
    copy = copied(handler)
    assert type(copy) is InstrumentedModelHandler
    assert copy._recorder is None
    assert copy._clock == CLOCK
    assert (copy._weights_path, copy._size_mib, copy._device) == ("/weights", None, "gpu")
    assert copy._env_vars == {"TINY": "1"}
    assert copy.get_metrics_namespace() == inner.get_metrics_namespace()
    assert copy.batch_elements_kwargs() == {"min_batch_size": 3}
    assert len(copy.run_inference([1, 2, 3], model)) == 3
    assert len(metrics.values["model_load_us"]) == 3
    assert handler._pending_loads == []  # a copy in another thread wrote it


@pytest.mark.parametrize("shared", [False, True])
def test_how_long_a_server_took_comes_with_the_load(metrics, monkeypatch, tmp_path, shared):
    from tiny_handlers import TinyHandler

    class Server:
        server_start_us = 1234

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    inner = TinyHandler("none", "plain", ())
    handler = wrapped(inner)
    model = handler.load_model()
    monkeypatch.setattr(inner, "share_model_across_processes", lambda: shared, raising=False)
    monkeypatch.setattr(inner, "load_model", Server)
    handler.load_model()
    assert len(list(tmp_path.iterdir())) == shared
    handler.run_inference([1], model)
    assert metrics.values["server_start_us"] == [1234]
    assert len(metrics.values["model_load_us"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_load_times_of_one_handler_are_not_written_by_another(metrics):
    from tiny_handlers import TinyHandler

    first, second = (wrapped(TinyHandler("none", "plain", ())) for _ in range(2))
    model = first.load_model()
    second.run_inference([1], model)
    assert metrics.values["model_load_us"] == []
    pickle.loads(pickle.dumps(first)).run_inference([1], model)
    assert len(metrics.values["model_load_us"]) == 1


def test_beam_finds_the_metrics_namespace_of_the_handler_inside():
    assert KeyedModelHandler(wrapped(Namespaced())).get_metrics_namespace() == "BeamML_Mine"


class Namespaced(ModelHandler[Any, Any, Any]):
    def get_metrics_namespace(self) -> str:
        return "BeamML_Mine"
