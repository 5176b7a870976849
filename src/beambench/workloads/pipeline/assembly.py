"""Source | body | proof | sinks, each chosen by scenario, runner and options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apache_beam as beam

from beambench.definition.plan import PreparedPlan
from beambench.workloads.base import Workload
from beambench.workloads.output import Target
from beambench.workloads.pipeline.body import add_body
from beambench.workloads.pipeline.outputs import Outputs
from beambench.workloads.pipeline.proof import AddProof, sum_of_outputs
from beambench.workloads.pipeline.sinks import AddSink, predictions_file, target_of_user
from beambench.workloads.pipeline.source import AddSource, file_of_ids


@dataclass(frozen=True)
class Parts:
    """What stands around the body of a pipeline."""

    source: AddSource
    proof: AddProof
    sinks: Sequence[AddSink]


def batch_parts(plan: PreparedPlan, outputs: Outputs, temp_location: str | None = None) -> Parts:
    """Return the parts of a batch: a file of ids, one proof over all, and the predictions.

    Args:
        plan: of the benchmark.
        outputs: files that are written.
        temp_location: folder for what BigQuery loads.
    """
    sinks = [predictions_file(outputs.predictions)]
    if plan.output is not None:
        sinks.append(target_of_user(Target.of(plan.output), temp_location))
    spread = plan.definition.runner.processes > 1
    source = file_of_ids(plan.preparation.ids_file, spread=spread)
    return Parts(source, sum_of_outputs(outputs.proof), sinks)


def build(pipeline: beam.Pipeline, workload: Workload, plan: PreparedPlan, parts: Parts) -> None:
    """Add a workload to a pipeline."""
    outputs = add_body(parts.source(pipeline), workload, plan)
    parts.proof(outputs)
    for sink in parts.sinks:
        sink(outputs)
