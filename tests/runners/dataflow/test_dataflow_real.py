"""A whole run on a stand-in for Dataflow that really runs what Beam's own client submits to it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import run_staged_pipeline
from beambench.cli.main import execute
from beambench.inputs import files
from beambench.record.run_record import RunRecord
from beambench.runners.dataflow.service.client import Endpoints
from beambench.store.run_store import RunStore
from dataflow_stub import JOB_ID, PROJECT, REGION, DataflowStub, all_service, dataflow
from fast_runs import command_line, lay_out, python_path, wait_until

pytestmark = pytest.mark.real

STORE = "sqlite:///runs.db"
CLUSTER = ("machine_type=n1-standard-2", "workers=2", "disk_gb=50", f"project={PROJECT}")


class Service:
    """Runs the pipeline that a job names, and lets the stub say how it goes."""

    def __init__(self, stub: DataflowStub, folder: Path) -> None:
        self.stub, self.folder = stub, folder
        self.process: subprocess.Popen[bytes] | None = None
        self.holds = False
        stub.on_create, stub.current = self.begin, self.state

    def begin(self, body: Any) -> None:
        staged = self.folder / "pipeline.pb"
        url = body["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
        staged.write_bytes(files.read_bytes(url))
        with self.metrics.open("wb") as out, self.log.open("wb") as log:
            program = [sys.executable, run_staged_pipeline.__file__, str(staged)]
            self.process = subprocess.Popen(program, stdout=out, stderr=log)

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.json"

    @property
    def log(self) -> Path:
        return self.folder / "service.log"

    def state(self) -> str:
        assert self.process is not None
        if self.stub.requests["cancel"]:
            return "CANCELLED"
        if self.holds or self.process.poll() is None:
            return "RUNNING"
        if self.process.returncode:
            return "FAILED"
        self.stub.metrics = [[*all_service(), *json.loads(self.metrics.read_text())]]
        return "DONE"

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def service(tmp_path, monkeypatch, bucket) -> Iterator[Service]:
    lay_out(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", python_path(tmp_path / "mine"))
    monkeypatch.setenv("PYTHONPATH", python_path(tmp_path / "mine" / "hidden"))
    monkeypatch.setattr("beambench.runners.dataflow.service.follow.POLL_SECONDS", 0.1)
    monkeypatch.setattr("beambench.runners.dataflow.job.SETTLE_SECONDS", 1.0)
    monkeypatch.setattr("beambench.runners.dataflow.job.SETTLE_POLL_SECONDS", 0.1)
    monkeypatch.setattr("beambench.runners.dataflow.service.usage.SETTLE_POLL_SECONDS", 0.1)
    with dataflow() as stub:
        for name, value in stub.environment.items():
            monkeypatch.setenv(name, value)
        stub.series = {"element_count": [{"doubleValue": 100.0}]}
        stubbed = Service(stub, tmp_path)
        yield stubbed
        stubbed.end()


def words(service: Service, bucket: str) -> list[str]:
    """Return the command line of a run."""
    sets = [f"--set=cluster.{setting}" for setting in (*CLUSTER, f"temp_location={bucket}/temp")]
    chosen = ["run", "mine/fast-numbers.yaml", "--runner", "dataflow", "--profile", "smoke"]
    endpoint = ["--", f"--dataflow_endpoint={service.stub.url}"]
    return [*chosen, *sets, "--store", STORE, *endpoint]


def run(service: Service, bucket: str) -> tuple[int, RunRecord]:
    code = execute(words(service, bucket))
    return code, stored()[0]


def stored() -> list[RunRecord]:
    with RunStore.open(STORE) as store:
        return store.history("fast-numbers")


def test_a_job_is_submitted_followed_collected_and_verified(service, bucket, capsys):
    code, record = run(service, bucket)
    printed = capsys.readouterr()
    assert code == 0, (record.error, service.log.read_text()[-3000:])
    assert (record.status, record.warnings[-1:]) == (
        "succeeded",
        [
            "AvgThroughputBytes of RunInference/BeamML_RunInference_Postprocess-0.out0 unknown: "
            "the service gave none"
        ],
    )
    proven = record.verification
    assert proven.passed
    assert (proven.elements_in, proven.elements_out, proven.missing) == (200, 200, 0)
    assert 32 <= proven.reference["compared"] <= 200  # as many as cost little here
    (repeat,) = record.repeats
    assert repeat.usage is not None
    assert repeat.usage.memory_gb_seconds == 4050.0
    assert_counts_agree(repeat.cross_check)
    inferences = repeat.beam_metrics["num_inferences"]
    assert inferences["value"] == 200
    assert inferences["step"] == "RunInference/BeamML_RunInference"
    assert repeat.beam_metrics["AvgThroughputElements"]["value"] == 100.0
    assert repeat.runner["job_name"].startswith("beambench-fast-numbers-")
    assert sum(repeat.batch_sizes) == 200
    assert f"jobs/{REGION}/{JOB_ID}?project={PROJECT}" in printed.err


def assert_counts_agree(check: dict[str, Any]) -> None:
    """Latencies are compared by a clock of their own in `test_conformance.py`."""
    differences = check["differences"]
    assert [line for line in differences if not line.startswith("batch latency: ")] == []
    assert check["reason"] == "latency: no handler that does nothing was measured beside it"


def test_a_job_outlives_the_process_that_started_it(service, bucket, tmp_path, capsys):
    service.holds = True
    with command_line(tmp_path, *words(service, bucket)) as started:
        wait_until(lambda: service.stub.looks or started.has_ended, 120)
        assert not started.has_ended, started.errors
        started.process.kill()
        started.end()
    service.holds = False
    assert stored() == []
    where = ("--", f"--project={PROJECT}", f"--region={REGION}")
    code = execute(["run", "--attach", JOB_ID, "--store", STORE, *where])
    assert code == 0, (capsys.readouterr().err, service.log.read_text()[-3000:])
    (record,) = stored()
    assert record.status == "succeeded"
    assert record.verification.passed
    assert 32 <= record.verification.reference["compared"] <= 200
    assert record.config["attached"] == JOB_ID
    # Where the job is, the stored run now knows; and the definition is still what it was.
    again = ["run", "mine/fast-numbers.yaml", "--attach", JOB_ID, "--store", STORE]
    assert execute(again) == 0, capsys.readouterr().err
    assert stored()[0].definition_hash == record.definition_hash


def test_ctrl_c_ends_the_job_when_told_to(service, bucket, tmp_path):
    service.holds = True
    *before, separator, endpoint = words(service, bucket)
    with command_line(tmp_path, *before, "--on-stop", "cancel", separator, endpoint) as started:
        wait_until(lambda: service.stub.looks or started.has_ended, 120)
        started.process.send_signal(signal.SIGINT)
        assert started.end() == 130, started.errors
        assert f"interrupted: job {JOB_ID} was cancelled" in started.errors
    (record,) = stored()
    assert record.status == "cancelled"
    (repeat,) = record.repeats
    assert (repeat.runner["state"], repeat.runner["cancelled_by_us"]) == ("CANCELLED", True)
    assert repeat.usage is not None
    assert repeat.usage.vcpu_seconds == 1080.0


def test_a_quota_that_is_used_up(service, bucket, capsys):
    service.stub.refused["create"] = 429
    code, record = run(service, bucket)
    assert (code, record.status) == (3, "failed")
    assert "429" in (record.error or "")
    assert record.repeats == []


def test_nothing_goes_to_the_real_service(service):
    chosen = Endpoints.chosen()
    assert {chosen.dataflow, chosen.monitoring} == {service.stub.url}
