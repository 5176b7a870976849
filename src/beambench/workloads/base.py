"""What a workload is: plain functions and a model handler.

``pipeline/`` turns a workload into a Beam pipeline and the reference loop calls the very same
functions. A workload module imports Beam and model frameworks inside its functions only, so that
its parameters can be checked in a light process before any worker starts.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from beambench.definition.schema import Definition
from beambench.errors import UsageError
from beambench.inputs import files
from beambench.inputs.files import is_address
from beambench.record.observation import NEAR_TIE
from beambench.record.run_record import Choice, ModelRuns

if TYPE_CHECKING:
    from apache_beam.ml.inference.base import ModelHandler

Label = int | str


class Parameters(BaseModel):
    """The `parameters` of a definition that a workload knows; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Weights:
    """Weights: a file or folder of this machine, the gs:// address of a file, or none at all.

    Attributes:
        path: where they are.
        notes: what a reader of the record must know of them; its warnings.
    """

    path: Path | str | None
    notes: tuple[str, ...] = ()

    @classmethod
    def at(cls, path: str | None) -> Weights:
        """Return weights by the text of their path, as a plan holds it."""
        return cls(path if path is None or is_address(path) else Path(path))

    @classmethod
    def given(cls, definition: Definition) -> Weights:
        """Return the file that a definition names.

        Raises:
            UsageError: it is not there.
            RunError: the store that it should be in does not answer.
        """
        address = str(definition.model.path)
        if is_address(address):
            try:
                files.connect(address)
                files.stored(address)
            except OSError as error:
                raise UsageError(f"model.path {address}: {error.strerror}") from None
            return cls(address)
        path = Path(address)
        if not path.is_file():
            raise UsageError(f"model.path {path}: no such file")
        return cls(path.resolve())


