"""The clock and the metrics of the instrumentation, for tests to move and to read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from virtual_time import VirtualMetrics, VirtualTime, on_virtual_time, writing_to


@pytest.fixture
def clock() -> Iterator[VirtualTime]:
    clock = VirtualTime()
    with on_virtual_time(clock):
        yield clock


@pytest.fixture
def metrics() -> Iterator[VirtualMetrics]:
    metrics = VirtualMetrics()
    with writing_to(metrics):
        yield metrics
