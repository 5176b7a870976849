"""Whatever becomes of a job, the run ends in a record that says so."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from beambench.cancellation import Cancellation
from beambench.controller.results import TaskResult
from beambench.definition.library import Library
from beambench.errors import BeambenchError, RunError, UsageError
from beambench.experiments.attach import execute_attached, make_attach_request
from beambench.experiments.benchmark import execute
from beambench.record.observation import Observation
from beambench.record.run_record import RunRecord
from beambench.request.benchmark import RunRequest, make_request
from beambench.runners.dataflow.attach import place_of
from beambench.runners.dataflow.plans import SubmitPlan
from beambench.runners.dataflow.repeat import job_name_of
from beambench.runners.dataflow.service.client import JobClient, JobPlace
from beambench.runners.dataflow.service.follow import CANCEL_SECONDS, OUTAGE_SECONDS
from beambench.runners.dataflow.service.usage import SETTLE_SECONDS
from beambench.store.run_store import RunStore
from beambench.version import __version__
from dataflow_stub import (
    CREATED,
    CUT,
    ENDED,
    JOB_ID,
    PROJECT,
    REGION,
    WORKERS_STARTED,
    DataflowStub,
    all_service,
    dataflow,
    failed,
    user,
)
from fake_clock import FakeClock
from fake_workers import COUNT, SAMPLE, Workers, crashed, finished, gave_up
from fake_workers import measured as measured_worker

TEMP = "gs://bucket/temp"
CLUSTER = (
    "cluster.machine_type=n1-standard-2",
    "cluster.workers=2",
    "cluster.disk_gb=50",
    f"cluster.temp_location={TEMP}",
)
PLACE = JobPlace(PROJECT, REGION, JOB_ID)
WHERE = [f"--project={PROJECT}", f"--region={REGION}"]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[DataflowStub]:
    with dataflow() as service:
        service.metrics = [[*all_service(), user("num_inferences", COUNT, namespace="BeamML_x")]]
        service.series = {
            "element_count": [{"doubleValue": 50.0}],
            "estimated_byte_count": [{"doubleValue": 500.0}],
        }
        for name, value in service.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", service.url)
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", PROJECT)
        yield service


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Replace the clock of a run; waiting takes no time."""
    fake = FakeClock(time.monotonic())
    monkeypatch.setattr("beambench.experiments.experiment.SystemClock", lambda event: fake)
    patient = FakeClock()
    monkeypatch.setattr("beambench.runners.dataflow.job.SystemClock", lambda event: patient)
    return fake


@pytest.fixture
def cluster(workers: Workers, scratch, stub, clock, monkeypatch) -> Workers:
    """Workers that submit a job to the stub, and collect it."""

    def submit(plan: SubmitPlan) -> TaskResult:
        runner = {
            "executed": "dataflow",
            "implementation": "DataflowRunner",
            "options": ["--region=us-central1"],
            "job_id": JOB_ID,
            "job_name": plan.job_name,
            "project": PROJECT,
            "region": REGION,
        }
        options = {"temp_location": f"{TEMP}/x.1", "beambench_folder": plan.folder}
        stub.job = {
            "name": plan.job_name,
            "environment": {"sdkPipelineOptions": {"options": options}},
        }
        document = {
            "beambench": __version__,
            "plan": plan.model_dump(mode="json"),
            "runner": runner,
        }
        stub.objects[f"{plan.folder}/job.json"] = json.dumps(document).encode()
        stub.objects[f"{plan.folder}/proof.json"] = json.dumps(
            {"count": COUNT, "failed": 0, "ids": "0", "failed_ids": "0", "labels": ""}
        ).encode()
        return finished(Observation(task="submit", runner=runner))

    workers.script("submit", *[submit] * 9)
    workers.script("collect", *[collected()] * 9)
    return workers


def collected(**changes: Any) -> TaskResult:
    return measured_worker(task="collect", **({"runner": {"counters": "committed"}} | changes))


def request_of(**options: Any) -> RunRequest:
    overrides = [*CLUSTER, *options.pop("overrides", [])]
    chosen = {"profile": "smoke", "runner": "dataflow", "overrides": overrides} | options
    return make_request(Library(), chosen.pop("name", "overhead-noop"), **chosen)


