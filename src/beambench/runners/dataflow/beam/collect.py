"""What a Dataflow job left: the metrics of the service, and proof and predictions in its folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from apache_beam.metrics.cells import DistributionData, DistributionResult
from apache_beam.metrics.execution import MetricKey, MetricResult
from apache_beam.metrics.metricbase import MetricName
from apache_beam.portability.api import beam_runner_api_pb2
from google.protobuf.message import DecodeError

from beambench.errors import RunError
from beambench.inputs import files
from beambench.instrumentation.beam_metrics import counters_kind, measured, raw_metrics, theirs
from beambench.instrumentation.device import warnings_of
from beambench.record.observation import Observation, Proof
from beambench.runners.dataflow.plans import CollectPlan
from beambench.runners.dataflow.service.usage import is_tentative
from beambench.worker.labels import truth_of
from beambench.worker.outputs import (
    ids_of,
    observed,
    read_elements,
    read_predictions,
    written_rows,
)
from beambench.workloads.output import Target
from beambench.workloads.pipeline.body import PER_KEY_NAMESPACE
from beambench.workloads.pipeline.outputs import Outputs

BATCH_SIZE = "inference_request_batch_size"
"""A metric that every RunInference of Beam writes in the namespace of its handler."""
SCALARS_OF_DISTRIBUTIONS = ("_MIN", "_MAX", "_MEAN", "_COUNT")
"""The service also shows each distribution as four scalars, for its console."""

Update = Mapping[str, Any]
Query = dict[str, list[Any]]


def collect(plan: CollectPlan) -> Observation:
    """Read a job that was done: what was measured, and the proof of its work.

    Raises:
        RunError: the job left no proof, or not all that the service was given can be read.
    """
    document = json.loads(Path(plan.job_metrics).read_text("utf-8"))
    warnings: list[str] = []
    query = query_of(document["updates"], step_names(document["job"], warnings))
    outputs = Outputs.within(plan.folder)
    try:
        proof = Proof.model_validate_json(files.read_bytes(outputs.proof))
        ids = ids_of(read_elements(plan))
        if plan.preparation.class_folders is None and not _is_at_hand(plan.labels):
            warnings.append(f"{plan.labels}: not on this machine, so there is no accuracy")
            plan = plan.model_copy(update={"labels": None})
        observation = observed(
            plan, read_predictions(outputs.predictions), ids, proof, truth_of(plan, ids)
        )
    except OSError as error:
        raise RunError(f"{error.filename or plan.folder}: {error.strerror or error}") from error
    numbers = measured(query, proof.count, plan.slot_us, None)
    return observation.model_copy(
        update={
            "measured": numbers,
            "beam_metrics": theirs(query, namespace_of(query)),
            "raw_metrics": raw_metrics(query),
            "runner": {"counters": counters_kind(query) if any(query.values()) else None},
            "output_rows": written_rows(Target.of(plan.output), proof) if plan.output else None,
            "warnings": [
                *warnings,
                *observation.warnings,
                *warnings_of(plan.definition.model.device, numbers.devices),
            ],
        }
    )


def _is_at_hand(labels: str | None) -> bool:
    """Tell whether a file of labels can be read here, where the job may not have been submitted."""
    return labels is None or files.is_address(labels) or Path(labels).is_file()


def query_of(updates: Iterable[Update], names: Mapping[str, str]) -> Query:
    """Return the user's metrics as ``result.metrics().query()`` of a pipeline would.

    Args:
        updates: as the service gave them.
        names: full names of the transforms by the service's names of the steps.
    """
    by_key: dict[tuple[str, str, str], dict[bool, Any]] = {}
    for update in updates:
        name = update["name"]
        if name.get("origin") != "user" or name["name"].endswith(SCALARS_OF_DISTRIBUTIONS):
            continue
        context = name.get("context") or {}
        step = str(context.get("step", ""))
        key = names.get(step, step), str(context.get("namespace", "")), str(name["name"])
        by_key.setdefault(key, {})[is_tentative(update)] = _value(update)
    query: Query = {"counters": [], "distributions": [], "gauges": []}
    for (step, namespace, name), values in by_key.items():
        result = MetricResult(
            MetricKey(step, MetricName(namespace, name)),
            committed=values.get(False),
            attempted=values.get(True),
        )
        kinds = {int: "counters", DistributionResult: "distributions"}
        if type(result.result) in kinds:
            query[kinds[type(result.result)]].append(result)
    return query


def _value(update: Update) -> Any:
    """Return an integer or a distribution; None for what is neither."""
    distribution = update.get("distribution")
    if distribution is not None:
        count, total, low, high = (int(distribution[key]) for key in ("count", "sum", "min", "max"))
        return DistributionResult(DistributionData(total, count, low, high))
    scalar = update.get("scalar")
    if isinstance(scalar, bool) or not isinstance(scalar, int | float):
        return None
    return int(scalar)


def step_names(job: Mapping[str, Any], warnings: list[str]) -> dict[str, str]:
    """Return the full names of transforms by all the names that the service has for them.

    They stand in the job itself, and in the pipeline that was staged for it, which goes before.
    """
    names: dict[str, str] = {}
    for step in job.get("steps") or []:
        user_name = (step.get("properties") or {}).get("user_name")
        if isinstance(user_name, str):
            names[step["name"]] = user_name
    described = job.get("pipelineDescription") or {}
    for transform in described.get("originalPipelineTransform") or []:
        if transform.get("name"):
            names[transform["id"]] = transform["name"]
    return names | _staged_names(job, warnings)


def _staged_names(job: Mapping[str, Any], warnings: list[str]) -> dict[str, str]:
    sdk = (job.get("environment") or {}).get("sdkPipelineOptions") or {}
    place = (sdk.get("options") or {}).get("pipelineUrl")
    if not isinstance(place, str):
        return {}
    try:
        pipeline = beam_runner_api_pb2.Pipeline.FromString(files.read_bytes(place))
    except (OSError, RunError, DecodeError) as error:
        warnings.append(f"{place}: names of transforms may be the service's: {error}")
        return {}
    transforms = pipeline.components.transforms
    return {key: transforms[key].unique_name for key in transforms}


def namespace_of(query: Mapping[str, Sequence[Any]]) -> str:
    """Return the namespace that Beam's own metrics of the inference are in."""
    keys = [entry.key.metric for entry in query["distributions"]]
    namespaces = sorted({key.namespace for key in keys if key.name == BATCH_SIZE})
    return PER_KEY_NAMESPACE if PER_KEY_NAMESPACE in namespaces else next(iter(namespaces), "")
