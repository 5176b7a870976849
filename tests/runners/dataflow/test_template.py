"""The template of each benchmark of Beam's suite, written by Beam and read back."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from apache_beam.portability.api import beam_runner_api_pb2

from beambench.controller.processes.worker_process import run_task
from beambench.definition.library import Library
from beambench.definition.plan import Preparation
from beambench.runners.dataflow.beam.tasks import write_template
from beambench.runners.dataflow.plans import TemplatePlan
from tiny_workloads import make_plan

pytestmark = pytest.mark.real

PLACES = ["--project=my-project", "--temp_location=gs://my-bucket/tmp"]
T4 = "worker_accelerator=type:nvidia-tesla-t4;count:1;install-nvidia-driver"
DISK = "compute.googleapis.com/projects//zones//diskTypes/pd-standard"
IMAGES = {"PyTorchRunInference/BeamML_RunInference_Postprocess-0"}
LANGUAGE = {"PyTorchRunInference/BeamML_RunInference", "ProcessOutput"}
SENTIMENT = {"RunInference/BeamML_RunInference", "PostProcess"}


@dataclass(frozen=True)
class Suite:
    """A benchmark as Beam's suite has it."""

    workers: int
    transforms: set[str]
    packages: set[str]
    machine: str = "n1-standard-2"
    disk_gb: int = 50
    accelerator: str | None = None
    most: int | None = None


TORCH = {"torch", "torchvision", "pillow"}
TEXT = {"torch", "transformers"}
SUITE = {
    "pytorch-image-classification-resnet101": Suite(75, IMAGES, TORCH),
    "pytorch-image-classification-resnet152": Suite(75, IMAGES, TORCH),
    "pytorch-image-classification-resnet152-t4": Suite(75, IMAGES, TORCH, accelerator=T4),
    "pytorch-language-modeling-bert-base": Suite(250, LANGUAGE, TEXT),
    "pytorch-language-modeling-bert-large": Suite(250, LANGUAGE, TEXT),
    "pytorch-sentiment-distilbert-batch": Suite(20, SENTIMENT, TEXT),
    # Its cluster only: the streaming source and sink cannot be built yet, the rest is as in batch.
    "pytorch-sentiment-distilbert-streaming": Suite(20, SENTIMENT, TEXT, most=250),
    "vllm-gemma-2b-batch": Suite(
        3, {"InferBatch/BeamML_RunInference"}, {"vllm"}, "n1-standard-8", 200, T4
    ),
}
OPENAI = "class OpenAI: pass\nclass AsyncOpenAI: pass\n"
"""What Beam's handler for vLLM imports; building a pipeline calls nothing of it."""


def plan_of(folder: Path, name: str, *flags: str, **changed: Any) -> TemplatePlan:
    resolved = Library().resolve(name, profile="full", **changed)
    job = "gs://my-bucket/tmp/beambench/job"
    return make_plan(
        folder,
        "template",
        folder=job,
        definition=resolved.definition,
        beam_flags=[*PLACES, *flags],
        preparation=Preparation(
            root="",
            ids_file=f"{job}/ids.txt",
            count=0,
            sample=[],
            weights_path=None if name.startswith("vllm") else "/models/weights.pth",
        ),
        job_name="beambench-test",
        template_path=str(folder / "out" / "template.json"),
    )


def written(plan: TemplatePlan) -> dict[str, Any]:
    """Write a template, in a worker with a stand-in for what only a vLLM environment has."""
    if "vllm" not in plan.definition.name:
        return write_template(plan).runner
    stand_in = Path(plan.work_dir) / "stand-in"
    stand_in.mkdir()
    (stand_in / "openai.py").write_text(OPENAI)
    deadline = time.monotonic() + 100
    result = run_task(
        plan, deadline=deadline, cancelled=threading.Event(), search_path=[str(stand_in)]
    )
    assert result.observation is not None, result.error
    return result.observation.runner


def transforms_of(folder: Path) -> set[str]:
    pipeline = beam_runner_api_pb2.Pipeline.FromString((folder / "pipeline.pb").read_bytes())
    return {transform.unique_name for transform in pipeline.components.transforms.values()}


