"""What workers of this machine are told of a job on Dataflow."""

from __future__ import annotations

from typing import Any, Literal

from beambench.definition.plan import PreparedPlan
from beambench.definition.section import Section
from beambench.record.observation import Observation
from beambench.record.run_record import RunRecord

JOB_FILE = "job.json"
"""File in the folder of a job that says what it is."""


class Origin(Section):
    """All that another process needs to follow a job and to make the record of its run.

    Attributes:
        record: the run as far as it is known when the job is submitted.
        rounded: the model computes in less than float32.
        reference: the sample through the bare loop; None if it was not run.
        stock: the same as `stock` runs it.
        pcollection: whose throughput Beam's suite would publish.
        has_accelerator: the workers have GPUs.
    """

    record: RunRecord
    rounded: bool
    reference: Observation | None
    stock: Observation | None
    pcollection: str
    has_accelerator: bool


class JobPlan(PreparedPlan):
    """A task for a job.

    Attributes:
        folder: gs:// folder of the job, with all that it reads and writes.
        job_name: what it is called there.
        variant: for its labels, as `profile`.
    """

    folder: str
    job_name: str
    variant: str
    profile: str


class TemplatePlan(JobPlan):
    """Write what the service would be given.

    Attributes:
        template_path: where it is written.
    """

    task: Literal["template"] = "template"
    function: str = "beambench.runners.dataflow.beam.tasks:write_template"
    template_path: str


class SubmitPlan(JobPlan):
    """Submit the job, and leave in its folder what it is."""

    task: Literal["submit"] = "submit"
    function: str = "beambench.runners.dataflow.beam.tasks:submit"
    origin: Origin


class CollectPlan(JobPlan):
    """Read back a job that is done.

    Attributes:
        job_metrics: file with the job and its metrics, as the service gave them.
    """

    task: Literal["collect"] = "collect"
    function: str = "beambench.runners.dataflow.beam.collect:collect"
    job_metrics: str


def fields_of(plan: PreparedPlan) -> dict[str, Any]:
    """Return what a plan says of its benchmark and, if it is of a job, of that, for another plan.

    What is done with it is not among it: a plan may have come from a bucket.
    """
    kind = JobPlan if isinstance(plan, JobPlan) else PreparedPlan
    names = kind.model_fields.keys() - {"task", "function"}
    return {name: getattr(plan, name) for name in names}
