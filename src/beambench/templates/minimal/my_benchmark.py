"""My benchmark: a model of any kind, behind a model handler of its own.

Import Beam and whatever your model needs inside the functions: this module is also imported where a
benchmark is only checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from beambench import Parameters, Workload


class MyBenchmarkParameters(Parameters):
    """The `parameters` of the definition; `--set parameters.classes=3` changes one."""

    classes: int


class MyBenchmark(Workload):
    """Reads numbers, gives each a score for every class, and takes the best."""

    input_types = ("numbers",)
    parameters_type = MyBenchmarkParameters

    def model_handler(self) -> Any:
        """Return Beam's handler of the model: what you would give to RunInference."""
        from my_benchmark_handler import MyBenchmarkHandler

        batching = self.definition.batching
        return MyBenchmarkHandler(
            self.parameters.classes,
            min_batch_size=batching.min_batch_size,
            max_batch_size=batching.max_batch_size,
        )

    def preprocess(self, raw: str) -> float:
        """Turn what was read into one example of the model."""
        return float(raw)

    def postprocess(self, prediction: Any) -> int:
        """Turn Beam's PredictionResult into a label."""
        scores = prediction.inference
        return max(range(len(scores)), key=scores.__getitem__)

    def evidence(self, prediction: Any) -> Sequence[float]:
        """Return the raw output, which is compared where labels say too little."""
        return list(prediction.inference)
