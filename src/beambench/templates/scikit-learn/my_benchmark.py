"""My benchmark: a pickled scikit-learn model through Beam's SklearnModelHandlerNumpy.

Beam's handler needs pandas beside scikit-learn: pip install pandas scikit-learn.
Import Beam, numpy and scikit-learn inside the functions: this module is also imported where a
benchmark is only checked.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from beambench import Parameters, Weights, Workload


class MyBenchmarkParameters(Parameters):
    """The `parameters` of the definition; `--set parameters.features=50` changes one.

    `features`: numbers in a row, at least as many as `classes`.
    """

    features: int
    classes: int


class MyBenchmark(Workload):
    """Turns each number into a row of features; a scikit-learn classifier; the likeliest class."""

    transform = "SklearnRunInference"  # name of the transform in the pipeline
    input_types = ("numbers",)
    parameters_type = MyBenchmarkParameters

    @classmethod
    def fetch_weights(cls, definition: Any, seed: int, cache: Path) -> Weights:
        """Return the file of the pickled model: the definition's, or one made from the seed.

        A pickle can run any code when it is loaded: use files that you trust.
        """
        if definition.model.weights == "file":
            return Weights(Path(definition.model.path))
        import numpy as np
        import sklearn
        from sklearn.linear_model import LogisticRegression

        chosen = MyBenchmarkParameters.model_validate(definition.parameters)
        # A pickle is for the version of scikit-learn that wrote it.
        sizes = f"{chosen.features}-features-{chosen.classes}-classes"
        path = cache / f"my-benchmark-{sizes}-seed{seed}-sklearn-{sklearn.__version__}.pkl"
        if not path.is_file():
            rows = np.random.default_rng(seed).normal(size=(500, chosen.features))
            model = LogisticRegression().fit(rows, rows[:, : chosen.classes].argmax(axis=1))
            cache.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}.partial")
            partial.write_bytes(pickle.dumps(model))
            partial.replace(path)
        return Weights(path)

    def model_handler(self) -> Any:
        """Return Beam's handler of the model: what you would give to RunInference."""
        from apache_beam.ml.inference.sklearn_inference import (
            ModelFileType,
            SklearnModelHandlerNumpy,
        )

        batching = self.definition.batching
        return SklearnModelHandlerNumpy(
            model_uri=str(self.weights.path),
            model_file_type=ModelFileType.PICKLE,
            inference_fn=probabilities,
            min_batch_size=batching.min_batch_size,
            max_batch_size=batching.max_batch_size,
        )

    def set_up(self) -> None:
        """Import what the first element should not pay for."""
        import numpy  # noqa: F401

    def preprocess(self, raw: str) -> Any:
        """Turn what was read into one example of the model: a row of shape [features]."""
        import numpy as np

        return np.random.default_rng(int(raw)).normal(size=self.parameters.features)

    def postprocess(self, prediction: Any) -> int:
        """Turn Beam's PredictionResult into a label."""
        return int(prediction.inference.argmax())

    def evidence(self, prediction: Any) -> Sequence[float]:
        """Return the raw output, which is compared where labels say too little."""
        values: list[float] = prediction.inference.tolist()
        return values


def probabilities(model: Any, batch: Sequence[Any], inference_args: Any = None) -> Any:
    """Run the model: [batch, features] -> [batch, classes]. Beam's default is `predict`."""
    import numpy as np

    return model.predict_proba(np.stack(batch))
