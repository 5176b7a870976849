"""The endpoint, the client that talks to it, and Beam's handler around both."""

from __future__ import annotations

import http.client
import os
import pickle
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from beambench.definition.library import Library
from beambench.definition.schema import Definition
from beambench.errors import UsageError
from beambench.instrumentation.handler import InstrumentedModelHandler
from beambench.instrumentation.recorder import PlanClock
from beambench.workloads.base import Weights
from beambench.workloads.registry import check_workload
from beambench.workloads.remote.endpoint import RemoteEndpoint
from beambench.workloads.remote.handler import (
    Connection,
    EndpointModelHandler,
    RefusedError,
    is_retriable,
)
from beambench.workloads.remote.server import Endpoint, scores
from served import serving

pytestmark = pytest.mark.real

ROWS = [[float(column + row) for column in range(20)] for row in range(3)]


@contextmanager
def endpoint(fail_every: int = 0) -> Iterator[Endpoint]:
    server = Endpoint(0.0, fail_every)
    with serving(server):
        yield server


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Beam's retries note how long they would wait, and do not."""
    waits: list[float] = []
    monkeypatch.setattr("apache_beam.utils.retry.Clock.sleep", lambda _, value: waits.append(value))
    return waits


def definition(**changed: Any) -> Definition:
    whole = Library().resolve("remote-endpoint", profile="smoke").definition.model_dump()
    for section, values in changed.items():
        whole[section] = {**whole[section], **values}
    return Definition.model_validate(whole)


def test_scores_are_a_function_of_the_row():
    assert scores([1.0, *[0.0] * 9, 2.0]) == [3.0, *[0.0] * 9]


def test_a_batch_is_one_request_and_the_connection_is_kept():
    with endpoint() as server:
        client = Connection(server.server_port)
        first = client.predict(ROWS)
        connection = client._connection.sock
        assert client.predict(ROWS) == first == [scores(row) for row in ROWS]
        assert client._connection.sock is connection
        assert next(server._requests) == 3


def test_threads_that_share_a_client_do_not_share_its_connection():
    with endpoint() as server, ThreadPoolExecutor(1) as thread:
        client = Connection(server.server_port)
        expected = [scores(row) for row in ROWS]
        assert client.predict(ROWS) == thread.submit(client.predict, ROWS).result() == expected
        theirs = thread.submit(lambda: client._connection).result()
        assert theirs.sock is not None
        assert theirs is not client._connection


def test_an_error_of_the_request_is_not_tried_again(no_waiting):
    with endpoint() as server:
        handler = EndpointModelHandler(server.server_port)
        with pytest.raises(RefusedError, match="HTTP 400"):
            handler.run_inference(["no row"], handler.load_model())
    assert no_waiting == []


def test_a_refused_request_is_tried_again_by_beam(no_waiting):
    with endpoint(fail_every=2) as server:
        handler = EndpointModelHandler(server.server_port)
        client = handler.load_model()
        for _ in range(2):
            predictions = handler.run_inference(ROWS, client)
            assert [prediction.inference for prediction in predictions] == [
                scores(row) for row in ROWS
            ]
    assert len(no_waiting) == 1
    assert 2.5 <= no_waiting[0] <= 5


def test_the_handler_behaves_in_our_wrapper_as_it_does_alone(no_waiting):
    with endpoint(fail_every=3) as server:
        inner = EndpointModelHandler(server.server_port, min_batch_size=2, max_batch_size=4)
        wrapped = InstrumentedModelHandler(inner, PlanClock(0, 1_000_000))
        client = wrapped.load_model()
        batches = [wrapped.run_inference(ROWS, client) for _ in range(4)]
        for predictions in batches:
            assert [prediction.inference for prediction in predictions] == [
                scores(row) for row in ROWS
            ]
        assert next(server._requests) == 6  # four batches, one refused and sent again
    assert len(no_waiting) == 1
    for method in ("get_metrics_namespace", "batch_elements_kwargs", "model_copies"):
        assert getattr(wrapped, method)() == getattr(inner, method)()
    assert wrapped.batch_elements_kwargs() == {"min_batch_size": 2, "max_batch_size": 4}


def test_a_lost_connection_is_opened_again(no_waiting):
    with endpoint() as server:
        handler = EndpointModelHandler(server.server_port)
        client = handler.load_model()
        client.predict(ROWS)
        client._connection.sock.shutdown(2)
        assert len(list(handler.run_inference(ROWS, client))) == len(ROWS)
    assert len(no_waiting) == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RefusedError(400, "bad"), False),
        (RefusedError(404, "gone"), False),
        (RefusedError(429, "slow down"), True),
        (RefusedError(503, "overloaded"), True),
        (ConnectionResetError(), True),
        (http.client.RemoteDisconnected(), True),
        (KeyError("predictions"), False),
    ],
)
def test_what_may_be_tried_again(error, expected):
    assert is_retriable(error) is expected


def test_an_error_travels():
    copy = pickle.loads(pickle.dumps(RefusedError(503, "busy: try later")))
    assert (copy.status, str(copy)) == (503, "HTTP 503: busy: try later")


def test_the_endpoint_starts_once_and_ends_with_its_standard_input():
    workload = RemoteEndpoint(definition(parameters={"latency_ms": 0}), Weights(None))
    handlers = [workload.model_handler() for _ in range(2)]
    assert handlers[0]._port == handlers[1]._port
    (prediction,) = handlers[0].run_inference(ROWS[:1], handlers[0].load_model())
    assert workload.postprocess(prediction) == 9
    assert workload.evidence(prediction) == scores(ROWS[0])
    copy = pickle.loads(pickle.dumps(workload))
    assert copy.model_handler()._port == handlers[0]._port  # what travels starts no second one
    server = workload._server
    assert server is not None
    assert server.stdin is not None
    server.stdin.close()
    assert server.wait(20) == 0


def test_an_endpoint_that_is_killed_is_an_error_and_no_hang(no_waiting):
    workload = RemoteEndpoint(definition(), Weights(None))
    handler = workload.model_handler()
    server = workload._server
    assert server is not None
    os.kill(server.pid, signal.SIGKILL)
    server.wait(20)
    with pytest.raises(ConnectionRefusedError):
        handler.run_inference(ROWS, handler.load_model())
    assert len(no_waiting) == 5  # Beam's number of retries


def test_a_bad_row_fails_before_it_is_sent():
    workload = RemoteEndpoint(definition(parameters={"columns": 2}), Weights(None))
    assert workload.preprocess(b"1,2") == [1.0, 2.0]
    with pytest.raises(ValueError, match="3 numbers, not 2"):
        workload.preprocess(b"1,2,3")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"model": {"weights": "random"}}, "behind an endpoint"),
        ({"model": {"large": True}}, "no model is loaded here"),
        ({"model": {"copies": 2}}, "no model is loaded here"),
        ({"parameters": {"latency_ms": -1}}, "greater than or equal to 0"),
        ({"parameters": {"fail_every": 1}}, "greater than or equal to 2"),
    ],
)
def test_a_definition_that_cannot_be_right(changed, words):
    with pytest.raises(UsageError) as caught:
        check_workload(definition(**changed))
    assert words in str(caught.value)


def test_the_cpu_time_of_the_client_is_not_that_of_the_work():
    wrapped = InstrumentedModelHandler(EndpointModelHandler(1), PlanClock(0, 1_000_000))
    assert wrapped._cpu_of() == "unknown"