@pytest.mark.parametrize("name", SUITE)
def test_the_template_names_what_the_suite_runs_on(tmp_path, name):
    suite = SUITE[name]
    template = written(plan_of(tmp_path, name))
    job = json.loads(Path(template["template"]).read_text())
    (pool,) = job["environment"]["workerPools"]
    streaming = name.endswith("streaming")
    assert job["type"] == f"JOB_TYPE_{'STREAMING' if streaming else 'BATCH'}"
    assert (pool["machineType"], pool["numWorkers"]) == (suite.machine, suite.workers)
    assert (pool["diskSizeGb"], pool["diskType"]) == (suite.disk_gb, DISK)
    scaling = {"algorithm": f"AUTOSCALING_ALGORITHM_{'BASIC' if streaming else 'NONE'}"}
    assert pool["autoscalingSettings"] == scaling | (
        {"maxNumWorkers": suite.most} if suite.most else {}
    )
    accelerators = [suite.accelerator] if suite.accelerator else []
    assert job["environment"].get("serviceOptions", []) == accelerators
    options = job["environment"]["sdkPipelineOptions"]["options"]
    assert (options["region"], options["project"]) == ("us-central1", "my-project")
    assert "use_runner_v2" in job["environment"]["experiments"]
    out = tmp_path / "out"
    assert transforms_of(out) >= suite.transforms | {"ReadIds", "ProofOfWork", "WritePredictions"}
    required = {
        line.partition("==")[0] for line in (out / "requirements.txt").read_text().splitlines()
    }
    assert required >= suite.packages | {"pydantic"}
    assert not required & {"beambench", "apache-beam"}


def test_all_that_can_be_asked_for_is_in_the_template(tmp_path):
    cluster = [
        "region=europe-west4",
        "workers=2",
        "max_workers=9",
        "autoscaling=throughput_based",
        "disk_type=pd-ssd",
        "spot=true",
        "processes=1",
        "workers=4",
        "experiments=[one]",
        "service_options=[two=2]",
    ]
    plan = plan_of(
        tmp_path,
        "pytorch-image-classification-resnet101",
        "--network=mine",
        "--worker_zone=europe-west4-a",
        "--experiments=three",
        overrides=[f"cluster.{flag}" for flag in cluster],
    )
    spec = written(plan)["job"]
    assert (spec["region"], spec["workers"], spec["max_workers"]) == ("europe-west4", 4, 9)
    assert (spec["autoscaling"], spec["flexrs"]) == (
        "AUTOSCALING_ALGORITHM_BASIC",
        "FLEXRS_COST_OPTIMIZED",
    )
    assert spec["disk_type"].endswith("/pd-ssd")
    assert {"one", "three", "no_use_multiple_sdk_containers"} <= set(spec["experiments"])
    assert "use_multiple_sdk_containers" not in spec["experiments"]
    assert spec["service_options"] == ["two=2"]
    job = json.loads((tmp_path / "out" / "template.json").read_text())
    assert job["environment"]["workerPools"][0]["network"] == "mine"
    assert job["environment"]["workerZone"] == "europe-west4-a"


def test_with_an_image_nothing_but_the_pipeline_is_staged(tmp_path):
    plan = plan_of(
        tmp_path,
        "pytorch-image-classification-resnet101",
        overrides=["cluster.container_image=region-docker.pkg.dev/my-project/images/mine:1"],
    )
    template = written(plan)
    assert template["job"]["container_image"] == "region-docker.pkg.dev/my-project/images/mine:1"
    assert [staged_file["name"] for staged_file in template["staged"]] == ["pipeline.pb"]


def test_a_template_in_a_bucket_has_its_files_there(tmp_path, bucket):
    flags = [f"--temp_location={bucket}/tmp"]
    plan = plan_of(tmp_path, "pytorch-image-classification-resnet101", *flags)
    plan = plan.model_copy(update={"template_path": f"{bucket}/templates/mine.json"})
    template = written(plan)
    assert template["template"] == f"{bucket}/templates/mine.json"
    assert {staged_file["name"] for staged_file in template["staged"]} >= {
        "pipeline.pb",
        "requirements.txt",
    }
    assert all(
        staged_file["place"].startswith(f"{bucket}/tmp/") for staged_file in template["staged"]
    )