def run(on_stop: Any = "leave", announce: Any = None, **options: Any) -> RunRecord:
    arguments = {"announce": announce} if announce is not None else {}
    request, cancelled = request_of(on_stop=on_stop, **options), Cancellation()
    return execute(request, cancelled, **arguments)


def attach(clock: FakeClock, **options: Any) -> RunRecord:
    request = make_attach_request(JOB_ID, flags=WHERE, **options)
    return execute_attached(request, Cancellation(), clock=clock)


def alone(record: RunRecord) -> dict[str, Any]:
    assert len(record.repeats) == 1
    return record.repeats[0].runner


# A job that is done


def test_a_job_is_a_repeat(cluster, stub):
    record = run()
    assert (record.status, record.error) == ("succeeded", None)
    assert cluster.tasks == ["prepare", "reference", "submit", "collect"]
    assert (record.runner.requested, record.runner.executed) == ("dataflow", "dataflow")
    assert record.runner.options == ["--region=us-central1"]
    repeat = record.repeats[0]
    assert (repeat.started_at, repeat.finished_at) == (CREATED, ENDED)
    assert repeat.metrics["run_time"].value == 600.0
    assert "peak_memory" not in record.metrics
    assert record.metrics["throughput_elements"].value == 10.0
    assert record.verification.passed
    assert record.verification.reference["compared"] == len(SAMPLE)
    assert repeat.usage is not None
    assert (repeat.usage.vcpu_seconds, repeat.usage.gpu_seconds) == (1080.0, None)
    said = alone(record)
    assert said["job_id"] == JOB_ID
    assert said["state"] == "DONE"
    assert [state for _, state in said["states"]] == ["PENDING", "RUNNING", "DONE"]
    assert said["workers_started"] == WORKERS_STARTED
    assert said["metrics"] == {"settled": True, "seconds": 10.0, "missing": []}
    assert said["counters"] == "committed"


def test_beams_figures_stand_beside_ours(cluster):
    theirs = run().repeats[0].beam_metrics
    values = {name: metric["value"] for name, metric in theirs.items() if metric["namespace"] == ""}
    assert values["AvgThroughputElements"] == 50.0
    assert values["AvgThroughputBytes"] == 500.0
    assert values["JobRuntimeSeconds"] == 420.5
    assert values["TotalMemoryUsage"] == 4147200.0


def test_every_job_has_a_folder_of_its_own(cluster):
    record = run(repeats=2)
    assert record.status == "succeeded"
    plans = [plan for plan in cluster.plans if plan.task == "submit"]
    assert len({plan.folder for plan in plans}) == 2
    assert all(plan.folder == f"{TEMP}/beambench/{plan.job_name}" for plan in plans)


def test_jobs_have_names_that_the_service_takes():
    for benchmark in ("a", "b" * 100, "pytorch-image-classification-resnet152-t4"):
        name = job_name_of(benchmark)
        assert name.replace("-", "").isalnum()
        assert len(name) <= 63
    assert job_name_of("a") != job_name_of("a")


def test_there_is_one_job_unless_more_are_asked_for(cluster):
    assert request_of(profile="local").repeat_count == 1
    assert request_of(repeats=4).repeat_count == 4


def test_progress_names_the_console_once(cluster, stub):
    said: list[dict[str, Any]] = []
    stub.scalings = [{"time": CREATED, "currentNumWorkers": "3"}]
    run(announce=lambda step, elements: said.append)
    lines = [message["line"] for message in said if "line" in message]
    assert sum("console.cloud.google.com" in line for line in lines) == 1
    running = next(message for message in said if message.get("text", "").startswith("running"))
    assert running["text"].startswith("running, 3 workers, ")
    assert running["done"] == COUNT


def test_without_a_place_for_files_nothing_is_started(workers, scratch, stub):
    with pytest.raises(UsageError, match="temp_location"):
        run(overrides=["cluster.temp_location=null"])
    assert workers.tasks == []


def test_a_model_for_a_gpu_has_no_reference_here(cluster, stub):
    stub.metrics = [all_service(TotalGpuTime=540.0) + stub.metrics[0][-1:]]
    accelerator = "cluster.accelerator={type: nvidia-tesla-t4, count: 1}"
    sentiment = "pytorch-sentiment-distilbert-batch"
    record = run(name=sentiment, overrides=["model.device=gpu", accelerator])
    assert record.status == "succeeded"
    assert "reference" not in cluster.tasks
    assert record.verification.reference_agreement is None
    assert not record.verification.passed
    assert str(record.verification.unverified).startswith("no reference sample was run")
    assert any("no reference sample" in warning for warning in record.warnings)
    assert record.repeats[0].usage is not None
    assert record.repeats[0].usage.gpu_seconds == 540.0