class Workload(abc.ABC):
    """The work of a benchmark. Instances travel to Beam workers, so they must pickle.

    Attributes:
        transform: name of the RunInference transform; part of the published labels.
        preprocess_transform: name of the transform that reads and preprocesses, where that is one
            of its own in front of RunInference; None: it is RunInference's preprocess step.
        postprocess_transform: likewise behind it.
        input_types: what the workload reads (`images`, `numbers`, …).
        parameters_type: schema of the definition's `parameters`.
        requirements: distributions that a worker needs besides beambench and apache-beam.
        model_flag: the flag by which Beam's pipeline for this work is told the model; None if the
            work has no model.
        weights_in_folder: `model.path` is a folder, not a file.
        weights_parameters: `parameters` that decide which weights are used.
        precisions: what `model.precision` can be.
        runs_on_torch: the model runs in the worker with torch, on the device and with the threads
            that the definition names.
        has_class_labels: labels are class indices, as a label file has them.
        model_runs: where the model computes: in the worker's processes, in a server that all
            processes of a machine share, or elsewhere, which no price of this machine's has in it.
        float32_option: how a run in float32 is asked for.
        compares_outputs: `evidence` is raw output; else the reference alone has it, to tell which
            labels are near ties.
        near_tie: two greatest values of `evidence` this close may change places with the batch
            size: such elements say nothing about agreement with the reference. 0: labels are
            exact, so that one which differs between two executions fails the run.
    """

    transform: ClassVar[str] = "RunInference"
    preprocess_transform: ClassVar[str | None] = None
    postprocess_transform: ClassVar[str | None] = None
    input_types: ClassVar[tuple[str, ...]] = ()
    parameters_type: ClassVar[type[Parameters]] = Parameters
    requirements: ClassVar[tuple[str, ...]] = ()
    model_flag: ClassVar[str | None] = "pretrained_model_name"
    weights_in_folder: ClassVar[bool] = False
    weights_parameters: ClassVar[tuple[str, ...]] = ()
    precisions: ClassVar[tuple[str, ...]] = ("float32",)
    runs_on_torch: ClassVar[bool] = True
    has_class_labels: ClassVar[bool] = True
    model_runs: ClassVar[ModelRuns] = "in_worker"
    float32_option: ClassVar[str] = "--variant stock"
    near_tie: ClassVar[float] = NEAR_TIE
    compares_outputs: ClassVar[bool] = True

    @classmethod
    def pcollection(cls) -> str:
        """Return the service's name of the PCollection whose throughput Beam's suite publishes."""
        if cls.postprocess_transform is not None:
            return f"{cls.postprocess_transform}.out0"
        return f"{cls.transform}/BeamML_RunInference_Postprocess-0.out0"

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
        if definition.model.precision not in cls.precisions:
            raise UsageError(
                f"{definition.name}: model.precision {definition.model.precision}: "
                f"workload {definition.workload} computes in {' or '.join(cls.precisions)}"
            )
        if not cls.runs_on_torch and definition.model.device == "gpu":
            raise UsageError(f"{definition.name}: model.device gpu: this workload runs on a CPU")
        if not cls.runs_on_torch and definition.threads is not None:
            raise UsageError(
                f"{definition.name}: threads: sets those of torch, which this workload does not "
                "use: leave it out"
            )
        if definition.batching.bucket_boundaries is not None and cls.length is Workload.length:
            raise UsageError(
                f"{definition.name}: batching.bucket_boundaries: "
                f"elements of workload {definition.workload} have no length"
            )

    @classmethod
    def precision_of(cls, definition: Mapping[str, Any]) -> str:
        """Return what the model of a definition, as a record holds it, computes in."""
        return str(definition["model"].get("precision", "float32"))

    @classmethod
    def requirements_of(cls, definition: Definition) -> tuple[str, ...]:
        """Return the distributions that a worker needs for a benchmark."""
        return cls.requirements

    @classmethod
    def fetch_weights(cls, definition: Definition, seed: int, cache: Path) -> Weights:
        """Make the weights ready as a file on this machine: download, find or generate them."""
        return Weights(None)

    @classmethod
    def class_names(cls, definition: Definition) -> Mapping[str, int] | None:
        """Return the class index by the name that a class folder may have, None if there is none.

        Without names, class folders are numbered by their position.
        """
        return None

    @classmethod
    def weights_of_workers(cls, definition: Definition) -> Literal["uploaded", "fetched"]:
        """Return how workers elsewhere get the weights: from a bucket, or each by itself.

        Raises:
            UsageError: they cannot get them.
        """
        return "uploaded"

    @classmethod
    def choices(cls, definition: Definition, weights: Weights, *, here: bool) -> list[Choice]:
        """Decide what the definition leaves open, as `model.precision: auto` does.

        Args:
            definition: that of the run.
            weights: what `fetch_weights` returned.
            here: the model runs on this machine; else on those of the definition's cluster.
        """
        return []

    @classmethod
    def warnings(cls, definition: Definition) -> list[str]:
        """Return what of this work is not as its name says; it stands in the record."""
        return []

    @classmethod
    def classes(cls, definition: Definition) -> int | None:
        """Return how many classes the model has, if that is known before it is loaded.

        Otherwise it is taken from `evidence`, where that is one score for each class.
        """
        return None

    @classmethod
    def input_warnings(
        cls, definition: Definition, elements: Sequence[str] | Sequence[bytes]
    ) -> list[str]:
        """Return what of the user's files this work does not use; it stands in the record.

        Args:
            definition: of the benchmark.
            elements: paths of all: files of this machine, gs:// addresses; some may be missing.
                Of lines of text their content.
        """
        return []

    def set_up(self) -> None:  # noqa: B027 - most workloads have nothing to set up
        """Import and build what the first element would otherwise pay for inside the window.

        Called before the first element is read: in the loop, and wherever a worker unpickles.
        """

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.set_up()

    def checked_device(self) -> Literal["cpu", "gpu"] | None:
        """Return the device that the model must be on once it is loaded; None: any will do.

        A server runs on what it was built for: that is held against a definition for a GPU only.
        """
        asked = self.definition.model.device
        is_here = self.model_runs == "in_worker"
        return asked if is_here or (self.model_runs == "server" and asked == "gpu") else None

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

    def largest_batch(self) -> int | None:
        """Return the largest batch that the loop may try; None: no limit of the workload's own."""
        return None

    def length(self, example: Any) -> int:
        """Return the length of an example, for batching by length."""
        raise NotImplementedError(f"{type(self).__name__} has no length")

    @abc.abstractmethod
    def model_handler(self) -> ModelHandler[Any, Any, Any]:
        """Return Beam's handler for the model, without key, preprocess or postprocess wrappers."""

    def model_handlers(self) -> list[ModelHandler[Any, Any, Any]]:
        """Return a handler for each model. With several, Beam chooses one by an element's key."""
        return [self.model_handler()]

    def model_of(self, element_id: str) -> int:
        """Return the index of the handler in `model_handlers` that an element goes to."""
        return 0

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
