"""The one place that assembles a Beam pipeline from a workload."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference

from beambench.definition.plan import Plan
from beambench.instrumentation.handler import (
    InstrumentedModelHandler,
    InstrumentedPostprocess,
    InstrumentedPreprocess,
    Output,
)
from beambench.instrumentation.proof import ProofOfWork
from beambench.instrumentation.recorder import Clock
from beambench.workloads.base import Workload


@dataclass(frozen=True)
class Outputs:
    """Files that the pipeline writes.

    Attributes:
        proof: the `Proof` of the output, as JSON.
        predictions: one JSON array [id, label, evidence, failure] a line, in no order.
    """

    proof: Path
    predictions: Path

    @classmethod
    def within(cls, folder: str) -> Outputs:
        return cls(Path(folder) / "proof.json", Path(folder) / "predictions.jsonl")


def filter_empty_lines(line: str) -> Iterator[str]:
    if line.strip():
        yield line


def format_prediction(output: Output) -> str:
    return json.dumps(output, separators=(",", ":"))


class WriteFile(beam.DoFn):
    """Writes its one element to a path; again with the same content if the bundle is retried."""

    def __init__(self, path: str) -> None:
        self._path = path

    def process(self, text: str) -> None:
        with FileSystems.create(self._path) as file:
            file.write(text.encode())


def instrumented(
    workload: Workload, plan: Plan, root: str | None
) -> KeyedModelHandler[Any, Any, Any]:
    """Wrap a workload's handler for measuring, keyed by element id as in Beam's examples."""
    clock = Clock(plan.epoch_ns, plan.slot_us)
    weights = workload.weights.path
    handler = InstrumentedModelHandler(
        workload.model_handler(),
        clock,
        weights_path=str(weights) if weights else None,
        size_mib=plan.definition.model.size_mib,
        on_cuda=plan.definition.model.device == "gpu",
    )
    sample = frozenset(plan.prepared().sample)
    return (
        KeyedModelHandler(handler)
        .with_preprocess_fn(InstrumentedPreprocess(workload.read, workload.preprocess, root, clock))
        .with_postprocess_fn(
            InstrumentedPostprocess(
                workload.postprocess, workload.evidence, workload.quantities, sample, clock
            )
        )
    )


def build(pipeline: beam.Pipeline, workload: Workload, plan: Plan, outputs: Outputs) -> None:
    """Add the workload to a pipeline: the stock transforms, and the proof over their output."""
    prepared = plan.prepared()
    handler = instrumented(workload, plan, prepared.root)
    results = (
        pipeline
        | "ReadIds" >> beam.io.ReadFromText(prepared.ids_file)
        | "FilterEmptyLines" >> beam.FlatMap(filter_empty_lines)
        | workload.transform >> RunInference(handler, inference_args=workload.inference_args())
    )
    _ = (
        results
        | "ProofOfWork" >> beam.CombineGlobally(ProofOfWork())
        | "WriteProof" >> beam.ParDo(WriteFile(str(outputs.proof)))
    )
    _ = (
        results
        | "FormatPrediction" >> beam.Map(format_prediction)
        | "WritePredictions"
        >> beam.io.WriteToText(str(outputs.predictions), shard_name_template="")
    )