def test_wrong_labels_fail_the_run(cluster):
    wrong = [prediction.model_copy(update={"label": -1}) for prediction in SAMPLE]
    cluster.script("collect", collected(sample=wrong))
    record = run()
    assert record.status == "failed"
    assert not record.verification.passed
    assert record.repeats[0].usage is not None


# Jobs that go wrong


def test_a_model_that_is_not_on_the_gpu_ends_the_job_with_one_line(cluster, stub):
    line = "model.device gpu: after the load the model is on cpu (A CPU): mend that"
    raised = f"beambench.errors.RunError: {line} [while running 'RunInference-ptransform-7']"
    stub.states = ["RUNNING", "FAILED"]
    stub.messages = [(0, failed(f"Traceback (most recent call last):\n  File x\n{raised}"))]
    record = run()
    assert record.status == "failed"
    assert record.error == f"pipeline repeat 1: job {JOB_ID} failed: {line}"


def test_a_job_that_fails_says_what_was_raised(cluster, stub):
    text = "Traceback (most recent call last):\n  File x\nValueError: bad [while running 'x']"
    stub.states, stub.messages = ["RUNNING", "FAILED"], [(0, failed(text))]
    record = run(repeats=3)
    assert record.status == "failed"
    assert record.error == f"pipeline repeat 1: job {JOB_ID} failed: ValueError: bad"
    assert cluster.tasks.count("submit") == 1
    assert "collect" not in cluster.tasks
    said = alone(record)
    assert (said["state"], said["errors"]) == ("FAILED", [text])
    assert record.repeats[0].metrics == {}
    assert record.repeats[0].verification is None
    assert record.repeats[0].usage is not None, "a job that failed costs money too"
    assert record.repeats[0].usage.vcpu_seconds == 1080.0


def test_secrets_in_what_was_raised_are_masked(cluster, stub, monkeypatch):
    stub.states = ["FAILED"]
    stub.messages = [(0, failed("Traceback (most recent call last):\nValueError: hunter2-hunter2"))]
    monkeypatch.setattr(RunRequest, "without_secrets", lambda _, text: text.replace("hunter2", "*"))
    record = run()
    assert record.error is not None
    assert record.error.endswith("ValueError: *-*")
    assert "hunter2" not in record.model_dump_json()


def test_a_job_that_is_done_at_the_limit_is_read_all_the_same(cluster, stub, clock):
    deadlines = []
    stub.states = ["RUNNING", "RUNNING", "DONE"]
    cluster.script("collect", lambda plan: deadlines.append(cluster.options[-1]) or collected())
    assert run(timeout=20.5).status == "succeeded"
    assert deadlines[0]["deadline"] > time.monotonic() + 500


def test_a_job_that_loses_its_workers(cluster, stub):
    stub.states = ["RUNNING", "FAILED"]
    lost = "a work item has failed 4 times. Root cause: The worker lost contact with the service."
    stub.messages = [(0, failed(lost))]
    record = run()
    assert record.status == "failed"
    assert "The worker lost contact with the service." in (record.error or "")


def test_a_job_that_never_says_why(cluster, stub):
    stub.states, stub.messages = ["FAILED"], []
    assert "it does not say why" in (run().error or "")


@pytest.mark.parametrize(
    ("state", "status", "said"),
    [
        ("CANCELLED", "cancelled", "was cancelled elsewhere"),
        ("DRAINED", "cancelled", "was drained elsewhere"),
        ("UPDATED", "failed", "was replaced by job another one"),
    ],
)
def test_a_job_that_others_end(cluster, stub, state, status, said):
    stub.states = ["RUNNING", state]
    record = run(repeats=2)
    assert record.status == status
    assert said in (record.error or "")
    assert record.repeats[0].usage is not None
    assert cluster.tasks.count("submit") == 1


def test_metrics_that_come_late_are_waited_for(cluster, stub):
    stub.metrics = [[]] * 9 + stub.metrics
    record = run()
    assert record.status == "succeeded"
    assert alone(record)["metrics"] == {"settled": True, "seconds": 90.0, "missing": []}


