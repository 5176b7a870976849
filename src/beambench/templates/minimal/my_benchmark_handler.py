"""Model and model handler. Apart from the workload, because their base class needs Beam."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from apache_beam.ml.inference.base import ModelHandler, PredictionResult


class MyBenchmarkModel:
    """A stand-in for your model: scores a number for every class."""

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def scores(self, number: float) -> list[float]:
        return [math.cos(number * (index + 1)) for index in range(self.classes)]


class MyBenchmarkHandler(ModelHandler[float, PredictionResult, MyBenchmarkModel]):
    """Loads the model once in each worker and runs it on batches."""

    def __init__(
        self, classes: int, *, min_batch_size: int | None, max_batch_size: int | None
    ) -> None:
        super().__init__(min_batch_size=min_batch_size, max_batch_size=max_batch_size)
        self._classes = classes

    def load_model(self) -> MyBenchmarkModel:
        return MyBenchmarkModel(self._classes)

    def run_inference(
        self,
        batch: Sequence[float],
        model: MyBenchmarkModel,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[PredictionResult]:
        return [PredictionResult(example, model.scores(example)) for example in batch]
