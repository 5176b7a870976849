"""Beam's PyTorch handlers with the settings of the tuned variants, each of which a user can copy.

Apart from the workloads, because the base classes need Beam and torch. A variant that needs none
of this uses Beam's own classes unchanged.
"""

from __future__ import annotations

import concurrent.futures
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from apache_beam.ml.inference.base import PredictionResult
from apache_beam.ml.inference.pytorch_inference import (
    PytorchModelHandlerKeyedTensor,
    PytorchModelHandlerTensor,
)

Example = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Optimisation:
    """What is done to a model once its weights are loaded.

    Attributes:
        compiled_shape: shape of the one batch that the model is compiled for, None: not compiled.
    """

    dtype: torch.dtype = torch.float32
    memory_format: torch.memory_format = torch.contiguous_format
    compiled_shape: tuple[int, ...] | None = None

    def uncompiled(self) -> Optimisation:
        return replace(self, compiled_shape=None)

    def applied(self, model: torch.nn.Module) -> torch.nn.Module:
        model = model.to(dtype=self.dtype)
        if self.memory_format is not torch.contiguous_format:
            model = model.to(memory_format=self.memory_format)
        if hasattr(model, "tie_weights"):
            model.tie_weights()  # casting parted what the two ends of the model share
        if self.compiled_shape is None:
            return model
        model = torch.compile(model, dynamic=False, options={"freezing": True})
        device = next(model.parameters()).device
        warm_up = torch.zeros(self.compiled_shape, dtype=self.dtype, device=device)
        with torch.inference_mode():
            model(warm_up.to(memory_format=self.memory_format))
        return model


class TunedImageHandler(PytorchModelHandlerTensor):
    """Takes normalised images (float32, 3 × height × width); or, with `batched`, pixels.

    Pixels are uint8, height × width × 3, or what `decode` makes into them. They are scaled and
    normalised for the whole batch at once, in the layout that they already have: that is the one
    which channels-last wants.
    """

    def __init__(
        self,
        optimisation: Optimisation,
        mean: Sequence[float],
        std: Sequence[float],
        batched: bool,
        decode: Callable[[Any], torch.Tensor] | None,
        **options: Any,
    ) -> None:
        super().__init__(inference_fn=self._infer, **options)
        self._optimisation = optimisation
        self._mean = torch.tensor(mean).view(3, 1, 1)
        self._std = torch.tensor(std).view(3, 1, 1)
        self._batched = batched
        self._decode = decode

    def load_model(self) -> torch.nn.Module:
        return self._optimisation.applied(super().load_model())

    def _infer(
        self,
        batch: Sequence[Any],
        model: torch.nn.Module,
        device: Any,
        inference_args: dict[str, Any] | None = None,
        model_id: str | None = None,
    ) -> Iterable[PredictionResult]:
        chosen = self._optimisation
        with torch.inference_mode():
            images = torch.stack(self._decoded(batch)).to(device)
            if self._batched:
                # In float32, in the order of torchvision's ToTensor and Normalize.
                pixels = images.permute(0, 3, 1, 2).float()
                mean, std = self._mean.to(device), self._std.to(device)
                images = pixels.div_(255).sub_(mean).div_(std)
            images = images.to(chosen.dtype).contiguous(memory_format=chosen.memory_format)
            if chosen.compiled_shape is not None and len(batch) < chosen.compiled_shape[0]:
                images = _filled_up(images, chosen.compiled_shape[0], chosen.memory_format)
            outputs = model(images)[: len(batch)].float()
        return [
            PredictionResult(example, out, model_id)
            for example, out in zip(batch, outputs, strict=True)
        ]

    def _decoded(self, batch: Sequence[Any]) -> list[torch.Tensor]:
        if self._decode is None:
            return list(batch)
        return list(_decoders().map(self._decode, batch))

    def get_num_bytes(self, batch: Sequence[Any]) -> int:
        if self._decode is None:
            return sum(image.nbytes for image in batch)
        return sum(len(encoded) for encoded in batch)


@functools.cache
def _decoders() -> concurrent.futures.ThreadPoolExecutor:
    """One pool a process: Pillow releases the GIL while it decodes and resizes."""
    return concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0)))


def _filled_up(images: torch.Tensor, size: int, memory_format: torch.memory_format) -> torch.Tensor:
    full = images.new_zeros((size, *images.shape[1:])).contiguous(memory_format=memory_format)
    full[: len(images)] = images
    return full


