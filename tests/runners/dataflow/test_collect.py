"""Metrics as the service gives them, read like those of any pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from apache_beam.portability.api import beam_runner_api_pb2

from beambench.errors import RunError
from beambench.instrumentation.beam_metrics import counters_kind, theirs
from beambench.instrumentation.proof.output_sums import expected_of
from beambench.instrumentation.recorder import NAMESPACE
from beambench.runners.dataflow.beam.collect import collect, namespace_of, query_of, step_names
from beambench.runners.dataflow.plans import CollectPlan
from dataflow_stub import all_service, user
from tiny_workloads import make_plan, prepared

pytestmark = pytest.mark.real

INFER = "PyTorchRunInference/BeamML_RunInference"
SIZES = {"count": 4, "sum": 40, "min": 10, "max": 10, "mean": 10.0}
IDS = [str(number) for number in range(40)]


def plan_of(folder: Path, metrics: Path, **fields: Any) -> CollectPlan:
    return make_plan(
        folder,
        "collect",
        preparation=prepared(folder, IDS),
        folder=str(folder),
        job_metrics=str(metrics),
        **fields,
    )


def beams(name: str, value: object, step: str = "s2", **labels: str) -> object:
    return user(name, value, step, "BeamML_PyTorch", **labels)


def test_counters_and_distributions_have_the_names_of_their_transforms():
    updates = [
        *all_service(),
        beams("num_inferences", 40),
        beams("inference_request_batch_size", SIZES),
        user("read_ns", 7, "s1"),
    ]
    query = query_of(updates, {"s2": INFER})
    collected = theirs(query, "BeamML_PyTorch")
    place = {"namespace": "BeamML_PyTorch", "step": INFER}
    assert collected == {
        "num_inferences": {**place, "value": 40},
        "inference_request_batch_size": {**place, "count": 4, "sum": 40, "min": 10, "max": 10},
    }
    assert counters_kind(query) == "committed"
    (own,) = [counter for counter in query["counters"] if counter.key.metric.namespace == NAMESPACE]
    assert (own.key.step, own.result) == ("s1", 7)


def test_committed_values_go_before_tentative_ones():
    updates = [beams("num_inferences", 44, tentative="true"), beams("num_inferences", 40)]
    for order in (updates, updates[::-1]):
        (entry,) = query_of(order, {})["counters"]
        assert (entry.committed, entry.attempted, entry.result) == (40, 44, 40)


def test_metrics_that_are_only_tentative_are_attempted():
    query = query_of([beams("num_inferences", 44, tentative="true")], {})
    assert query["counters"][0].result == 44
    assert counters_kind(query) == "attempted"


def test_scalars_that_show_a_distribution_again_are_left_out():
    names = [f"inference_request_batch_size_{end}" for end in ("MIN", "MAX", "MEAN", "COUNT")]
    assert query_of([beams(name, 1.5) for name in names], {})["counters"] == []


@pytest.mark.parametrize("value", [None, True, "text", []])
def test_what_is_neither_number_nor_distribution_is_left_out(value):
    assert not any(query_of([beams("x", value)], {}).values())


def test_numbers_may_be_floating():
    (entry,) = query_of([beams("num_inferences", 40.0)], {})["counters"]
    assert entry.result == 40


def test_names_stand_in_the_job():
    warnings: list[str] = []
    job = {
        "steps": [{"name": "s1", "properties": {"user_name": "ReadIds"}}, {"name": "s9"}],
        "pipelineDescription": {"originalPipelineTransform": [{"id": "s2", "name": INFER}]},
    }
    assert step_names(job, warnings) == {"s1": "ReadIds", "s2": INFER}
    assert step_names({}, warnings) == {}
    assert warnings == []


def test_names_of_the_staged_pipeline_go_before(tmp_path):
    pipeline = beam_runner_api_pb2.Pipeline()
    pipeline.components.transforms["ref_7"].unique_name = INFER
    staged = tmp_path / "pipeline.pb"
    staged.write_bytes(pipeline.SerializeToString())
    job = {
        "pipelineDescription": {"originalPipelineTransform": [{"id": "ref_7", "name": "other"}]},
        "environment": {"sdkPipelineOptions": {"options": {"pipelineUrl": str(staged)}}},
    }
    warnings: list[str] = []
    assert step_names(job, warnings) == {"ref_7": INFER}
    staged.write_bytes(b"\xffcut")
    assert step_names(job, warnings) == {"ref_7": "other"}
    staged.unlink()
    assert step_names(job, warnings) == {"ref_7": "other"}
    assert ["names of transforms may be the service's" in warning for warning in warnings] == [
        True,
        True,
    ]


def test_the_namespace_is_that_of_the_inference():
    assert namespace_of(query_of([beams("inference_request_batch_size", SIZES)], {})) == (
        "BeamML_PyTorch"
    )
    per_key = user("inference_request_batch_size", SIZES, "s2", "BeamML_KeyedModels")
    both = [beams("inference_request_batch_size", SIZES), per_key]
    assert namespace_of(query_of(both, {})) == "BeamML_KeyedModels"
    assert namespace_of(query_of([], {})) == ""


def test_a_job_without_a_proof_is_no_success(tmp_path):
    metrics = tmp_path / "metrics.json"
    metrics.write_text(json.dumps({"job": {}, "updates": []}))
    plan = plan_of(tmp_path, metrics)
    with pytest.raises(RunError, match=r"proof\.json"):
        collect(plan)


def test_proof_and_predictions_are_read_beside_the_metrics(tmp_path):
    metrics = tmp_path / "metrics.json"
    updates = [beams("inference_request_batch_size", SIZES), user("batches_retried", 2)]
    metrics.write_text(json.dumps({"job": {}, "updates": updates}))
    proof = expected_of(IDS)
    (tmp_path / "proof.json").write_text(proof.model_copy(update={"labels": "0"}).model_dump_json())
    lines = [json.dumps([element_id, int(element_id) % 3, None, None]) for element_id in IDS]
    (tmp_path / "predictions.jsonl").write_text("\n".join(lines) + "\n")
    plan = plan_of(tmp_path, metrics, labels=str(tmp_path / "elsewhere.csv"))
    observation = collect(plan)
    assert observation.proof is not None
    assert (observation.proof.count, observation.missing_count, len(observation.sample)) == (
        40,
        0,
        32,
    )
    assert observation.measured is not None
    assert (observation.measured.elements, observation.measured.retried_batches) == (40, 2)
    assert observation.measured.threads is None
    assert observation.runner == {"counters": "committed"}
    assert observation.beam_metrics["inference_request_batch_size"]["count"] == 4
    assert observation.warnings == [
        f"{tmp_path}/elsewhere.csv: not on this machine, so there is no accuracy"
    ]
