"""The plan: all that a worker is told, as JSON. A worker reads nothing else."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from beambench.definition.publish import recorded
from beambench.definition.schema import Definition
from beambench.definition.section import Section
from beambench.errors import UsageError
from beambench.record.configuration import read_configuration
from beambench.record.run_record import Choice, ClassFolders, RunRecord

SAMPLE_SIZE = 32
"""Elements at most whose labels and outputs are compared with the reference loop in every run."""

FURTHER_SIZE = 480
"""Further ones at most, whose labels are compared where that costs little of the run."""


def with_choices(definition: Definition, choices: Sequence[Choice]) -> Definition:
    """Return a definition in which what `model.precision: auto` leaves open is decided.

    One that leaves nothing open (`stock`, for comparison with a variant) is returned as it is.
    """
    if definition.model.precision != "auto":
        return definition
    document = {**definition.model_dump(), "publish": definition.publish}
    return Definition.model_validate(decided(document, choices))


def decided_definition(record: RunRecord) -> dict[str, Any]:
    """Return the definition that a run had, with what it left open decided; not to be changed.

    Raises:
        UsageError: the record, which may be imported, decides what its definition does not have.
    """
    definition = read_configuration(record.config).definition
    if definition is None:
        raise UsageError(f"run {record.run_id}: it has no definition of a benchmark")
    if not record.choices:
        return definition
    try:
        return decided(copy.deepcopy(definition), record.choices)
    except (KeyError, TypeError):
        settings = ", ".join(choice.setting for choice in record.choices)
        raise UsageError(f"run {record.run_id}: its definition has no {settings:.160}") from None


def decided(document: dict[str, Any], choices: Sequence[Choice]) -> dict[str, Any]:
    """Decide in the document of a definition, which is changed, what it leaves open; return it."""
    for choice in choices:
        *path, last = choice.setting.split(".")
        section = document
        for key in path:
            section = section[key]
        section[last] = choice.value
    return document


class Preparation(Section):
    """What the first worker of a run made ready for the others.

    Attributes:
        choices: what the settings that the definition leaves open came to; equal in all repeats.
        root: folder joined in front of each id; empty if ids are complete paths; None if the
            content of each element follows its id.
        ids_file: text file with one element a line (`inputs.elements`).
        sample: ids of the elements whose labels are compared with the reference loop.
        further_sample: ids of further ones, in the order in which the reference takes them as long
            as that costs little; labels alone are compared.
        class_folders: the class of each class folder, where `labels` says folders.
    """

    root: str | None
    ids_file: str
    count: int
    sample: list[str]
    further_sample: list[str] = Field(default_factory=list)
    weights_path: str | None = None
    choices: list[Choice] = Field(default_factory=list)
    class_folders: ClassFolders | None = None


class WorkerPlan(Section):
    """What every worker is told, whatever its task.

    Attributes:
        task: what the task is called.
        function: ``module:function`` that carries the plan out, and returns the observation.
        project_dir: folder in which the run was started.
        epoch_ns: start of the plan on the wall clock; all measured times are offsets from it.
        slot_us: width of a time slot in microseconds.
    """

    task: str
    function: str
    seed: int
    work_dir: str
    cache_dir: str
    project_dir: str
    epoch_ns: int
    slot_us: int


def _recorded(definition: Any) -> Any:
    """Return the content of a definition that was valid where the plan was made."""
    if not isinstance(definition, dict) or "publish" not in definition:
        return definition
    return {**definition, "publish": recorded(definition["publish"])}


class BenchmarkPlan(WorkerPlan):
    """A task of a benchmark.

    Attributes:
        limit: elements at most.
        labels: file of the true labels, or `folders`.
        output: where predictions are written as part of the pipeline (a path, gs:// or bq:).
        runs_here: the model runs on this machine, so that what its CPU can do matters.
    """

    definition: Annotated[Definition, BeforeValidator(_recorded)]
    beam_flags: list[str] = Field(default_factory=list)
    source: str
    limit: int | None
    labels: str | None = None
    output: str | None = None
    runs_here: bool = True


class PreparePlan(BenchmarkPlan):
    """Make input and weights ready, choose the sample, and describe the environment.

    Attributes:
        overwrite: what is at `output` already may be replaced.
    """

    task: Literal["prepare"] = "prepare"
    function: str = "beambench.worker.tasks:prepare"
    overwrite: bool = False


class PreparedPlan(BenchmarkPlan):
    """A task that needs a preparation."""

    preparation: Preparation

    def decided_definition(self) -> Definition:
        """Return the definition with what it leaves open decided."""
        return with_choices(self.definition, self.preparation.choices)


class ReferencePlan(PreparedPlan):
    """Run the sample through the loop, one element at a time.

    Attributes:
        repeats: of the pipeline, which the time of further elements is a share of; 0: none.
    """

    task: Literal["reference"] = "reference"
    repeats: int = 0
    function: str = "beambench.worker.tasks:run_reference"


class CalibratePlan(PreparedPlan):
    """Find the batch size at which the loop is fastest."""

    task: Literal["calibrate"] = "calibrate"
    function: str = "beambench.worker.tasks:calibrate"


class LoopPlan(PreparedPlan):
    """Run the loop once.

    Attributes:
        batch_sizes: to replay; one size means batches of that size throughout.
    """

    task: Literal["loop"] = "loop"
    function: str = "beambench.worker.tasks:run_loop"
    batch_sizes: list[int]


class PipelinePlan(PreparedPlan):
    """Run the pipeline once.

    Attributes:
        pipeline_function: ``module:function`` of (workload, plan, outputs) that runs the pipeline
            to its end and returns a `workloads.pipeline.outputs.FinishedPipeline`.
        folder: where the pipeline leaves proof and predictions, a path or an address that its
            workers can write; None: `work_dir`.
    """

    task: Literal["pipeline"] = "pipeline"
    function: str = "beambench.worker.tasks:run_pipeline"
    pipeline_function: str
    folder: str | None = None


class ExistingPlan(WorkerPlan):
    """Execute a pipeline that exists already once.

    Attributes:
        pipeline: ``module:function`` that builds the pipeline.
        argv: all that the function gets as its `argv`: its own flags and Beam's.
    """

    task: Literal["existing"] = "existing"
    pipeline: str
    argv: list[str]