def test_metrics_that_never_come_are_unknown(cluster, stub):
    stub.metrics, stub.series = [[]], {}
    record = run()
    assert record.status == "succeeded"
    assert record.repeats[0].usage is not None
    known = record.repeats[0].usage.model_dump(exclude_none=True)
    assert known == {"source": "service"}
    said = alone(record)["metrics"]
    assert (said["settled"], said["seconds"]) == (False, SETTLE_SECONDS)
    assert "TotalVcpuTime" in said["missing"]
    warnings = " ".join(record.warnings)
    assert "the service did not give TotalVcpuTime" in warnings
    assert "AvgThroughputElements, AvgThroughputBytes" in warnings


def test_messages_that_come_late_are_waited_for(cluster, stub):
    (_, began), (_, ended) = stub.messages
    stub.messages = [(1, began), (6, ended)]
    theirs = run().repeats[0].beam_metrics
    assert theirs["JobRuntimeSeconds"]["value"] == 420.5
    assert theirs["AvgThroughputElements"]["value"] == 50.0


def test_messages_that_never_come_leave_beams_figures_unknown(cluster, stub):
    stub.messages = []
    record = run()
    assert record.status == "succeeded"
    assert "JobRuntimeSeconds" not in record.repeats[0].beam_metrics
    assert any("do not say when the workers began" in warning for warning in record.warnings)
    assert alone(record)["workers_started"] is None


def test_refused_metrics_and_series_are_said(cluster, stub):
    stub.refused = {"metrics": 403, "series": 403}
    warnings = " ".join(run().warnings)
    assert warnings.count("not allowed") == 2


def test_bursts_of_errors_are_lived_through(cluster, stub):
    stub.faults = {kind: [503, CUT, 429] for kind in ("job", "messages", "metrics", "series")}
    assert run().status == "succeeded"


def test_a_network_that_is_cut(cluster, stub, clock):
    begin = clock.now()
    stub.refused["job"] = CUT
    record = run(timeout=90000.0)
    assert record.status == "failed"
    assert "lost sight of job" in (record.error or "")
    assert f"--attach {JOB_ID} -- --project={PROJECT} --region={REGION}" in (record.error or "")
    assert alone(record)["state"] == "UNKNOWN"
    assert record.repeats[0].usage is None
    assert clock.now() - begin >= OUTAGE_SECONDS


def test_a_job_that_is_not_ours_to_see(cluster, stub):
    stub.refused["job"] = 403
    record = run()
    assert record.status == "failed"
    assert "not allowed" in (record.error or "")


@pytest.mark.parametrize("said", ["429: quota exceeded", "403: permission denied"])
def test_a_job_that_is_not_created(cluster, said):
    cluster.script("submit", gave_up("submit", "run", f"Dataflow answered {said}"))
    record = run()
    assert (record.status, record.error) == ("failed", f"Dataflow answered {said}")
    assert record.repeats == []


def test_an_interrupted_submission_may_have_made_a_job(cluster):
    cluster.script("submit", crashed("cancelled", "cancelled"))
    record = run()
    assert record.status == "cancelled"
    assert "it may be that a job named beambench-overhead-noop-" in (record.error or "")


# Interrupted


def test_on_an_interruption_the_job_goes_on(cluster, stub, clock):
    stub.states = ["RUNNING"]
    clock.interrupted_at = clock.now() + 5
    record = run()
    assert record.status == "cancelled"
    assert f"interrupted, but job {JOB_ID} goes on" in (record.error or "")
    assert f"`beambench run --attach {JOB_ID} -- --project" in (record.error or "")
    assert f"`beambench run --attach {JOB_ID} --cancel -- --project" in (record.error or "")
    assert stub.requests["cancel"] == 0
    assert record.repeats[0].usage is None
    assert alone(record)["following"] == "interrupted"


def test_at_the_time_limit_the_job_goes_on(cluster, stub):
    stub.states = ["RUNNING"]
    record = run(timeout=60.0)
    assert record.status == "timed_out"
    assert "the time limit was reached, but" in (record.error or "")
    assert stub.requests["cancel"] == 0