class TunedTextHandler(PytorchModelHandlerKeyedTensor):
    """Pads each batch to its longest sentence, and forms batches of like length if told to.

    Args:
        sorted_batch_size: Beam's batch is sorted by length and run in batches of this size, so
            that little is padded; None: Beam's batch is run as it is.
        infer: (model, padded batch) → one output a sentence, in any nesting of dicts.
    """

    def __init__(
        self,
        optimisation: Optimisation,
        sorted_batch_size: int | None,
        infer: Callable[[torch.nn.Module, Example], dict[str, torch.Tensor]],
        **options: Any,
    ) -> None:
        super().__init__(inference_fn=self._infer_all, **options)
        self._optimisation = optimisation
        self._sorted_batch_size = sorted_batch_size
        self._infer = infer

    def load_model(self) -> torch.nn.Module:
        return self._optimisation.applied(super().load_model())

    def _infer_all(
        self,
        batch: Sequence[Example],
        model: torch.nn.Module,
        device: Any,
        inference_args: dict[str, Any] | None = None,
        model_id: str | None = None,
    ) -> Iterable[PredictionResult]:
        results: list[Any] = [None] * len(batch)
        with torch.inference_mode():
            for places in self._groups(batch):
                padded = {
                    key: value.to(device)
                    for key, value in pad([batch[place] for place in places]).items()
                }
                outputs = self._infer(model, padded)
                for index, place in enumerate(places):
                    rows = {key: value[index] for key, value in outputs.items()}
                    results[place] = PredictionResult(batch[place], rows, model_id)
        return results

    def _groups(self, batch: Sequence[Example]) -> Iterator[list[int]]:
        places = list(range(len(batch)))
        size = self._sorted_batch_size
        if size is None:
            yield places
            return
        places.sort(key=lambda place: length(batch[place]))
        for start in range(0, len(places), size):
            yield places[start : start + size]


def length(example: Example) -> int:
    """Return the number of tokens of a sentence."""
    return len(example["input_ids"])


def pad(examples: Sequence[Example]) -> Example:
    """Stack sentences of different length, filled up with 0, which is [PAD] in BERT vocabularies.

    Each value becomes (sentences, longest); the attention mask is 0 where nothing stands.
    """
    pad_sequence = torch.nn.utils.rnn.pad_sequence
    return {
        key: pad_sequence([example[key] for example in examples], batch_first=True)
        for key in examples[0]
    }


def all_outputs(model: torch.nn.Module, padded: Example) -> dict[str, torch.Tensor]:
    """Call the model; return what it gives as float32."""
    return {key: value.float() for key, value in model(**padded).items()}


class MaskOnly:
    """Computes BERT's last layer and the vocabulary's logits at the [MASK] alone.

    Nothing else is read of them: of the last layer only keys and values are needed of every token.
    In BERT-base the head is a fifth of the work of a sentence, the rest of that layer a fifteenth.
    Gives the same logits there, but for rounding.
    """

    def __init__(self, mask_token_id: int) -> None:
        self._mask_token_id = mask_token_id

    def __call__(self, model: Any, padded: Example) -> dict[str, torch.Tensor]:
        bert = model.bert
        hidden = bert.embeddings(padded["input_ids"], padded.get("token_type_ids"))
        # Added to the scores of attention (sentences, heads, queries, keys), as BERT does itself.
        barred = (padded["attention_mask"][:, None, None] == 0) * torch.finfo(hidden.dtype).min
        barred = barred.to(hidden.dtype)
        *layers, last = bert.encoder.layer
        for layer in layers:
            hidden = layer(hidden, barred)
        is_mask = padded["input_ids"] == self._mask_token_id
        counts = is_mask.sum(dim=1).tolist()
        # Keys and values are copied for each mask: not for many, which only odd sentences have.
        is_many = sum(counts) > 2 * len(counts)
        chosen = (
            last(hidden, barred)[is_mask] if is_many else _layer_at(last, hidden, barred, is_mask)
        )
        logits = model.cls(chosen).float()
        return {"logits": list(logits.split(counts))}


def _layer_at(
    layer: Any, hidden: torch.Tensor, barred: torch.Tensor, chosen: torch.Tensor
) -> torch.Tensor:
    """Return what a layer of BERT gives at the chosen tokens of a batch: (tokens, features)."""
    attention = layer.attention.self
    shape = (*hidden.shape[:2], attention.num_attention_heads, attention.attention_head_size)
    sentences, tokens = chosen.nonzero(as_tuple=True)
    inputs = hidden[sentences, tokens]
    attended = torch.nn.functional.scaled_dot_product_attention(
        attention.query(inputs).view(len(inputs), shape[2], 1, shape[3]),
        attention.key(hidden).view(shape).transpose(1, 2)[sentences],
        attention.value(hidden).view(shape).transpose(1, 2)[sentences],
        attn_mask=barred[sentences],
    )
    outputs = layer.attention.output(attended.reshape(inputs.shape), inputs)
    return layer.output(layer.intermediate(outputs), outputs)
