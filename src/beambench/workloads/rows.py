"""Rows of numbers, classified with scikit-learn or ONNX Runtime."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import math
import os
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from pydantic import Field

from beambench.definition.schema import Definition
from beambench.errors import RunError, UsageError
from beambench.inputs import files
from beambench.workloads import onnx_outputs
from beambench.workloads.base import Label, Parameters, Weights, Workload

if TYPE_CHECKING:
    from apache_beam.ml.inference.base import ModelHandler

DIGITS = "digits"
PROVIDERS = ["CPUExecutionProvider"]
HIDDEN = 64
TRAINING_STEPS = 60


class RowParameters(Parameters):
    """`columns`: numbers that every row must have."""

    columns: int = Field(64, ge=1)


class SklearnParameters(RowParameters):
    """`example`: what the handler gets a row as; `models`: how many Beam chooses among by key."""

    example: Literal["numpy", "pandas"] = "numpy"
    models: int = Field(1, ge=1, le=100)


class OnnxParameters(RowParameters):
    """`output`: the output of the model that holds the class, where its name leaves that open."""

    output: str | None = None


class Rows(Workload):
    """Reads rows of numbers with commas between them. What both handlers share."""

    runs_on_torch: ClassVar[bool] = False
    input_types: ClassVar[tuple[str, ...]] = ("rows",)
    parameters_type: ClassVar[type[Parameters]] = RowParameters

    @classmethod
    def check(cls, definition: Definition) -> None:
        super().check(definition)
        model = definition.model
        if model.weights not in ("trained", "file"):
            raise UsageError(
                f"{definition.name}: model.weights {model.weights}: this workload has `trained` "
                "(on scikit-learn's digits) and `file`"
            )
        if model.weights == "trained" and model.name != DIGITS:
            raise UsageError(
                f"{definition.name}: model.name {model.name!r}: only {DIGITS!r} can be trained "
                "here: use model.weights=file and model.path"
            )

    def preprocess(self, raw: bytes) -> Any:
        """Return the row as float32, shape (columns,)."""
        import numpy

        return numpy.array(numbers(raw, self.parameters.columns), dtype=numpy.float32)


def numbers(raw: bytes, columns: int) -> list[float]:
    """Parse a row.

    Raises:
        ValueError: a field is no finite number, or there are too many or too few.
    """
    fields = raw.split(b",")
    try:
        values = [float(field) for field in fields]
    except ValueError:
        raise ValueError(_not_a_number(fields)) from None
    if len(values) == 1 != columns:
        raise ValueError(
            f"the row has 1 number, not {columns}: put commas between the numbers (of a .tsv the"
            " first column is read)"
        )
    if len(values) != columns:
        raise ValueError(f"the row has {len(values)} numbers, not {columns}")
    if not all(map(math.isfinite, values)):
        raise ValueError("the row holds a number that is not finite")
    return values


def _not_a_number(fields: list[bytes]) -> str:
    for number, field in enumerate(fields, 1):
        try:
            float(field)
        except ValueError:
            text = field.decode(errors="backslashreplace")
            return f"column {number} holds {text[:40]!r}: expected numbers with commas between"
    raise AssertionError("all fields are numbers")


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
        _require("scikit-learn", "pandas", extra="sklearn")  # Beam's handler imports pandas too
        if definition.model.weights == "file":
            return Weights.given(definition)
        models = SklearnParameters.model_validate(definition.parameters).models
        paths = [trained_digits(seed + number, cache) for number in range(models)]
        first = paths[0]
        for number, path in enumerate(paths[1:], 1):
            further = _further(first, number)
            if not further.is_file():
                _write(further, path.read_bytes)
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
        found = prediction.inference
        if type(found) in (int, str):  # of an array of objects
            return cast("Label", found)
        if found.size != 1 or found.dtype.kind == "f":
            raise TypeError(
                f"predict gave {found.size} × {found.dtype} for a row: this workload classifies, "
                "and a class is an integer or a text"
            )
        label: Label = found.item()
        return label


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
        _require("onnxruntime", "onnx", extra="onnx")
        if definition.model.weights == "file":
            weights = Weights.given(definition)
        else:
            _require("skl2onnx", extra="onnx")
            _require("scikit-learn", extra="sklearn")
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


def trained_digits(seed: int, cache: Path) -> Path:
    """Return a pickled network trained on scikit-learn's digits, made once for seed and version.

    One hidden layer of 64: 64 grey values (0 to 16) to the digit 0 to 9.
    """
    import sklearn

    path = cache / f"digits-seed{seed}-sklearn{_version_tag(sklearn.__version__)}.pickle"
    return path if path.is_file() else _write(path, lambda: pickle.dumps(_train(seed)))


def _train(seed: int) -> Any:
    import warnings

    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    rows, digits = load_digits(return_X_y=True)
    network = MLPClassifier((HIDDEN,), max_iter=TRAINING_STEPS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is good enough before
        return network.fit(rows.astype("float32"), digits)


def converted_digits(trained: Path) -> Path:
    """Return the trained network as an ONNX file beside its pickle, with the scores as output."""
    versions = " ".join(importlib.metadata.version(name) for name in ("skl2onnx", "onnx"))
    path = trained.with_suffix(f".{_version_tag(versions)}.onnx")
    return path if path.is_file() else _write(path, lambda: _convert(trained))


def _convert(trained: Path) -> bytes:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs

    network = pickle.loads(trained.read_bytes())  # noqa: S301 - made by us a moment ago
    whole = convert_sklearn(
        network,
        initial_types=[("row", FloatTensorType([None, network.n_features_in_]))],
        options={"zipmap": False},
    )
    return bytes(select_model_inputs_outputs(whole, ["probabilities"]).SerializeToString())


def _version_tag(versions: str) -> str:
    return hashlib.sha256(versions.encode()).hexdigest()[:8]


def _further(first: Path, number: int) -> Path:
    """Return where the model that is trained from the seed + number lies."""
    return first.with_suffix(f".{number}.pickle")


def _write(path: Path, make: Callable[[], bytes]) -> Path:
    """Write a file whole or not at all, so that all repeats load the same."""
    content = make()
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise RunError(
            f"{path.parent}: cannot write weights there: {error.strerror or error}"
        ) from None
    finally:
        with contextlib.suppress(OSError):  # the folder itself may not be there
            partial.unlink()
    return path


def _require(*distributions: str, extra: str) -> None:
    modules = {"scikit-learn": "sklearn"}
    missing = [
        name for name in distributions if importlib.util.find_spec(modules.get(name, name)) is None
    ]
    if missing:
        raise UsageError(f"{', '.join(missing)} missing: pip install 'beambench[{extra}]'")
