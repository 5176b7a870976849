"""The model handler of the overhead benchmark. Apart, because its base class needs Beam."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from apache_beam.ml.inference.base import ModelHandler, PredictionResult


class NoopModel:
    """No model. A class of its own because RunInference needs what can be weakly referenced."""


class NoopModelHandler(ModelHandler[str, PredictionResult, NoopModel]):
    """Gives every example back as its own inference."""

    def load_model(self) -> NoopModel:
        return NoopModel()

    def run_inference(
        self,
        batch: Sequence[str],
        model: NoopModel,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[PredictionResult]:
        return [PredictionResult(example, example) for example in batch]

    def get_num_bytes(self, batch: Sequence[str]) -> int:
        # Beam's default pickles the batch, which would be most of what is measured here.
        return sum(len(example) for example in batch)
