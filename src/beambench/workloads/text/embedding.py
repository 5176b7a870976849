"""Sentence embedding with all-MiniLM-L6-v2: real weights that come as a package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from beambench.workloads.base import Label
from beambench.workloads.pytorch.models import save_state_dict
from beambench.workloads.text.base import TextWorkload, packaged_encoder

if TYPE_CHECKING:
    import torch


def all_minilm_l6_v2() -> torch.nn.Module:
    from transformers import BertConfig, BertModel

    return BertModel(BertConfig.from_pretrained(packaged_encoder()), add_pooling_layer=False)


class TextEmbedding(TextWorkload):
    """The mean of the last hidden state over the tokens, as the model's authors pool it."""

    model_flag: ClassVar[str | None] = "model_path"
    preprocess_transform: ClassVar[str | None] = "Tokenize"
    postprocess_transform: ClassVar[str | None] = "Pool"
    models: ClassVar[dict[str, Callable[[], torch.nn.Module]]] = {
        "all-MiniLM-L6-v2": all_minilm_l6_v2
    }

    @classmethod
    def published_weights(cls, name: str, cache: Path) -> Path:
        """Return the packaged weights as the state dict that Beam's handler loads."""
        path = cache / f"packaged-{name}.pth"
        if not path.is_file():
            from transformers import BertModel

            model = BertModel.from_pretrained(packaged_encoder(), add_pooling_layer=False)
            save_state_dict(model.state_dict(), path)
        return path

    def _embedding(self, prediction: Any) -> torch.Tensor:
        hidden = prediction.inference["last_hidden_state"].float()
        mask = prediction.example["attention_mask"]
        pooled: torch.Tensor = hidden[: len(mask)][mask.bool()].mean(dim=0)
        return pooled

    def postprocess(self, prediction: Any) -> Label:
        """Return the embedding's greatest component: a label that few sentences share."""
        return int(self._embedding(prediction).argmax().item())

    def evidence(self, prediction: Any) -> Sequence[float]:
        values: list[float] = self._embedding(prediction).tolist()
        return values
