"""Submitting a job: what is staged and uploaded, what the service is sent, and how it refuses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core.exceptions import RetryError

import buckets
from beambench.errors import RunError, UsageError
from beambench.inputs import files
from beambench.record.observation import Observation
from beambench.runners.dataflow.beam import submission
from beambench.runners.dataflow.beam.tasks import submit
from beambench.runners.dataflow.plans import Origin, SubmitPlan
from published_runs import run_record
from served import QuietHandler, local_server, serving
from tiny_workloads import definition, make_plan, prepared

pytestmark = pytest.mark.real

ORIGIN = Origin(
    record=run_record(),
    rounded=False,
    reference=None,
    stock=None,
    pcollection="Infer.out0",
    has_accelerator=False,
)
JOB_ID = "2026-01-31_01_02_03-1234567890123456789"
PROJECT = "my-project"
CLUSTER = {"machine_type": "n1-standard-2", "workers": 3, "disk_gb": 50}
REFUSALS = {
    403: "Caller does not have permission 'dataflow.jobs.create'",
    404: "bucket my-bucket does not exist",
    409: "(abc): There is already an active job named tiny-job",
    429: "Quota exceeded for quota metric 'Create requests'",
}


@dataclass
class Service:
    """The call that makes a job: what it got, and what it answers."""

    port: int
    jobs: list[dict[str, Any]] = field(default_factory=list)
    refusal: int | None = None

    @property
    def flags(self) -> list[str]:
        return [f"--project={PROJECT}", f"--dataflow_endpoint=http://localhost:{self.port}"]


@pytest.fixture
def service() -> Iterator[Service]:
    class Handler(QuietHandler):
        def do_POST(self) -> None:
            job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            code, answer = 200, {**job, "id": JOB_ID}
            if here.refusal is not None:
                code = here.refusal
                answer = {"error": {"code": code, "message": REFUSALS[code]}}
            else:
                here.jobs.append({**job, "path": self.path})
            content = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with serving(local_server(Handler, "localhost")) as port:
        here = Service(port)
        yield here


def plan_of(folder: Path, bucket: str, service: Service, **changed: Any) -> SubmitPlan:
    ids = [str(number) for number in range(20)]
    parts = {
        "definition": definition(cluster=CLUSTER | {"temp_location": f"{bucket}/tmp"}),
        "beam_flags": service.flags,
        "preparation": prepared(folder, ids),
        "job_name": "tiny-job",
        "profile": "Full!",
        "folder": f"{bucket}/tmp/beambench/tiny-job",
        "origin": ORIGIN,
    }
    return make_plan(folder, "submit", **{**parts, **changed})


def submitted(plan: SubmitPlan) -> Observation:
    return submit(plan)


def test_a_job_is_submitted_with_all_that_its_workers_need(tmp_path, bucket, service):
    runner = submitted(plan_of(tmp_path, bucket, service)).runner
    assert (runner["executed"], runner["implementation"]) == ("dataflow", "DataflowRunner")
    assert (runner["job_id"], runner["job_name"]) == (JOB_ID, "tiny-job")
    assert (runner["project"], runner["region"]) == (PROJECT, "us-central1")
    assert runner["console_url"].endswith(f"/jobs/us-central1/{JOB_ID}?project={PROJECT}")
    (job,) = service.jobs
    assert f"/projects/{PROJECT}/locations/us-central1/jobs" in job["path"]
    assert job["labels"] == {
        "beambench-benchmark": "tiny",
        "beambench-variant": "stock",
        "beambench-profile": "full-",
    }
    (pool,) = job["environment"]["workerPools"]
    assert (pool["machineType"], pool["numWorkers"]) == ("n1-standard-2", 3)
    options = job["environment"]["sdkPipelineOptions"]["options"]
    assert options["beambench_folder"] == f"{bucket}/tmp/beambench/tiny-job"
    assert files.read_bytes(options["pipelineUrl"])


def test_what_is_staged_is_what_was_built(tmp_path, bucket, service):
    runner = submitted(plan_of(tmp_path, bucket, service)).runner
    staged = {staged_file["name"]: staged_file for staged_file in runner["staged"]}
    built = {path.name: path for path in (*tmp_path.glob("*.whl"), tmp_path / "requirements.txt")}
    assert len(built) == 3
    assert set(built) | {"extra_packages.txt", "pipeline.pb"} <= set(staged)
    for name, entry in staged.items():
        assert entry["place"].startswith(f"{bucket}/tmp/tiny-job.")
        content = files.read_bytes(entry["place"])
        assert len(content) == entry["bytes"]
        assert name not in built or content == built[name].read_bytes()
    order = files.read_bytes(staged["extra_packages.txt"]["place"]).decode().split()
    assert [name.partition("-")[0] for name in order] == ["beambench", "beambench_workload"]


def test_ids_and_what_the_job_is_lie_in_its_folder(tmp_path, bucket, service):
    secret = "--azure_connection_string=hunter"
    plan = plan_of(tmp_path, bucket, service, beam_flags=[*service.flags, secret])
    submitted(plan)
    ids = Path(plan.preparation.ids_file).read_bytes()
    assert files.read_bytes(f"{plan.folder}/ids.txt") == ids
    content = files.read_bytes(f"{plan.folder}/job.json")
    assert b"hunter" not in content
    told = json.loads(content)
    submit_plan = SubmitPlan.model_validate(told["plan"])
    assert submit_plan.preparation.ids_file == f"{plan.folder}/ids.txt"
    assert (submit_plan.definition, submit_plan.origin, submit_plan.seed) == (
        plan.definition,
        plan.origin,
        plan.seed,
    )
    assert told["runner"]["job_name"] == "tiny-job"


def test_weights_are_uploaded_once_for_all_jobs(tmp_path, bucket, service):
    weights = tmp_path / "model.pth"
    weights.write_bytes(b"weights" * 1000)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    place = f"{bucket}/tmp/beambench/weights/{digest}/model.pth"
    ids = [str(number) for number in range(20)]
    preparation = prepared(tmp_path, ids, weights_path=str(weights))
    plan = plan_of(tmp_path, bucket, service, preparation=preparation)
    submitted(plan)
    told = json.loads(files.read_bytes(f"{plan.folder}/job.json"))
    assert told["plan"]["preparation"]["weights_path"] == place
    assert files.read_bytes(place) == weights.read_bytes()
    buckets.put(place, b"marked!" * 1000)  # as large as the weights: it is left alone
    submitted(plan)
    assert files.read_bytes(place) == b"marked!" * 1000


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_is_one_line_with_the_services_own_reason(tmp_path, bucket, service, code):
    service.refusal = code
    with pytest.raises(RunError) as caught:
        submitted(plan_of(tmp_path, bucket, service))
    message = str(caught.value)
    assert message.startswith(f"Dataflow has no job tiny-job: {code} ")
    assert message.endswith(REFUSALS[code])
    assert "\n" not in message


def test_a_bucket_that_is_not_there_is_named(tmp_path, bucket, service):
    plan = plan_of(tmp_path, f"{bucket}-gone", service)
    with pytest.raises(RunError, match=f"tiny-job: {bucket}-gone: no such bucket$"):
        submitted(plan)
    assert service.jobs == []


@pytest.mark.parametrize(
    "error", [requests.ConnectionError("cut\nshort"), RetryError("cut\nshort", None)]
)
def test_a_cut_network_leaves_open_whether_there_is_a_job(error):
    with (
        pytest.raises(RunError, match=r"^nobody knows: no answer: cut$"),
        submission.refusals("no job", "nobody knows"),
    ):
        raise error
    with (
        pytest.raises(RunError, match=r"^no file: no answer: cut$"),
        submission.refusals("no file"),
    ):
        raise error


def test_without_credentials_nothing_is_built(tmp_path, service, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(UsageError, match=r"none\.json': No such file or directory"):
        submitted(plan_of(tmp_path, "gs://any-bucket", service))


def test_a_flag_that_beam_does_not_know_is_refused(tmp_path, bucket, service):
    plan = plan_of(tmp_path, bucket, service, beam_flags=[*service.flags, "--num_worker=3"])
    with pytest.raises(UsageError, match="no flag --num_worker "):
        submitted(plan)
    assert service.jobs == []
