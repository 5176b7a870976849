"""Rows of numbers, classified with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from beambench.definition.schema import Definition
from beambench.errors import UsageError
from beambench.inputs import files
from beambench.workloads.base import Label, Parameters, Weights
from beambench.workloads.rows import onnx_outputs
from beambench.workloads.rows.base import RowParameters, Rows, require
from beambench.workloads.rows.digits import converted_digits, trained_digits

if TYPE_CHECKING:
    from apache_beam.ml.inference.base import ModelHandler

PROVIDERS = ["CPUExecutionProvider"]


class OnnxParameters(RowParameters):
    """`output`: the output of the model that holds the class, where its name leaves that open."""

    output: str | None = None


class OnnxRows(Rows):
    """An ONNX model that has an output with the class of a row, or with one score a class."""

    requirements: ClassVar[tuple[str, ...]] = ("onnxruntime", "skl2onnx", "scikit-learn")
    parameters_type: ClassVar[type[Parameters]] = OnnxParameters

    @classmethod
    def fetch_weights(cls, definition: Definition, seed: int, cache: Path) -> Weights:
        """Return the ONNX file: given, or converted from the trained scikit-learn model.

        Raises:
            UsageError: it is no ONNX model, or none of its outputs holds a class.
        """
        require("onnxruntime", "onnx", extra="onnx")
        if definition.model.weights == "file":
            weights = Weights.given(definition)
        else:
            require("skl2onnx", extra="onnx")
            require("scikit-learn", extra="sklearn")
            weights = Weights(converted_digits(trained_digits(seed, cache)))
        parameters = OnnxParameters.model_validate(definition.parameters)
        return Weights(weights.path, _notes_of(str(weights.path), parameters))

    def model_handler(self) -> ModelHandler[Any, Any, Any]:
        from apache_beam.ml.inference.onnx_inference import OnnxModelHandlerNumpy

        return OnnxModelHandlerNumpy(
            model_uri=str(self.weights.path),
            providers=PROVIDERS,
            inference_fn=onnx_outputs.ChosenOutputs(self.parameters.output),
            **self.handler_options(),
        )

    def postprocess(self, prediction: Any) -> Label:
        return onnx_outputs.class_of(prediction.inference)

    def evidence(self, prediction: Any) -> Sequence[float] | None:
        return onnx_outputs.scores_of(prediction.inference)


def _notes_of(address: str, parameters: OnnxParameters) -> tuple[str, ...]:
    """Say which outputs of a model are used, if it has several, and if it has more files.

    Raises:
        UsageError: it cannot be loaded, takes no such rows, or no output holds a class.
    """
    import onnxruntime

    try:
        content = files.read_bytes(address) if files.is_address(address) else address
        session = onnxruntime.InferenceSession(content, providers=PROVIDERS)
    except Exception as error:  # ONNX Runtime has a class of its own for each kind of failure
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(
            f"model.path {address}: ONNX Runtime cannot load it: {text[:300]}"
        ) from None
    outputs = onnx_outputs.ModelOutput.all_of(session)
    try:
        inputs = onnx_outputs.ModelOutput.described(session.get_inputs())
        onnx_outputs.check_inputs(inputs, parameters.columns)
        chosen = onnx_outputs.choose(outputs, parameters.output)
    except UsageError as error:
        raise UsageError(f"model.path {address}: {error}") from None
    notes = _files_beside(address)
    if len(outputs) > 1:
        notes.append(f"{Path(address).name} has {len(outputs)} outputs: {chosen}")
    return tuple(notes)


def _files_beside(address: str) -> list[str]:
    """Say that a model keeps weights in other files, which its digest and size are without."""
    if files.is_address(address):  # read as bytes, it could not have been loaded
        return []
    import onnx

    graph = onnx.load(address, load_external_data=False).graph
    stored = {
        entry.value
        for tensor in graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    if not stored:
        return []
    names = ", ".join(sorted(stored)[:3])
    return [
        f"{Path(address).name} keeps weights in {names}: the record's digest and size of the model "
        "are without them"
    ]
