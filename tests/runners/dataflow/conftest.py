from __future__ import annotations

from collections.abc import Iterator

import pytest

from beambench.runners.dataflow.service.client import Endpoints, JobClient, JobPlace
from dataflow_stub import JOB_ID, PROJECT, REGION, DataflowStub, dataflow
from fake_clock import FakeClock


@pytest.fixture
def stub() -> Iterator[DataflowStub]:
    with dataflow() as service:
        yield service


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def client(stub: DataflowStub, clock: FakeClock) -> JobClient:
    endpoints = Endpoints(stub.url, stub.url, stub.url)
    return JobClient(JobPlace(PROJECT, REGION, JOB_ID), endpoints, clock.wait)
