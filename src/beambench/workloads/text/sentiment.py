"""Sentiment with DistilBERT: the work of Beam's pytorch_sentiment example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from beambench.workloads.base import Label
from beambench.workloads.text.base import TextWorkload, downloaded

if TYPE_CHECKING:
    import torch

LABELS = ("NEGATIVE", "POSITIVE")


def distilbert_base_uncased() -> torch.nn.Module:
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    return DistilBertForSequenceClassification(
        DistilBertConfig.from_dict({"num_labels": len(LABELS)})
    )


class Sentiment(TextWorkload):
    """Positive or negative."""

    model_flag: ClassVar[str | None] = "model_path"
    preprocess_transform: ClassVar[str | None] = "Tokenize"
    postprocess_transform: ClassVar[str | None] = "PostProcess"
    models: ClassVar[dict[str, Callable[[], torch.nn.Module]]] = {
        "distilbert-base-uncased-finetuned-sst-2-english": distilbert_base_uncased
    }

    @classmethod
    def published_weights(cls, name: str, cache: Path) -> Path:
        from transformers import DistilBertForSequenceClassification

        return downloaded(DistilBertForSequenceClassification, f"distilbert/{name}", cache)

    def tokenize(self, text: str) -> dict[str, torch.Tensor]:
        result = super().tokenize(text)
        result.pop("token_type_ids", None)  # BERT's tokenizer gives them, DistilBERT takes none
        return result

    def postprocess(self, prediction: Any) -> Label:
        return LABELS[int(prediction.inference["logits"].argmax().item())]

    def evidence(self, prediction: Any) -> Sequence[float]:
        logits: list[float] = prediction.inference["logits"].float().tolist()
        return logits
