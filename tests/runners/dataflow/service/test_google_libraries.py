"""Why the REST client is our own: what decided against each of Google's libraries still holds.

A failure here is no fault of ours: a library has changed, and `docs/architecture.md` ("Why the
Dataflow client is our own") is to be judged anew.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from dataflow_stub import JOB_ID, PROJECT, REGION, DataflowStub

pytestmark = pytest.mark.real

JOB = {"project_id": PROJECT, "location": REGION, "job_id": JOB_ID}
Answer = Callable[[Any], None]


@pytest.fixture
def answer(stub: DataflowStub, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Make the stub answer every request with one document."""

    def set_answer(document: Any) -> None:
        monkeypatch.setattr(stub, "answer", lambda *_: (200, document))

    return set_answer


def of_dataflow(name: str, stub: DataflowStub) -> Any:
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import dataflow

    options = ClientOptions(api_endpoint=stub.url)
    return getattr(dataflow, name)(
        credentials=AnonymousCredentials(), transport="rest", client_options=options
    )


def as_json(message: Any) -> Any:
    """Return a message as the library writes it back in the names of the REST interface."""
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(type(message).pb(message))


@pytest.mark.parametrize(
    ("said", "read"), [("JOB_STATE_OF_NEXT_YEAR", None), (4711, 4711)], ids=["name", "number"]
)
def test_the_dataflow_library_has_no_name_for_a_new_state(stub, client, answer, said, read):
    answer({"id": JOB_ID, "currentState": said})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        job = of_dataflow("JobsV1Beta3Client", stub).get_job(request=JOB)
        assert as_json(job).get("currentState") == read
    assert client.state()["currentState"] == said


def test_the_dataflow_library_rewrites_times(stub, client):
    job = of_dataflow("JobsV1Beta3Client", stub).get_job(request=JOB)
    assert as_json(job)["createTime"] == "2026-01-31T09:02:03.500Z"
    assert client.state()["createTime"] == "2026-01-31T09:02:03.5Z"


def test_the_dataflow_library_drops_new_kinds_of_metrics_and_rounds_numbers(stub, client, answer):
    name = {"origin": "user", "name": "x"}
    updates = [{"name": name, "scalar": 2**53 + 1}, {"name": name, "kindOfNextYear": {"y": 2}}]
    answer({"metrics": updates})
    library = of_dataflow("MetricsV1Beta3Client", stub)
    read = as_json(library.get_job_metrics(request=JOB))["metrics"]
    assert read == [{"name": name, "scalar": float(2**53)}, {"name": name}]
    assert json.dumps(client.metrics()) == json.dumps(updates)


def test_the_dataflow_library_takes_a_redirect_for_a_job(stub):
    stub.refused["job"] = 302
    assert as_json(of_dataflow("JobsV1Beta3Client", stub).get_job(request=JOB)) == {}


def test_the_dataflow_library_goes_to_this_machine_through_a_proxy(stub, monkeypatch):
    from requests.exceptions import ProxyError

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(ProxyError):
        of_dataflow("JobsV1Beta3Client", stub).get_job(request=JOB)


def test_a_signal_does_not_end_the_wait_of_the_libraries_retries(stub, monkeypatch):
    from google.api_core.exceptions import RetryError
    from google.api_core.retry import Retry

    stub.refused["job"] = 503
    told: list[float] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: told.append(time.monotonic()))
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        monkeypatch.setattr("random.uniform", lambda low, high: high)
        retry = Retry(predicate=lambda _: True, initial=0.4, maximum=0.4, timeout=0.6)
        with pytest.raises(RetryError):
            of_dataflow("JobsV1Beta3Client", stub).get_job(request=JOB, retry=retry)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    assert time.monotonic() - told[0] > 0.2
    assert stub.requests["job"] == 2


def test_the_monitoring_library_speaks_grpc_alone():
    from google.cloud.monitoring_v3 import MetricServiceClient

    with pytest.raises(KeyError):
        MetricServiceClient.get_transport_class("rest")


def test_the_storage_library_asks_for_more_than_the_object(stub):
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client

    options = {"api_endpoint": stub.url}
    library = Client(PROJECT, AnonymousCredentials(), client_options=options)
    blob = library.bucket("bucket").blob("proof.json")
    with pytest.raises(Exception, match="404"):
        blob.download_as_bytes(retry=None)
    end = time.monotonic() + 5
    while len(stub.seen) < 2 and time.monotonic() < end:
        time.sleep(0.01)  # the other request is made by a thread
    assert any(target.startswith("/storage/v1/b/bucket?") for _, target, _ in stub.seen)
