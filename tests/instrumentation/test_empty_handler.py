"""What a handler that does nothing shows of Beam's latency beyond ours, by a clock that stands."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from apache_beam.ml.inference.base import ModelHandler

from beambench.instrumentation import empty_handler
from beambench.instrumentation.empty_handler import CALLS, MAX_SIZE, gap_beside, latency_gap
from beambench.instrumentation.existing.transparent import TransparentModelHandler
from beambench.instrumentation.handler import InstrumentedModelHandler
from beambench.instrumentation.recorder import PlanClock
from beambench.record.observation import Distribution, LatencyGap
from raw_repeats import observe

pytestmark = pytest.mark.real

CLOCK = PlanClock(0, 1_000_000)


class Costly(ModelHandler[Any, Any, Any]):
    """Takes its time around a handler, and more of it in the first call."""

    def __init__(self, inner: Any, clock: Any, sizes: list[int], pause_at: int = -1) -> None:
        super().__init__()
        self.inner, self.clock, self.sizes, self.pause_at = inner, clock, sizes, pause_at
        self.calls = 0

    def run_inference(self, batch: Sequence[Any], model: Any, inference_args: Any = None) -> Any:
        self.clock.advance_us(30 if self.calls else 230)
        self.calls += 1
        results = self.inner.run_inference(batch, model, inference_args)
        self.sizes.append(len(batch))
        self.clock.advance_us(70 if len(self.sizes) != self.pause_at else 50_000)
        return results


@pytest.fixture
def costly(clock, monkeypatch) -> Any:
    monkeypatch.setattr(empty_handler, "time", clock)
    return partial(Costly, clock=clock)


def test_the_gap_is_what_surrounds_the_handler(costly):
    sizes: list[int] = []
    gap = latency_gap(partial(costly, sizes=sizes), 12)
    # A tenth are first calls, so the 95 % quantile is one.
    assert gap == LatencyGap(calls=CALLS, median_us=100, high_us=300, greatest_us=300)
    assert sizes == [12] * CALLS


def test_a_single_pause_is_the_greatest_and_nothing_else(costly):
    gap = latency_gap(partial(costly, sizes=[], pause_at=44), 12)
    assert (gap.median_us, gap.high_us, gap.greatest_us) == (100, 300, 50_030)


@pytest.mark.parametrize(
    ("batches", "elements", "size"), [(4, 50, 12), (1, 1, 1), (3, 10**6, MAX_SIZE), (5, 0, 1)]
)
def test_its_batches_are_as_large_as_the_mean(costly, batches, elements, size):
    sizes: list[int] = []
    measured = observe(
        batch_size=Distribution(count=batches, sum=elements, min=0, max=elements)
    ).measured
    gap_beside(measured, partial(costly, sizes=sizes))
    assert sizes == [size] * CALLS


@pytest.mark.parametrize("cls", [InstrumentedModelHandler, TransparentModelHandler])
def test_our_own_wrappers_are_measured_with_counters_that_count(cls):
    counted = observe(batch_size=Distribution(count=1, sum=3, min=3, max=3)).measured
    gap = gap_beside(counted, partial(cls, clock=CLOCK))
    assert gap.calls == CALLS
    assert gap.median_us <= gap.high_us <= gap.greatest_us


def test_without_batches_or_with_another_beam_it_is_unknown(monkeypatch):
    instrument = partial(InstrumentedModelHandler, clock=CLOCK)
    assert gap_beside(observe(batch_size=None).measured, instrument) is None
    monkeypatch.delattr("apache_beam.runners.worker.statesampler.StateSampler")
    assert gap_beside(observe().measured, instrument) is None
