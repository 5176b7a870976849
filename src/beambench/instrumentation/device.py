"""The device that a loaded model is on, and waiting for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from beambench.errors import RunError
from beambench.machine.environment import cpu_model
from beambench.record.run_record import ModelDevice

DEVICE = "model_device"
"""Family of counters: loads of models on a device, which the rest of a counter's name says."""

UNKNOWN = "unknown"
LONGEST_TEXT = 160

DEVICES = {"cpu": "cpu", "gpu": "cuda"}
"""torch's name of the device that a definition asks for; AMD's GPUs have the same."""

ADVICE = {
    "cpu": "load it onto the CPU, or use --set model.device=gpu",
    "gpu": "no CUDA device can be used there, or the load onto it failed, as the log of the worker "
    "says: mend that, or measure the CPU with --set model.device=cpu",
}

PROVIDERS = {
    "CPUExecutionProvider": "cpu",
    "CUDAExecutionProvider": "cuda",
    "TensorrtExecutionProvider": "cuda",
}

CUDA_IN_USE: set[str] = set()
"""The CUDA devices that models of this process are on, as torch names them."""


def device_of(model: Any) -> ModelDevice:
    """Ask a loaded model for its device: its parameters, not what it was told.

    Known are modules of torch, alone or in a list, a mapping or the attributes of an object (a
    pipeline of transformers, a wrapper of a user's own); sessions of ONNX Runtime; estimators of
    scikit-learn; and a server that says its `server_device`. Of any other it is unknown.
    """
    try:
        for ask in (_of_server, _of_torch, _of_onnx_runtime, _of_sklearn):
            device = ask(model)
            if device is not None:
                return device
    except Exception as error:  # of a user's own class
        return ModelDevice(reason=f"asking the model raised {type(error).__name__}")
    return ModelDevice(reason=f"a model of type {type(model).__name__} does not say")


def _of_server(model: Any) -> ModelDevice | None:
    device = getattr(model, "server_device", None)
    return ModelDevice(device=device, name=_name(device)) if isinstance(device, str) else None


def _of_torch(model: Any) -> ModelDevice | None:
    modules = list(_modules(model))
    if not modules:
        return None
    devices = {
        tensor.device
        for module in modules
        for tensors in (module.parameters(), module.buffers())
        for tensor in tensors
    }
    if not devices:
        return ModelDevice(reason=f"{type(modules[0]).__name__} has no parameters")
    cuda = {device for device in devices if device.type == "cuda"}
    CUDA_IN_USE.update(map(str, cuda))
    names = {sys.modules["torch"].cuda.get_device_name(device) for device in cuda}
    names |= {_name(device.type) for device in devices - cuda}
    return ModelDevice(
        device=" and ".join(sorted({device.type for device in devices})),
        name=", ".join(sorted(name for name in names if name is not None)) or None,
    )


def _modules(model: Any) -> Iterator[Any]:
    """Yield the modules of torch that a model is, or holds where one can look."""
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if isinstance(model, torch.nn.Module):
        yield model
        return
    if isinstance(model, Mapping):
        parts = [*model.values()]
    else:
        parts = (
            [*model]
            if isinstance(model, list | tuple)
            else [*getattr(model, "__dict__", {}).values()]
        )
    yield from (part for part in parts if isinstance(part, torch.nn.Module))


def _of_onnx_runtime(model: Any) -> ModelDevice | None:
    runtime = sys.modules.get("onnxruntime")
    if runtime is None or not isinstance(model, runtime.InferenceSession):
        return None
    first = model.get_providers()[0]  # the one that gets every operation that it knows
    if first not in PROVIDERS:
        return ModelDevice(reason=f"{first} of ONNX Runtime does not say")
    return ModelDevice(device=PROVIDERS[first], name=_name(PROVIDERS[first]))


def _of_sklearn(model: Any) -> ModelDevice | None:
    """An estimator may hold others: one that is not scikit-learn's may compute anywhere."""
    if not _is_sklearns(model):
        return None
    parts = [part for part in model.get_params(deep=True).values() if hasattr(part, "fit")]
    return ModelDevice(device="cpu", name=_name("cpu")) if all(map(_is_sklearns, parts)) else None


def _is_sklearns(model: Any) -> bool:
    return type(model).__module__.partition(".")[0] == "sklearn"


def _name(device: str) -> str | None:
    """Return the hardware's name where it is known without starting CUDA in this process."""
    return cpu_model(Path("/proc")) if device == "cpu" else None


def check_device(asked: str | None, actual: ModelDevice) -> None:
    """Raise RunError unless a model is on the device that the definition asks for, or unknown.

    Args:
        asked: `cpu` or `gpu`; None: any will do.
        actual: where it is.
    """
    if asked is None or actual.device in (None, DEVICES[asked]):
        return
    name = f" ({actual.name})" if actual.name is not None else ""
    where = f"after the load the model is on {actual.device}{name}"
    raise RunError(f"model.device {asked}: {where}: {ADVICE[asked]}")


def warnings_of(asked: str | None, devices: list[ModelDevice]) -> list[str]:
    """Say of a benchmark for a GPU that nobody knows where its model computed."""
    return [
        f"model.device gpu: where the model computed is unknown: {device.reason}"
        for device in devices
        if asked == "gpu" and device.device is None
    ]


def counter_of(device: ModelDevice) -> str:
    """Return the rest of the name of the counter of loads on a device."""
    kind, detail = device.device or UNKNOWN, device.name if device.device else device.reason
    return f"{kind}/{detail or ''}"[:LONGEST_TEXT]


def devices_of(loads: Mapping[str, int]) -> list[ModelDevice]:
    """Return the devices from the counters of loads on them."""
    devices = []
    for text, count in sorted(loads.items()):
        kind, _, detail = text.partition("/")
        known = {"device": kind, "name": detail or None}
        said = {"reason": detail} if kind == UNKNOWN else known
        devices.append(ModelDevice(**said, loads=count))
    return devices


def synchronise() -> bool:
    """Wait for the CUDA devices of this process; tell whether it has any in use.

    A CUDA call returns when work is queued, not when it is done. Where torch has not started CUDA
    there is nothing to wait for: then this imports nothing and starts nothing.
    """
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not (CUDA_IN_USE or cuda.is_initialized()):
        return False
    for device in CUDA_IN_USE or (None,):  # None: the current one
        cuda.synchronize(device)
    return True
