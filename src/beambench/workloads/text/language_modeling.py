"""Masked language modeling with BERT: the work of Beam's pytorch_language_modeling example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import model_validator

from beambench.workloads.base import Label, Parameters
from beambench.workloads.text.base import TextParameters, TextWorkload, downloaded

if TYPE_CHECKING:
    import torch

EVIDENCE_STRIDE = 32
"""One logit of 32 is kept as evidence, and the two greatest of the others: all 30,522 would be too
many, and one that stands there twice would look like a near-tie."""


class LanguageModelingParameters(TextParameters):
    """`mask_only`, with `longest`, computes the vocabulary's logits at the [MASK] alone."""

    mask_only: bool = False

    @model_validator(mode="after")
    def _can_compute_the_mask_only(self) -> LanguageModelingParameters:
        if self.mask_only and self.padding != "longest":
            raise ValueError("mask_only goes with padding: longest")
        return self


def bert_base_uncased() -> torch.nn.Module:
    from transformers import BertConfig, BertForMaskedLM

    return BertForMaskedLM(BertConfig())


def bert_large_uncased() -> torch.nn.Module:
    from transformers import BertConfig, BertForMaskedLM

    return BertForMaskedLM(
        BertConfig(
            hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096
        )
    )


class LanguageModeling(TextWorkload):
    """Mask the second-to-last word, predict it; the label is the word."""

    transform: ClassVar[str] = "PyTorchRunInference"
    truncates: ClassVar[bool] = False  # that would cut the mask off, which stands at the end
    model_flag: ClassVar[str | None] = "bert_tokenizer"
    preprocess_transform: ClassVar[str | None] = "TokenizeSentence"
    postprocess_transform: ClassVar[str | None] = "ProcessOutput"
    parameters_type: ClassVar[type[Parameters]] = LanguageModelingParameters
    models: ClassVar[dict[str, Callable[[], torch.nn.Module]]] = {
        "bert-base-uncased": bert_base_uncased,
        "bert-large-uncased": bert_large_uncased,
    }

    @classmethod
    def published_weights(cls, name: str, cache: Path) -> Path:
        from transformers import BertForMaskedLM

        return downloaded(BertForMaskedLM, name, cache)

    def tokenize(self, text: str) -> dict[str, torch.Tensor]:
        return super().tokenize(masked(text, self._tokenizer.mask_token))

    def infer(self) -> Callable[[torch.nn.Module, Any], dict[str, torch.Tensor]]:
        if not self.parameters.mask_only:
            return super().infer()
        from beambench.workloads.pytorch.handlers import MaskOnly

        if self._tokenizer is None:
            self.set_up()
        return MaskOnly(self._tokenizer.mask_token_id)

    def postprocess(self, prediction: Any) -> Label:
        return str(self._tokenizer.decode(self._logits(prediction).argmax(dim=-1)))

    def _logits(self, prediction: Any) -> torch.Tensor:
        """Return (masks, vocabulary): a sentence may itself hold the word [MASK]."""
        ids, logits = prediction.example["input_ids"], prediction.inference["logits"]
        is_mask = ids == self._tokenizer.mask_token_id
        selected: torch.Tensor = (
            logits if self.parameters.mask_only else logits[: len(ids)][is_mask]
        )
        return selected

    def evidence(self, prediction: Any) -> Sequence[float]:
        logits = self._logits(prediction)[0].float()
        strided = logits.new_zeros(len(logits)).bool()
        strided[::EVIDENCE_STRIDE] = True
        scores: list[float] = [
            *logits[strided].tolist(),
            *logits[~strided].topk(2).values.tolist(),
        ]
        return scores


def masked(text: str, mask: str) -> str:
    """Put the mask in place of the second-to-last word; of a single word, in front of it."""
    words = text.split()
    if not words:  # white space that only Unicode knows as such
        raise ValueError("the sentence holds no word")
    return " ".join([*words[:-2], mask, words[-1]])
