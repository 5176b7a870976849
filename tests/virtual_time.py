"""A clock that stands still until told, and metrics that can be read outside a pipeline."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

EPOCH_NS = 1_700_000_000_000_000_000


class VirtualTime:
    """Stands in for the module `time`: all of its clocks go on together, in ns.

    Attributes:
        elapsed: since `EPOCH_NS`.
        cpu: time of this process.
        step: by which the wall clock alone was set.
    """

    def __init__(self) -> None:
        self.elapsed = 0
        self.cpu = 0
        self.step = 0

    def advance(self, duration: int, cpu_share: float = 0.5) -> None:
        self.elapsed += duration
        self.cpu += int(duration * cpu_share)

    def advance_us(self, microseconds: int, cpu_share: float = 0.5) -> None:
        self.advance(microseconds * 1000, cpu_share)

    def time_ns(self) -> int:
        return EPOCH_NS + self.elapsed + self.step

    def perf_counter_ns(self) -> int:
        return 10**15 + self.elapsed

    monotonic_ns = perf_counter_ns

    def process_time_ns(self) -> int:
        return self.cpu

    thread_time_ns = process_time_ns


class VirtualMetrics:
    """Stands in for Beam's `Metrics`: keeps all values by name, and adds up as a runner does."""

    def __init__(self) -> None:
        self.counters: dict[str, int] = defaultdict(int)
        self.values: dict[str, list[int]] = defaultdict(list)
        self.namespaces: set[str] = set()

    def counter(self, namespace: str, name: str) -> Any:
        self.namespaces.add(namespace)

        def inc(amount: int = 1) -> None:
            self.counters[name] += amount

        return SimpleNamespace(inc=inc)

    def distribution(self, namespace: str, name: str) -> Any:
        self.namespaces.add(namespace)

        def update(value: int) -> None:
            self.values[name].append(value)

        return SimpleNamespace(update=update)

    def histogram(self, name: str) -> dict[int, int]:
        prefix = f"{name}/"
        return {
            int(key.removeprefix(prefix)): count
            for key, count in self.counters.items()
            if key.startswith(prefix)
        }

    def query(self) -> dict[str, list[Any]]:
        """Return what a runner's result says of them."""
        from beambench.instrumentation.recorder import NAMESPACE

        def entry(name: str, result: Any) -> Any:
            metric = SimpleNamespace(namespace=NAMESPACE, name=name)
            return SimpleNamespace(
                key=SimpleNamespace(step="S", metric=metric), result=result, committed=result
            )

        return {
            "counters": [entry(name, value) for name, value in self.counters.items()],
            "distributions": [
                entry(
                    name,
                    SimpleNamespace(
                        count=len(values), sum=sum(values), min=min(values), max=max(values)
                    ),
                )
                for name, values in self.values.items()
            ],
        }


@contextmanager
def on_virtual_time(clock: VirtualTime) -> Iterator[None]:
    """Put a clock in place of the instrumentation's, as in a new process."""
    from beambench.instrumentation import elements, handler, recorder

    with (
        mock.patch.object(elements, "time", clock),
        mock.patch.object(handler, "time", clock),
        mock.patch.object(recorder, "time", clock),
        mock.patch.object(recorder, "PROCESS_CPU", recorder.ProcessCpu()),
        mock.patch.object(recorder, "WALL_CLOCK", recorder.WallClock()),
    ):
        yield


@contextmanager
def writing_to(metrics: VirtualMetrics) -> Iterator[None]:
    """Let the instrumentation write into these metrics."""
    from beambench.instrumentation import recorder, stage_cpu

    with (
        mock.patch.object(recorder, "Metrics", metrics),
        mock.patch.object(stage_cpu, "Metrics", metrics),
    ):
        yield