@pytest.mark.parametrize(
    ("options", "status"), [({}, "cancelled"), ({"timeout": 60.0}, "timed_out")]
)
def test_a_job_can_be_cancelled_instead(cluster, stub, clock, options, status):
    stub.states = ["RUNNING"]
    if not options:
        clock.interrupted_at = clock.now() + 5
    record = run(on_stop="cancel", **options)
    assert record.status == status
    assert f"job {JOB_ID} was cancelled" in (record.error or "")
    assert stub.requests["cancel"] == 1
    said = alone(record)
    assert (said["state"], said["cancelled_by_us"]) == ("CANCELLED", True)
    assert record.repeats[0].usage is not None


def test_cancelling_that_takes_too_long(cluster, stub):
    stub.states, stub.cancelled_after = ["RUNNING"], None
    record = run(on_stop="cancel", timeout=60.0)
    assert "is being cancelled, see https://console" in (record.error or "")
    assert alone(record)["state"] == "CANCELLING"
    assert CANCEL_SECONDS > 0


def test_a_refused_cancellation(cluster, stub):
    stub.states, stub.refused = ["RUNNING"], {"cancel": 403}
    record = run(on_stop="cancel", timeout=60.0)
    assert record.status == "timed_out"
    assert "goes on" in (record.error or "")
    assert any("could not be cancelled" in warning for warning in record.warnings)


def test_a_job_that_is_done_but_was_not_read(cluster):
    cluster.script("collect", crashed("cancelled", "cancelled"))
    record = run()
    assert record.status == "cancelled"
    assert f"reading job {JOB_ID}, which is done: cancelled: read it again with" in record.error
    assert record.repeats[0].usage is not None


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "No space left"),
        (RunError("no Python"), "no Python"),
    ],
)
def test_a_job_that_is_done_but_that_no_worker_can_read(cluster, error, said):
    cluster.script("collect", error)
    record = run()
    assert record.status == "failed"
    assert f"reading job {JOB_ID}, which is done: " in record.error
    assert said in record.error
    assert alone(record)["job_id"] == JOB_ID
    assert record.repeats[0].usage is not None


def test_a_job_that_ends_before_its_cancellation_is_read(cluster, stub):
    stub.current = lambda: "DONE" if stub.requests["cancel"] else "RUNNING"
    stub.refused = {"cancel": 400}
    record = run(on_stop="cancel", timeout=60.0)
    assert stub.requests["cancel"] == 1
    assert (record.status, record.error) == ("succeeded", None)
    assert alone(record)["state"] == "DONE"


def test_an_address_that_no_credential_may_go_to_stops_before_anything_is_started(cluster):
    with pytest.raises(UsageError, match="http is for this machine only"):
        run(beam_flags=["--dataflow_endpoint=http://example.com"])
    assert cluster.tasks == []


def test_without_credentials_nothing_is_started(cluster, tmp_path, monkeypatch):
    monkeypatch.delenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_DATAFLOW")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(UsageError, match=r"none\.json': No such file or directory"):
        run()
    assert cluster.tasks == []


def test_a_job_that_cannot_be_looked_at_from_here_is_recorded(cluster, monkeypatch):
    def refused(*_: object) -> None:
        raise UsageError("no credentials for Google Cloud")

    monkeypatch.setattr(JobClient, "state", refused)
    record = run()
    assert record.status == "failed"
    assert f"lost sight of job {JOB_ID} (no credentials" in (record.error or "")
    assert alone(record)["job_id"] == JOB_ID


# Resumed


@pytest.fixture
def interrupted(cluster, stub, clock) -> RunRecord:
    stub.states = ["RUNNING", "DONE"]
    clock.interrupted_at = clock.now() + 5
    record = run()
    clock.interrupted_at = float("inf")
    assert record.status == "cancelled"
    return record


def test_an_interrupted_job_is_resumed(interrupted, clock, cluster):
    record = attach(clock)
    assert (record.status, record.error) == ("succeeded", None)
    assert record.run_id != interrupted.run_id
    assert record.config["attached"] == JOB_ID
    for same in ("benchmark", "variant", "profile", "definition_hash", "input", "model"):
        assert getattr(record, same) == getattr(interrupted, same)
    assert record.verification.passed
    assert record.verification.reference["compared"] == len(SAMPLE)
    assert record.metrics["throughput_elements"].value == 10.0
    assert alone(record)["attached"] is True
    assert cluster.plans[-1].task == "collect"
    assert cluster.plans[-1].folder == f"{TEMP}/beambench/{alone(record)['job_name']}"


