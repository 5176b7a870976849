"""A handler that does nothing: what is left is the cost of Beam and of beambench itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from beambench.definition.schema import Definition
from beambench.errors import UsageError
from beambench.workloads.base import Label, Workload

if TYPE_CHECKING:
    from apache_beam.ml.inference.base import ModelHandler


class Overhead(Workload):
    """Reads numbers and gives them back as their own labels."""

    transform: ClassVar[str] = "RunInference"
    input_types: ClassVar[tuple[str, ...]] = ("numbers",)
    model_flag: ClassVar[str | None] = None
    runs_on_torch: ClassVar[bool] = False
    near_tie: ClassVar[float] = 0.0

    @classmethod
    def check(cls, definition: Definition) -> None:
        super().check(definition)
        if definition.model.weights != "none":
            raise UsageError(
                f"{definition.name}: model.weights {definition.model.weights}: this workload has "
                "no model: write none"
            )

    def model_handler(self) -> ModelHandler[Any, Any, Any]:
        from beambench.workloads.noop_handler import NoopModelHandler

        return NoopModelHandler(**self.handler_options())

    def postprocess(self, prediction: Any) -> Label:
        return str(prediction.inference)
