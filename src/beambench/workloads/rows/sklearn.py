"""Rows of numbers, classified with scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from pydantic import Field

from beambench.definition.schema import Definition
from beambench.errors import UsageError
from beambench.workloads.base import Label, Parameters, Weights
from beambench.workloads.rows.base import RowParameters, Rows, require
from beambench.workloads.rows.digits import trained_digits, write

if TYPE_CHECKING:
    from apache_beam.ml.inference.base import ModelHandler


class SklearnParameters(RowParameters):
    """`example`: what the handler gets a row as; `models`: how many Beam chooses among by key."""

    example: Literal["numpy", "pandas"] = "numpy"
    models: int = Field(1, ge=1, le=100)


class SklearnRows(Rows):
    """A pickled estimator whose `predict` gives a class, an integer or a text."""

    requirements: ClassVar[tuple[str, ...]] = ("scikit-learn", "pandas")
    weights_parameters: ClassVar[tuple[str, ...]] = ("models",)
    parameters_type: ClassVar[type[Parameters]] = SklearnParameters

    @classmethod
    def check(cls, definition: Definition) -> None:
        super().check(definition)
        chosen = SklearnParameters.model_validate(definition.parameters)
        if chosen.models == 1:
            return
        if definition.model.weights == "file":
            raise UsageError(f"{definition.name}: parameters.models: goes with weights: trained")
        if definition.model.copies is not None:
            raise UsageError(f"{definition.name}: model.copies: Beam has none with models per key")
        if definition.batching.model_dump(exclude_none=True):
            raise UsageError(
                f"{definition.name}: batching: Beam ignores it with models per key: leave it out"
            )

    @classmethod
    def fetch_weights(cls, definition: Definition, seed: int, cache: Path) -> Weights:
        """Return the pickle: given, or trained from the seed. Further models lie beside it."""
        require("scikit-learn", "pandas", extra="sklearn")  # Beam's handler imports pandas too
        if definition.model.weights == "file":
            return Weights.given(definition)
        models = SklearnParameters.model_validate(definition.parameters).models
        paths = [trained_digits(seed + number, cache) for number in range(models)]
        first = paths[0]
        for number, path in enumerate(paths[1:], 1):
            further = _further(first, number)
            if not further.is_file():
                write(further, path.read_bytes)
        return Weights(first)

    def set_up(self) -> None:
        if self.parameters.example == "pandas":
            import pandas  # noqa: F401

    def preprocess(self, raw: bytes) -> Any:
        """Return the row: float32 of shape (columns,), or a data frame of one row."""
        row = super().preprocess(raw)
        if self.parameters.example == "numpy":
            return row
        import pandas

        return pandas.DataFrame(row[None])

    def model_handler(self) -> ModelHandler[Any, Any, Any]:
        return self._handler(0)

    @classmethod
    def weights_of_workers(cls, definition: Definition) -> Literal["uploaded", "fetched"]:
        if SklearnParameters.model_validate(definition.parameters).models > 1:
            raise UsageError("parameters.models: workers get one model from a bucket: use 1")
        return "uploaded"

    def model_handlers(self) -> list[ModelHandler[Any, Any, Any]]:
        return [self._handler(number) for number in range(self.parameters.models)]

    def _handler(self, number: int) -> ModelHandler[Any, Any, Any]:
        from apache_beam.ml.inference import sklearn_inference

        handlers = {
            "numpy": sklearn_inference.SklearnModelHandlerNumpy,
            "pandas": sklearn_inference.SklearnModelHandlerPandas,
        }
        path = self.weights.path
        if number:
            assert isinstance(path, Path), "several models are trained here"
            path = _further(path, number)
        return handlers[self.parameters.example](model_uri=str(path), **self.handler_options())

    def model_of(self, element_id: str) -> int:
        return int(element_id) % int(self.parameters.models)

    def postprocess(self, prediction: Any) -> Label:
        """Return the class.

        Raises:
            TypeError: `predict` gave a number or several, as that of a regression does.
        """
        output = prediction.inference
        if type(output) in (int, str):  # of an array of objects
            return cast("Label", output)
        if output.size != 1 or output.dtype.kind == "f":
            raise TypeError(
                f"predict gave {output.size} × {output.dtype} for a row: this workload classifies, "
                "and a class is an integer or a text"
            )
        label: Label = output.item()
        return label


def _further(first: Path, number: int) -> Path:
    """Return where the model that is trained from the seed + number lies."""
    return first.with_suffix(f".{number}.pickle")
