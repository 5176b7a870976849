"""The device of a loaded model: asked for, held against the definition, waited for."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from beambench.errors import RunError
from beambench.instrumentation import device as devices
from beambench.instrumentation.device import (
    check_device,
    counter_of,
    device_of,
    devices_of,
    synchronise,
    warnings_of,
)
from beambench.record.run_record import ModelDevice

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def _of_this_machine(monkeypatch) -> None:
    monkeypatch.setattr(devices, "cpu_model", lambda proc: "A CPU")
    monkeypatch.setattr(devices, "CUDA_IN_USE", set())
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")


class OnCuda(torch.nn.Module):
    """Has parameters and buffers where it is told: no tensor of CUDA can be made here."""

    def __init__(self, *places: str) -> None:
        super().__init__()
        self.places = places

    def parameters(self, recurse: bool = True) -> Any:
        return (SimpleNamespace(device=torch.device(place)) for place in self.places[:1])

    def buffers(self, recurse: bool = True) -> Any:
        return (SimpleNamespace(device=torch.device(place)) for place in self.places[1:])


class Lying(torch.nn.Linear):
    """Says that it is on a GPU, as its handler was told."""

    device = torch.device("cuda")


LINEAR = torch.nn.Linear(2, 2)
CPU = ModelDevice(device="cpu", name="A CPU")


@pytest.mark.parametrize(
    "model",
    [
        LINEAR,
        Lying(2, 2),
        torch.jit.script(LINEAR),
        torch.nn.BatchNorm1d(3, affine=False),  # buffers alone
        SimpleNamespace(model=LINEAR, device=torch.device("cuda")),  # as a pipeline of transformers
        (LINEAR, "tokenizer"),
        {"encoder": LINEAR, "vocabulary": 3},
    ],
    ids=["module", "lying", "script", "buffers", "pipeline", "tuple", "mapping"],
)
def test_a_model_of_torch_is_where_its_parameters_are(model):
    assert device_of(model) == CPU


def test_parameters_without_numbers_are_nowhere_to_compute():
    assert device_of(torch.nn.Linear(2, 2, device="meta")) == ModelDevice(device="meta")


def test_each_gpu_is_named_and_kept_to_be_waited_for():
    model_device = device_of(OnCuda("cuda:1", "cuda:0", "cuda:1"))
    assert model_device == ModelDevice(device="cuda", name="GPU 0, GPU 1")
    assert {"cuda:0", "cuda:1"} == devices.CUDA_IN_USE


def test_a_model_that_is_only_half_on_a_gpu_is_on_both():
    model_device = device_of(OnCuda("cuda:0", "cpu"))
    assert model_device == ModelDevice(device="cpu and cuda", name="A CPU, GPU 0")
    for asked in ("cpu", "gpu"):
        with pytest.raises(RunError, match="is on cpu and cuda"):
            check_device(asked, model_device)


class Broken(torch.nn.Module):
    def parameters(self, recurse: bool = True) -> Any:
        raise KeyError("no")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (object(), "a model of type object does not say"),
        ("model", "a model of type str does not say"),
        (torch.nn.ReLU(), "ReLU has no parameters"),
        (Broken(), "asking the model raised KeyError"),
        (SimpleNamespace(host="10.0.0.1"), "a model of type SimpleNamespace does not say"),
    ],
)
def test_a_device_that_nobody_says_is_unknown(model, reason):
    assert device_of(model) == ModelDevice(reason=reason)


def test_without_torch_none_is_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert device_of(object()).device is None
    assert not synchronise()


@pytest.mark.parametrize(
    ("providers", "device"),
    [
        (["CPUExecutionProvider"], CPU),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], ModelDevice(device="cuda")),
        (
            ["XExecutionProvider"],
            ModelDevice(reason="XExecutionProvider of ONNX Runtime does not say"),
        ),
    ],
)
def test_a_session_of_onnx_runtime_is_on_its_first_provider(monkeypatch, providers, device):
    class InferenceSession:
        def get_providers(self) -> list[str]:
            return providers

    runtime = SimpleNamespace(InferenceSession=InferenceSession)
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    assert device_of(InferenceSession()) == device


def test_an_estimator_of_scikit_learn_is_on_the_cpu_with_all_that_it_holds():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    class Foreign(LogisticRegression):
        pass

    assert device_of(LogisticRegression()) == CPU
    assert device_of(make_pipeline(StandardScaler(), LogisticRegression())) == CPU
    for model in (Foreign(), make_pipeline(StandardScaler(), Foreign())):
        assert device_of(model).device is None


@pytest.mark.parametrize(("said", "device"), [("cuda", "cuda"), ("cpu", "cpu"), (None, None)])
def test_a_server_says_its_device(said, device):
    assert device_of(SimpleNamespace(server_device=said)).device == device


# --- held against the definition


@pytest.mark.parametrize(
    ("asked", "device"),
    [("cpu", "cpu"), ("gpu", "cuda"), ("cpu", None), ("gpu", None), (None, "cuda"), (None, "meta")],
)
def test_what_is_asked_for_or_unknown_is_no_error(asked, device):
    check_device(asked, ModelDevice(device=device))


@pytest.mark.parametrize(
    ("asked", "device", "name", "line"),
    [
        (
            "gpu",
            "cpu",
            "A CPU",
            "model.device gpu: after the load the model is on cpu (A CPU): no CUDA",
        ),
        ("gpu", "meta", None, "model.device gpu: after the load the model is on meta: no CUDA"),
        (
            "cpu",
            "cuda",
            "GPU 0",
            "model.device cpu: after the load the model is on cuda (GPU 0): load",
        ),
        (
            "cpu",
            "meta",
            None,
            "model.device cpu: after the load the model is on meta: load it onto",
        ),
    ],
)
def test_another_device_is_an_error_of_one_line_that_says_what_to_do(asked, device, name, line):
    with pytest.raises(RunError) as raised:
        check_device(asked, ModelDevice(device=device, name=name))
    message = str(raised.value)
    assert message.startswith(line)
    assert "--set model.device=" in message
    assert "\n" not in message


def test_an_unknown_device_is_a_warning_where_a_gpu_is_asked_for():
    unknown, known = ModelDevice(reason="it does not say"), ModelDevice(device="cuda")
    said = ["model.device gpu: where the model computed is unknown: it does not say"]
    assert warnings_of("gpu", [known, unknown]) == said
    assert warnings_of("cpu", [unknown]) == warnings_of(None, [unknown]) == []


@pytest.mark.parametrize(
    "device",
    [
        CPU,
        ModelDevice(device="cuda", name="A/B (40 GB)"),
        ModelDevice(reason="a/b"),
        ModelDevice(device="mps"),
    ],
)
def test_a_device_travels_in_the_name_of_a_counter(device):
    assert devices_of({counter_of(device): 3}) == [device.model_copy(update={"loads": 3})]


# --- waited for


def fake_cuda(monkeypatch, *, started: bool) -> list[Any]:
    waited: list[Any] = []
    cuda = SimpleNamespace(is_initialized=lambda: started, synchronize=waited.append)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    return waited


def test_nothing_is_waited_for_where_cuda_was_not_started(monkeypatch):
    waited = fake_cuda(monkeypatch, started=False)
    assert not synchronise()
    assert waited == []


def test_the_current_device_is_waited_for_where_no_model_says_its_own(monkeypatch):
    waited = fake_cuda(monkeypatch, started=True)
    assert synchronise()
    assert waited == [None]


def test_every_device_that_a_model_is_on_is_waited_for(monkeypatch):
    waited = fake_cuda(monkeypatch, started=False)  # C++ alone may have started it
    devices.CUDA_IN_USE.update({"cuda:0", "cuda:1"})
    assert synchronise()
    assert sorted(waited) == ["cuda:0", "cuda:1"]
