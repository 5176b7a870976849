"""By how much Beam's latency of a batch exceeds ours here, if the handler does nothing.

Beam's clock also runs while batches are unpacked, counted and packed. How long that takes, and how
far it spreads, is a matter of the machine and of what else runs on it: so it is measured there,
after the pipeline, in the same process.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from apache_beam.ml.inference.base import KeyedModelHandler, ModelHandler

from beambench.record.observation import LatencyGap, Measured

CALLS = 100
CALLS_OF_A_HANDLER = 10
"""Its first call costs more, as the first batch of a worker does: so a tenth are first ones."""

MAX_SIZE = 1000
CACHE = bytes(2 << 20)
"""Copied in each call, so that what surrounds it finds caches as cold as after a model."""

HIGH_SHARE = 0.95
"""A quantile; what is above are pauses of the interpreter and of the machine."""

Instrument = Callable[[ModelHandler[Any, Any, Any]], ModelHandler[Any, Any, Any]]


class EmptyHandler(ModelHandler[Any, Any, Any]):
    """Gives each batch back as it is, and notes how long that took."""

    def __init__(self) -> None:
        super().__init__()
        self.duration_ns = 0
        self._memory = bytearray(CACHE)

    def load_model(self) -> None:
        """There is none."""

    def run_inference(
        self, batch: Sequence[Any], model: Any, inference_args: dict[str, Any] | None = None
    ) -> list[Any]:
        start = time.perf_counter_ns()
        self._memory[:] = CACHE
        results = list(batch)
        self.duration_ns = time.perf_counter_ns() - start
        return results


def gap_beside(measured: Measured, instrument: Instrument) -> LatencyGap | None:
    """Measure the empty handler with batches of the mean size of those that were measured.

    Returns:
        None if there was no batch, or if this version of Beam counts otherwise than those known.
    """
    sizes = measured.batch_size
    if sizes is None:
        return None
    try:
        return latency_gap(instrument, round(sizes.sum / sizes.count))
    except (ImportError, AttributeError, TypeError):
        return None


def latency_gap(instrument: Instrument, size: int) -> LatencyGap:
    """Measure batches of an empty handler from outside, as Beam does, and from inside.

    Args:
        instrument: puts the wrapper around the handler that measures the model's.
        size: elements of a batch.
    """
    batch = [(str(number), number) for number in range(min(max(size, 1), MAX_SIZE))]
    gaps_us = []
    with _counting():
        for call in range(CALLS):
            if call % CALLS_OF_A_HANDLER == 0:
                empty = EmptyHandler()
                handler = KeyedModelHandler(instrument(empty))
            start = time.time_ns()
            list(handler.run_inference(batch, None, None))
            gaps_us.append((time.time_ns() - start - empty.duration_ns) / 1000)
    gaps_us.sort()
    return LatencyGap(
        calls=CALLS,
        median_us=gaps_us[CALLS // 2],
        high_us=gaps_us[round(HIGH_SHARE * CALLS) - 1],
        greatest_us=gaps_us[-1],
    )


@contextlib.contextmanager
def _counting() -> Iterator[None]:
    """Let counters count as in a bundle of Beam's, into a container that nobody reads."""
    from apache_beam.metrics.execution import MetricsContainer
    from apache_beam.runners.worker.statesampler import StateSampler
    from apache_beam.utils.counters import CounterFactory

    sampler = StateSampler("empty_handler", CounterFactory())
    container = MetricsContainer("empty_handler")
    state = sampler.scoped_state("empty_handler", "process", metrics_container=container)
    sampler.start()
    try:
        with state:
            yield
    finally:
        sampler.stop()
