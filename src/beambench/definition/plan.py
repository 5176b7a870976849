"""The plan: all that a worker is told, as JSON. A worker reads nothing else."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter

from beambench.definition.publish import recorded
from beambench.definition.schema import Definition
from beambench.definition.section import Section
from beambench.errors import UsageError
from beambench.record.run_record import Choice, RunRecord

SAMPLE_SIZE = 32
"""Elements at most whose labels are compared with the reference loop in every run."""

Task = Literal[
    "prepare", "pipeline", "loop", "calibrate", "reference", "template", "submit", "collect"
]
"""`template` writes what a service would be given, `submit` gives it, `collect` reads back."""


def with_choices(definition: Definition, choices: Sequence[Choice]) -> Definition:
    """Return a definition in which what `model.precision: auto` leaves open is decided.

    One that leaves nothing open (`stock`, for comparison with a variant) is returned as it is.
    """
    if definition.model.precision != "auto":
        return definition
    document = {**definition.model_dump(), "publish": definition.publish}
    return Definition.model_validate(_applied(document, choices))


def decided_definition(record: RunRecord) -> dict[str, Any]:
    """Return the definition that a run had, with what it left open decided.

    Raises:
        UsageError: the record, which may be imported, decides what its definition does not have.
    """
    try:
        return _applied(copy.deepcopy(record.config["definition"]), record.choices)
    except (KeyError, TypeError):
        settings = ", ".join(choice.setting for choice in record.choices)
        raise UsageError(f"run {record.run_id}: its definition has no {settings:.160}") from None


def _applied(document: dict[str, Any], choices: Sequence[Choice]) -> dict[str, Any]:
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
    """

    root: str | None
    ids_file: str
    count: int
    sample: list[str]
    weights_path: str | None = None
    choices: list[Choice] = Field(default_factory=list)


class WorkerPlan(Section):
    """What every worker is told, whatever its task.

    Attributes:
        epoch_ns: start of the plan on the wall clock; all measured times are offsets from it.
        slot_us: width of a time slot in microseconds.
    """

    seed: int
    work_dir: str
    project_dir: str
    epoch_ns: int
    slot_us: int


def _recorded(definition: Any) -> Any:
    """Return the content of a definition that was valid where the plan was made."""
    if not isinstance(definition, dict) or "publish" not in definition:
        return definition
    return {**definition, "publish": recorded(definition["publish"])}


class Plan(WorkerPlan):
    """One task of a benchmark for one worker.

    Attributes:
        batch_sizes: for `loop`: sizes to replay; one size means batches of that size throughout.
        output: where predictions are written as part of the pipeline (a path, gs:// or bq:).
        overwrite: for `prepare`: what is there already may be replaced.
        folder: for a service: the gs:// folder of this job, with all that it reads and writes.
        job_name: for a service: what the job is called there.
        template_path: for `template`: where it is written.
        job_metrics: for `collect`: file with the job and its metrics, as the service gave them.
        kept: for `submit`: goes into the job's folder as it is; all that another process needs to
            take the run up and make its record.
    """

    task: Task
    definition: Annotated[Definition, BeforeValidator(_recorded)]
    runner: str
    beam_flags: list[str] = Field(default_factory=list)
    source: str
    limit: int | None
    labels: str | None = None
    cache_dir: str
    preparation: Preparation | None = None
    batch_sizes: list[int] = Field(default_factory=list)
    output: str | None = None
    overwrite: bool = False
    folder: str | None = None
    job_name: str | None = None
    template_path: str | None = None
    job_metrics: str | None = None
    kept: dict[str, Any] = Field(default_factory=dict)

    def decided_definition(self) -> Definition:
        """Return the definition with what it leaves open decided."""
        return with_choices(self.definition, self.prepared().choices)

    def prepared(self) -> Preparation:
        """Return the preparation, which every task but `prepare` needs."""
        if self.preparation is None:
            raise ValueError(f"task {self.task} needs a preparation")
        return self.preparation


class ExternalPlan(WorkerPlan):
    """One execution of a pipeline that exists already.

    Attributes:
        pipeline: ``module:function`` that builds the pipeline.
        argv: all that the function gets as its `argv`: its own flags and Beam's.
    """

    task: Literal["external"] = "external"
    pipeline: str
    argv: list[str]


AnyPlan = Plan | ExternalPlan
PLANS: TypeAdapter[AnyPlan] = TypeAdapter(Annotated[AnyPlan, Field(discriminator="task")])
"""Reads a plan of either kind."""
