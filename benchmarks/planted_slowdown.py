"""A workload with a slowdown that is known: batches take their time, and a share of it more."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from beambench.definition.schema import Definition
from beambench.workloads.base import Label, Parameters, Weights, Workload

if TYPE_CHECKING:
    from pathlib import Path

    from apache_beam.ml.inference.base import ModelHandler


class SlowdownParameters(Parameters):
    """`rounds` of hashing for each element; `slowdown`: busy work, as a share of a batch's time."""

    rounds: int = 20_000
    slowdown: float = 0.0


class PlantedSlowdown(Workload):
    """Hashes numbers."""

    input_types: ClassVar[tuple[str, ...]] = ("numbers",)
    parameters_type: ClassVar[type[Parameters]] = SlowdownParameters
    runs_on_torch: ClassVar[bool] = False
    near_tie: ClassVar[float] = 0.0

    @classmethod
    def fetch_weights(cls, definition: Definition, seed: int, cache: Path) -> Weights:
        return Weights(None)

    def model_handler(self) -> ModelHandler[Any, Any, Any]:
        from beambench.workloads.noop_handler import NoopModelHandler

        rounds, slowdown = self.parameters.rounds, self.parameters.slowdown

        class HashingHandler(NoopModelHandler):
            """Hashes, then works on for a share of the time that this took."""

            def run_inference(
                self, batch: Sequence[str], model: Any, inference_args: dict[str, Any] | None = None
            ) -> Iterable[Any]:
                began = time.perf_counter()
                for example in batch:
                    hashlib.pbkdf2_hmac("sha256", example.encode(), b"salt", rounds)
                end = began + (time.perf_counter() - began) * (1 + slowdown)
                while time.perf_counter() < end:
                    pass
                return super().run_inference(batch, model, inference_args)

        return HashingHandler(**self.handler_options())

    def postprocess(self, prediction: Any) -> Label:
        return str(prediction.inference)