def test_a_finished_job_can_be_read_again(interrupted, clock, stub):
    stub.states = ["DONE"]
    assert attach(clock).status == "succeeded"
    assert attach(clock).status == "succeeded"


def test_an_attached_job_that_fails(interrupted, clock, stub):
    stub.states, stub.messages = ["FAILED"], [(0, failed("no quota"))]
    record = attach(clock)
    assert record.status == "failed"
    assert "no quota" in (record.error or "")


def test_an_attached_job_can_be_interrupted_again(interrupted, clock, stub):
    stub.states = ["RUNNING"]
    clock.interrupted_at = clock.now() + 5
    record = attach(clock)
    assert record.status == "cancelled"
    assert "goes on" in (record.error or "")


def test_a_job_can_be_cancelled_later(interrupted, clock, stub):
    stub.states = ["RUNNING"]
    record = attach(clock, cancel=True)
    assert record.status == "cancelled"
    assert f"job {JOB_ID} was cancelled" in (record.error or "")
    assert alone(record)["state"] == "CANCELLED"
    assert record.repeats[0].usage is not None


def test_cancelling_a_job_that_is_done_reads_it(interrupted, clock, stub):
    stub.states = ["DONE"]
    record = attach(clock, cancel=True)
    assert record.status == "succeeded"
    assert stub.requests["cancel"] == 0


def test_labels_and_command_are_those_of_the_attaching_process(interrupted, clock):
    record = attach(clock, labels={"who": "me"}, command=["beambench", "run", "--attach", JOB_ID])
    assert record.labels == {"who": "me"}
    assert record.command[-1] == JOB_ID


def test_the_definition_must_still_be_the_same(interrupted, clock):
    assert attach(clock, library=Library(), name="overhead-noop").status == "succeeded"
    with pytest.raises(UsageError, match="leave NAME out"):
        attach(clock, library=Library(), name="pytorch-image-classification-resnet101")


def test_a_job_that_there_is_not(stub):
    with pytest.raises(RunError, match="could not be found"):
        make_attach_request("2020-01-01_00_00_00-1", flags=WHERE)


@pytest.mark.parametrize(
    "job",
    [
        {},
        {"name": "somebodys-job", "environment": {}},
        {"environment": {"sdkPipelineOptions": {"options": {}}}},
        {"environment": {"sdkPipelineOptions": {"options": {"beambench_folder": "/etc"}}}},
        {"environment": {"sdkPipelineOptions": {"options": {"beambench_folder": "gs://abc/d"}}}},
    ],
)
def test_a_job_of_somebody_else(stub, job):
    stub.job = job
    with pytest.raises(UsageError, match="was not started by this beambench"):
        make_attach_request(JOB_ID, flags=WHERE)


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"beambench": "1"}'])
def test_a_job_file_of_something_else(interrupted, stub, content):
    name = next(path for path in stub.objects if path.endswith("job.json"))
    stub.objects[name] = content
    with pytest.raises(UsageError, match="was not started by this beambench"):
        make_attach_request(JOB_ID, flags=WHERE)


def test_a_job_of_another_version(interrupted, stub):
    name = next(path for path in stub.objects if path.endswith("job.json"))
    stub.objects[name] = b'{"beambench": "9.0", "plan": {"task": "submit"}}'
    with pytest.raises(RunError, match=r"beambench 9\.0 wrote it"):
        make_attach_request(JOB_ID, flags=WHERE)


def test_a_refused_job_file_is_no_other_job(interrupted, stub):
    stub.refused["object"] = 403
    with pytest.raises(BeambenchError, match="not allowed"):
        make_attach_request(JOB_ID, flags=WHERE)


def of_the_first_form(document: dict[str, Any]) -> dict[str, Any]:
    """Return a job file as beambench wrote it before plans had a type for each task."""
    plan = dict(document["plan"])
    for name in ("function", "runs_here", "variant", "profile"):
        del plan[name]
    unused = {"overwrite": False, "template_path": None, "job_metrics": None, "batch_sizes": []}
    origin = plan.pop("origin")
    return {**document, "plan": {**plan, **unused, "runner": "dataflow", "kept": origin}}


