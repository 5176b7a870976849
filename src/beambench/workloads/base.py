"""What a workload is: plain functions and a model handler.

``pipeline.py`` turns a workload into a Beam pipeline and the reference loop calls the very same
functions. A workload module imports Beam and model frameworks inside its functions only, so that
its parameters can be checked in a light process before any worker starts.
"""

from __future__ import annotations

import abc
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from beambench.definition.library import describe
from beambench.definition.schema import Definition
from beambench.errors import UsageError, nearest
from beambench.record.observation import NEAR_TIE

if TYPE_CHECKING:
    from apache_beam.ml.inference.base import ModelHandler

BUILT_IN = {
    "image_classification": "beambench.workloads.image_classification:ImageClassification",
    "text_generation": "beambench.workloads.text_generation:TextGeneration",
    "overhead": "beambench.workloads.overhead:Overhead",
}

Label = int | str


class Parameters(BaseModel):
    """The `parameters` of a definition that a workload knows; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Weights:
    """Weights on this machine: a file or folder, or none for a workload that has no weights."""

    path: Path | None


class Workload(abc.ABC):
    """The work of a benchmark. Instances travel to Beam workers, so they must pickle.

    Attributes:
        transform: name of the RunInference transform; part of the published labels.
        input_types: what the workload reads (`images`, `numbers`, …).
        parameters_type: schema of the definition's `parameters`.
        weights_in_folder: `model.path` is a folder, not a file.
        near_tie: two greatest values of `evidence` this close may change places with the batch
            size: such elements say nothing about agreement with the reference.
    """

    transform: ClassVar[str] = "RunInference"
    input_types: ClassVar[tuple[str, ...]] = ()
    parameters_type: ClassVar[type[Parameters]] = Parameters
    weights_in_folder: ClassVar[bool] = False
    near_tie: ClassVar[float] = NEAR_TIE

    def __init__(self, definition: Definition, weights: Weights) -> None:
        self.definition = definition
        self.weights = weights
        self.parameters: Any = self.parameters_type.model_validate(definition.parameters)

    @classmethod
    def check(cls, definition: Definition) -> None:
        """Check what only this workload can, without a framework.

        Raises:
            UsageError: the definition asks for what this workload does not have.
        """
        if definition.input.type not in cls.input_types:
            raise UsageError(
                f"{definition.name}: input.type {definition.input.type!r}: "
                f"workload {definition.workload} reads {' or '.join(cls.input_types)}"
            )

    @classmethod
    def fetch_weights(cls, definition: Definition, seed: int, cache: Path) -> Weights:
        """Make the weights ready as a file on this machine: download, find or generate them."""
        return Weights(None)

    def set_up(self) -> None:  # noqa: B027 - most workloads have nothing to set up
        """Import and build what the first element would otherwise pay for inside the window.

        Called before the first element is read: in the loop, and wherever a worker unpickles.
        """

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.set_up()

    def handler_options(self) -> dict[str, Any]:
        """Return the arguments that the definition sets for any of Beam's model handlers."""
        batching, model = self.definition.batching, self.definition.model
        options: dict[str, Any] = {
            "min_batch_size": batching.min_batch_size,
            "max_batch_size": batching.max_batch_size,
            "max_batch_duration_secs": batching.max_batch_duration_secs,
            "large_model": model.large or None,
            "model_copies": model.copies,
        }
        if batching.bucket_boundaries is not None:
            options["batch_length_fn"] = self._length_of_keyed
            options["batch_bucket_boundaries"] = batching.bucket_boundaries
        return {name: value for name, value in options.items() if value is not None}

    def _length_of_keyed(self, keyed: tuple[str, Any]) -> int:
        return self.length(keyed[1])

    def length(self, example: Any) -> int:
        """Return the length of an example, for batching by length."""
        raise NotImplementedError(f"{type(self).__name__} has no length")

    @abc.abstractmethod
    def model_handler(self) -> ModelHandler[Any, Any, Any]:
        """Return Beam's handler for the model, without key, preprocess or postprocess wrappers."""

    def inference_args(self) -> dict[str, Any] | None:
        """Return what every call of the handler's `run_inference` gets beside the batch."""
        return None

    def reference_args(self) -> dict[str, Any] | None:
        """Return the same for the reference sample, which is not timed and may ask for more."""
        return self.inference_args()

    def read(self, source: Any) -> Any:
        """Read one element's raw content. `bytes` are counted for the throughput in B/s.

        Args:
            source: path of an image, a number as text, or the bytes of a line of text.
        """
        return source

    def preprocess(self, raw: Any) -> Any:
        """Turn raw content into one example of the model."""
        return raw

    @abc.abstractmethod
    def postprocess(self, prediction: Any) -> Label:
        """Turn one prediction of the handler into a label."""

    def evidence(self, prediction: Any) -> Sequence[float] | None:
        """Return the raw output that the label was taken from, to compare beyond labels."""
        return None

    def quantities(self, prediction: Any) -> Mapping[str, int]:
        """Return what else to count of an element that came out (tokens), for its metrics."""
        return {}


def load_class(workload: str) -> type[Workload]:
    """Return the class of a built-in workload or of ``module:Class``.

    Raises:
        UsageError: no such workload, module or class, or it is no `Workload`.
    """
    target = BUILT_IN.get(workload, workload)
    module_name, colon, class_name = target.partition(":")
    if not colon:
        raise UsageError(
            f"no workload {workload!r}{nearest(workload, list(BUILT_IN))}: "
            f"there is {', '.join(BUILT_IN)}, or module:Class of your own"
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"workload {workload!r}: no module {error.name!r}: is its folder on PYTHONPATH?"
        ) from None
    except Exception as error:  # whatever a user's own module does wrong
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(f"workload {workload!r}: cannot be imported: {text[:300]}") from error
    loaded = getattr(module, class_name, None)
    if loaded is None:
        raise UsageError(f"workload {workload!r}: {module_name} has no {class_name!r}")
    if not (isinstance(loaded, type) and issubclass(loaded, Workload)):
        raise UsageError(f"workload {workload!r}: not a subclass of beambench's Workload")
    lacking = sorted(loaded.__abstractmethods__)
    if lacking:
        raise UsageError(f"workload {workload!r}: does not define {', '.join(lacking)}")
    return loaded


def check_workload(definition: Definition) -> None:
    """Check a definition against its workload: parameters, input type, model.

    Raises:
        UsageError: what the workload does not know, named.
    """
    cls = load_class(definition.workload)
    try:
        cls.parameters_type.model_validate(definition.parameters)
    except ValidationError as error:
        text = describe(error, cls.parameters_type)
        raise UsageError(f"{definition.name}: parameters: {text}") from None
    cls.check(definition)
