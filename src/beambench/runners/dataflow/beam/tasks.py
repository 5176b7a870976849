"""Tasks of a worker for Dataflow: write a job's template, or submit the job."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from beambench.credentials.masking import masked
from beambench.definition.plan import Preparation
from beambench.inputs import files
from beambench.instrumentation.versions import versions
from beambench.record.observation import Observation
from beambench.runners.dataflow.beam import submission
from beambench.runners.dataflow.flags import JobSettings, job_settings
from beambench.runners.dataflow.packaging import staged_requirements, wheels_of
from beambench.runners.dataflow.plans import JOB_FILE, JobPlan, SubmitPlan, TemplatePlan
from beambench.runners.dataflow.runner import DATAFLOW
from beambench.workloads.base import Weights, Workload
from beambench.workloads.output import Target
from beambench.workloads.pipeline import sinks
from beambench.workloads.registry import load_class, shipped

IDS_FILE = "ids.txt"
WEIGHTS = "weights"


def write_template(plan: TemplatePlan) -> Observation:
    """Write the template of a job as it would be submitted; nothing is asked of the service."""
    settings = job_settings(plan.definition, plan.beam_flags)
    submission.check_cloud(credentials=files.is_address(plan.template_path))
    options = _options(plan, settings)
    template = submission.write_template(_workload(plan), plan, options)
    shown = {"executed": None, "implementation": DATAFLOW.beam_name}
    return Observation(
        task=plan.task, runner={**shown, "options": masked(settings.flags), **template}
    )


def submit(plan: SubmitPlan) -> Observation:
    """Upload ids and weights, leave beside them what the job is, and submit it.

    Raises:
        RunError: a bucket cannot be written, or the service refuses the job.
    """
    settings = job_settings(plan.definition, plan.beam_flags)
    submission.check_cloud(credentials=True)
    folder = plan.folder
    with submission.refusals(f"no files for Dataflow in {folder}"):
        files.connect(folder)
        if plan.output is not None:
            sinks.clear(Target.of(plan.output))
        placed = plan.model_copy(update={"preparation": _uploaded(plan, settings)})
        runner = {
            "executed": DATAFLOW.name,
            "implementation": DATAFLOW.beam_name,
            "job_name": plan.job_name,
            "project": settings.project,
            "region": settings.region,
            "options": masked(settings.flags),
        }
        shown_plan = placed.model_copy(update={"beam_flags": masked(plan.beam_flags)})
        document = {
            "beambench": versions()["beambench"],
            "plan": shown_plan.model_dump(mode="json"),
            "runner": runner,
        }
        submission.write(files.joined(folder, JOB_FILE), json.dumps(document, indent=1).encode())
    submitted = submission.submit(_workload(placed), placed, _options(plan, settings))
    return Observation(task=plan.task, runner={**runner, **submitted})


def _workload(plan: JobPlan) -> Workload:
    """Make the workload of a job: no model is loaded here, and no store asked for its weights."""
    definition = plan.decided_definition()
    return load_class(definition.workload)(definition, Weights.at(plan.preparation.weights_path))


def _options(plan: JobPlan, settings: JobSettings) -> Any:
    """Return what Beam is told; the packages of the workers lie in the scratch folder."""
    definition, folder = plan.definition, Path(plan.work_dir)
    wheels = wheels_of(*shipped(definition.workload), folder)
    needed = load_class(definition.workload).requirements_of(definition)
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(f"{line}\n" for line in staged_requirements(needed)), "utf-8")
    return submission.options_of(plan, settings, wheels, requirements)


def _uploaded(plan: JobPlan, settings: JobSettings) -> Preparation:
    """Upload what the preparation made; return it with the addresses that workers read."""
    prepared = plan.preparation
    ids = files.joined(plan.folder, IDS_FILE)
    submission.upload(Path(prepared.ids_file), ids)
    return prepared.model_copy(
        update={"ids_file": ids, "weights_path": _weights(plan, settings, prepared.weights_path)}
    )


def _weights(plan: JobPlan, settings: JobSettings, path: str | None) -> str | None:
    """Return where workers read the weights: uploaded once, whatever number of jobs uses them."""
    if path is None or files.is_address(path):
        return path
    if load_class(plan.definition.workload).weights_of_workers(plan.definition) == "fetched":
        return None
    digest = hashlib.sha256()
    for chunk in files.chunks(path):
        digest.update(chunk)
    target = f"{settings.folder}/{WEIGHTS}/{digest.hexdigest()}/{Path(path).name}"
    submission.upload(Path(path), target, unless_there=True)
    return target