def change_job_file(stub: DataflowStub, change: Any) -> None:
    name = next(name for name in stub.objects if name.endswith("job.json"))
    stub.objects[name] = json.dumps(change(json.loads(stub.objects[name]))).encode()


def test_a_job_file_of_the_first_form_is_read(interrupted, clock, stub):
    change_job_file(stub, of_the_first_form)
    record = attach(clock)
    assert (record.status, record.error) == ("succeeded", None)
    assert record.verification.reference["compared"] == len(SAMPLE)


def test_what_a_job_file_names_is_not_imported(interrupted, clock, stub, tmp_path, monkeypatch):
    (tmp_path / "planted.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def planted(document: dict[str, Any]) -> dict[str, Any]:
        document["plan"]["function"] = "planted:run"
        document["plan"]["origin"]["record"]["config"]["definition"]["workload"] = "planted:X"
        return document

    change_job_file(stub, planted)
    assert attach(clock).status == "succeeded"
    assert "planted" not in sys.modules
    change_job_file(stub, lambda document: document | {"plan": document["plan"] | {"seed": "x"}})
    with pytest.raises(RunError, match="cannot read it"):
        make_attach_request(JOB_ID, flags=WHERE)


def test_outputs_that_are_no_numbers_reach_the_job_file(cluster, stub, clock):
    odd = [
        prediction.model_copy(update={"evidence": [math.nan, math.inf]}) for prediction in SAMPLE
    ]
    cluster.script("reference", finished(Observation(task="reference", sample=odd)))
    assert run().status == "succeeded"
    (submitted,) = [plan for plan in cluster.plans if plan.task == "submit"]
    evidence = submitted.origin.reference.sample[0].evidence
    assert math.isnan(evidence[0])
    assert evidence[1] == math.inf
    stub.states = ["DONE"]
    assert attach(clock).status == "succeeded"


def test_a_resumed_job_is_read_within_ten_minutes(interrupted, clock, cluster, stub):
    stub.states = ["DONE"]
    begin = clock.now()
    assert attach(clock, timeout=90_000.0).status == "succeeded"
    assert cluster.options[-1]["deadline"] <= begin + 700


def test_a_job_that_cannot_be_seen_is_cancelled_all_the_same(interrupted, clock, stub, monkeypatch):
    request = make_attach_request(JOB_ID, flags=WHERE, cancel=True)
    stub.states, stub.refused = ["RUNNING"], {"job": 403}
    execute_attached(request, Cancellation(), clock=clock)
    assert stub.requests["cancel"] == 1


def test_a_stored_run_of_another_runner_says_nothing_of_the_job(interrupted, clock, stub):
    stub.states = ["DONE"]
    other = interrupted.runner.model_copy(update={"requested": "direct"})
    imported = interrupted.model_copy(update={"runner": other})
    request = make_attach_request(JOB_ID, flags=WHERE, runs=[imported])
    assert execute_attached(request, Cancellation(), clock=clock).status == "succeeded"


# Where a job is


def test_flags_go_before_the_stored_run_and_that_before_the_environment(interrupted):
    there = {"GOOGLE_CLOUD_PROJECT": "other", "CLOUDSDK_COMPUTE_REGION": "europe-west1"}
    assert place_of(JOB_ID, [], there, []) == JobPlace("other", "europe-west1", JOB_ID)
    stored = [alone(interrupted)]
    assert place_of(JOB_ID, [], there, stored) == PLACE
    flags = ["--project=third", "--region", "us-east1"]
    assert place_of(JOB_ID, flags, there, stored) == JobPlace("third", "us-east1", JOB_ID)


def test_a_stored_run_says_where_its_job_is(interrupted, clock, stub, tmp_path, monkeypatch):
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    stub.states = ["DONE"]
    with RunStore.open(f"sqlite:///{tmp_path}/runs.db") as store:
        with pytest.raises(UsageError, match="no project"):
            make_attach_request(JOB_ID, runs=store.of_job(JOB_ID))
        store.add(interrupted)
        request = make_attach_request(JOB_ID, runs=store.of_job(JOB_ID))
    assert execute_attached(request, Cancellation(), clock=clock).status == "succeeded"


def test_a_job_whose_place_nothing_says():
    with pytest.raises(UsageError, match="no project"):
        place_of(JOB_ID, [], {}, [])
    with pytest.raises(UsageError, match="no region"):
        place_of(JOB_ID, ["--project=x"], {}, [])
