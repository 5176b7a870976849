"""Beam's own client and cost benchmark read the same job from the stub as ours do.

So the stub answers in the shapes of the published API (Beam's client parses them strictly), and
what we read of them is what Beam reads.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from beambench.runners.dataflow.service.follow import between, follow
from beambench.runners.dataflow.service.usage import service_metrics
from beambench.times import parse_time
from dataflow_stub import (
    ALL_STARTED,
    JOB_ID,
    PROJECT,
    REGION,
    DataflowStub,
    all_service,
    failed,
    message,
    user,
)

pytestmark = pytest.mark.real

SIZES = {"count": 4, "sum": 40, "min": 10, "max": 10, "mean": 10.0}


@pytest.fixture
def beams(stub: DataflowStub, monkeypatch: pytest.MonkeyPatch, bucket: str) -> Any:
    """Beam's client, which takes the stub for the service."""
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient

    flags = [
        *("--runner=DataflowRunner", f"--project={PROJECT}", f"--region={REGION}"),
        *(f"--dataflow_endpoint={stub.url}", f"--temp_location={bucket}/temp"),
        *(f"--staging_location={bucket}/staging", "--job_name=x", "--no_auth"),
    ]
    return DataflowApplicationClient(PipelineOptions(flags))


def test_states(beams, client, stub):
    for state in ("QUEUED", "RUNNING", "RESOURCE_CLEANING_UP", "DRAINED"):
        stub.states = [state]
        assert beams.get_job(JOB_ID).current_state.name == client.job()["currentState"]


def test_metrics_with_the_names_of_their_transforms(beams, client, stub):
    from apache_beam.runners.dataflow.dataflow_metrics import DataflowMetrics

    from beambench.runners.dataflow.beam.collect import query_of, step_names

    committed = [
        *all_service(),
        user("num_inferences", 40, "s2", "BeamML_x"),
        user("inference_request_batch_size", SIZES, "s2", "BeamML_x"),
        user("inference_request_batch_size_MAX", 10, "s2", "BeamML_x"),
        user("read_ns", 7, "s1"),
    ]
    stub.metrics = [[*map(tentative, committed), *committed]]  # Beam fails without either
    stub.job["steps"] = [
        {"name": name, "kind": "ParallelDo", "properties": {"user_name": user_name}}
        for name, user_name in (("s1", "Read"), ("s2", "Infer/BeamML_RunInference"))
    ]
    proto = beams.get_job(JOB_ID)
    graph = SimpleNamespace(
        proto=SimpleNamespace(steps=client_steps(client)),
        proto_pipeline=SimpleNamespace(components=SimpleNamespace(transforms={})),
    )
    ended = SimpleNamespace(job_id=lambda: JOB_ID, is_in_terminal_state=lambda: True)
    theirs = DataflowMetrics(beams, ended, graph)
    assert proto.id == JOB_ID
    ours = query_of(client.metrics(), step_names(client.job(), []))
    assert flat(ours) == flat(theirs.query())
    assert len(flat(ours)) == 3
    whole_job = {
        entry.key.metric.name: float(entry.committed)
        for entry in theirs.all_metrics(JOB_ID)
        if entry.key.step == "" and entry.key.metric.namespace == "dataflow/v1b3"
    }
    assert whole_job == service_metrics(client.metrics())


def tentative(update: Any) -> Any:
    """Return what was attempted: of scalars more than was committed."""
    name = {**update["name"], "context": {**update["name"]["context"], "tentative": "true"}}
    attempted = {"scalar": update["scalar"] + 4} if "scalar" in update else {}
    return {**update, "name": name, **attempted}


def client_steps(client: Any) -> list[Any]:
    return [SimpleNamespace(**step) for step in client.job()["steps"]]


def flat(query: Any) -> set[tuple[Any, ...]]:
    return {
        (entry.key.step, entry.key.metric.namespace, entry.key.metric.name, str(entry.result))
        for kind in ("counters", "distributions")
        for entry in query[kind]
    }


def test_the_times_of_the_workers(beams, client, stub, clock):
    from apache_beam.testing.load_tests.dataflow_cost_benchmark import DataflowCostBenchmark

    stub.page_size = 2
    stub.messages = [
        (0, message("Worker configuration: n1-standard-2.", "2026-01-31T09:02:05.1Z", "DETAILED")),
        (0, message(ALL_STARTED, "2026-01-31T09:05:00Z", "DETAILED")),
        (0, message(ALL_STARTED, "2026-01-31T09:04:00.25Z", "DETAILED")),
        (0, failed("Traceback (most recent call last):\nValueError: x")),
        (0, message("Stopping worker pool...", "2026-01-31T09:11:00Z", "DEBUG")),
        (0, message("Stopping worker pool...", "2026-01-31T09:11:30.5Z")),
        (0, message("Worker pool stopped.", "2026-01-31T09:11:40Z")),
    ]
    ours = follow(client, clock, float("inf")).messages
    benchmark: Any = object.__new__(DataflowCostBenchmark)
    benchmark.dataflow_client, benchmark.is_streaming = beams, False
    benchmark.multi_worker_pool = True
    begin, end = benchmark._get_worker_time_interval(JOB_ID)
    assert ours.workers_started is not None
    assert ours.workers_stopped is not None
    assert begin.timestamp() == parse_time(ours.workers_started).timestamp()
    assert end.timestamp() == parse_time(ours.workers_stopped).timestamp()
    seconds = benchmark._get_job_runtime(begin, end)
    assert seconds == between(ours.workers_started, ours.workers_stopped) == 450.25


def test_cancelling(beams, stub):
    stub.states = ["RUNNING"]
    assert beams.modify_job_state(JOB_ID, "JOB_STATE_CANCELLED")
    assert stub.requests["cancel"] == 1


def test_a_job_that_there_is_not(beams):
    from google.api_core.exceptions import NotFound

    with pytest.raises(NotFound, match="could not be found"):
        beams.get_job_metrics.__wrapped__(beams, "2020-01-01_00_00_00-1")
