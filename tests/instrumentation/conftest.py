"""A clock that stands still until told, and metrics that can be read outside a pipeline."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest


class FakeTime:
    """Stands in for the module `time`; all of its clocks go on together, in ns."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000_000
        self.cpu = 0

    def advance_us(self, microseconds: int, cpu_share: float = 0.5) -> None:
        self.now += microseconds * 1000
        self.cpu += int(microseconds * 1000 * cpu_share)

    def time_ns(self) -> int:
        return self.now

    perf_counter_ns = time_ns
    monotonic_ns = time_ns

    def process_time_ns(self) -> int:
        return self.cpu


class FakeMetrics:
    """Stands in for Beam's `Metrics`: keeps all values by name."""

    def __init__(self) -> None:
        self.counters: dict[str, int] = defaultdict(int)
        self.values: dict[str, list[int]] = defaultdict(list)
        self.namespaces: set[str] = set()

    def counter(self, namespace: str, name: str) -> Any:
        self.namespaces.add(namespace)
        metrics = self

        class Counter:
            def inc(self, amount: int = 1) -> None:
                metrics.counters[name] += amount

        return Counter()

    def distribution(self, namespace: str, name: str) -> Any:
        self.namespaces.add(namespace)
        metrics = self

        class Distribution:
            def update(self, value: int) -> None:
                metrics.values[name].append(value)

        return Distribution()

    def histogram(self, name: str) -> dict[int, int]:
        prefix = f"{name}/"
        return {
            int(key.removeprefix(prefix)): count
            for key, count in self.counters.items()
            if key.startswith(prefix)
        }


@pytest.fixture
def clock(monkeypatch) -> FakeTime:
    from beambench.instrumentation import elements, handler, recorder

    fake = FakeTime()
    for module in (elements, handler, recorder):
        monkeypatch.setattr(module, "time", fake)
    monkeypatch.setattr(recorder, "PROCESS_CPU", recorder.ProcessCpu())
    monkeypatch.setattr(recorder, "WALL_CLOCK", recorder.WallClock())
    return fake


@pytest.fixture
def metrics(monkeypatch) -> FakeMetrics:
    from beambench.instrumentation import recorder

    fake = FakeMetrics()
    monkeypatch.setattr(recorder, "Metrics", fake)
    return fake
