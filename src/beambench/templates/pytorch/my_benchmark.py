"""My benchmark: a torch.nn.Module through Beam's PytorchModelHandlerTensor, on images.

Import Beam and torch inside the functions: this module is also imported where a benchmark is only
checked.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from beambench import Parameters, Weights, Workload


class MyBenchmarkParameters(Parameters):
    """The `parameters` of the definition; `--set parameters.size=96` changes one.

    `size`: height and width of the model's input in pixels; `classes`: outputs of the model.
    """

    size: int
    classes: int


class MyBenchmark(Workload):
    """Reads, decodes and resizes images; a PyTorch model; arg-max."""

    transform = "PyTorchRunInference"  # name of the transform in the pipeline
    input_types = ("images",)
    parameters_type = MyBenchmarkParameters

    @classmethod
    def fetch_weights(cls, definition: Any, seed: int, cache: Path) -> Weights:
        """Return the file of the state dict: the definition's, or one made from the seed."""
        if definition.model.weights == "file":
            return Weights(Path(definition.model.path))
        import torch

        from my_benchmark_model import MyBenchmarkModel

        classes = MyBenchmarkParameters.model_validate(definition.parameters).classes
        path = cache / f"my-benchmark-{classes}-classes-seed{seed}.pth"
        if not path.is_file():
            torch.manual_seed(seed)
            cache.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}.partial")
            torch.save(MyBenchmarkModel(classes).state_dict(), partial)
            partial.replace(path)
        return Weights(path)

    def model_handler(self) -> Any:
        """Return Beam's handler of the model: what you would give to RunInference."""
        from apache_beam.ml.inference.pytorch_inference import PytorchModelHandlerTensor

        from my_benchmark_model import MyBenchmarkModel

        batching = self.definition.batching
        return PytorchModelHandlerTensor(
            state_dict_path=str(self.weights.path),
            model_class=MyBenchmarkModel,
            model_params={"classes": self.parameters.classes},
            device=self.definition.model.device.upper(),
            load_model_args={"weights_only": True},
            min_batch_size=batching.min_batch_size,
            max_batch_size=batching.max_batch_size,
        )

    def set_up(self) -> None:
        """Import what the first element should not pay for."""
        import torchvision.transforms.functional  # noqa: F401
        from PIL import Image

        Image.init()

    def read(self, path: str) -> bytes:
        """Read one element; bytes count for the throughput in B/s."""
        return Path(path).read_bytes()

    def preprocess(self, raw: bytes) -> Any:
        """Turn what was read into one example of the model: [3, size, size], values 0 to 1."""
        from PIL import Image
        from torchvision.transforms.functional import to_tensor

        size = self.parameters.size
        image = Image.open(io.BytesIO(raw))
        if image.mode[0] in "IF":  # grey of 16 bits or more: convert would make all of it white
            raise ValueError(f"mode {image.mode}: scale it to what the model was trained on")
        return to_tensor(image.convert("RGB").resize((size, size)))

    def postprocess(self, prediction: Any) -> int:
        """Turn Beam's PredictionResult into a label."""
        return int(prediction.inference.argmax())

    def evidence(self, prediction: Any) -> Sequence[float]:
        """Return the raw output, which is compared where labels say too little."""
        values: list[float] = prediction.inference.float().tolist()
        return values
