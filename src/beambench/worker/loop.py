"""The reference: the same work without Beam, a bare loop over the same functions and handler."""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from apache_beam.ml.inference.base import PredictionResult

from beambench.analysis.histogram import bucket
from beambench.inputs.elements import Element
from beambench.instrumentation.beam_metrics import CPU_ELSEWHERE
from beambench.instrumentation.device import (
    check_device,
    counter_of,
    device_of,
    devices_of,
    synchronise,
)
from beambench.instrumentation.elements import Output, counted, label_of
from beambench.instrumentation.failures import ElementFailure, failure, miscounted, one_by_one
from beambench.instrumentation.recorder import CLOCK_GRAIN_US, PlanClock, Progress, WallClock
from beambench.machine.tree_cpu import TreeCpu
from beambench.record.observation import BatchSizeRates, Distribution, Measured
from beambench.workloads.base import Workload

CALIBRATION_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
CALIBRATION_SECONDS = 2.0
"""Least time for one batch size: enough batches that its rate can be told from its neighbours'."""

Loaded = tuple[Any, Any]
"""A model handler and the model that it loaded."""


@dataclass
class LoopTimes:
    """What the loop notes, once a batch: far less than the pipeline's instrumentation."""

    first_read: int = 0
    clock_moved: int = 0
    last_output: int = 0
    cpu_us: int | None = None
    cpu_unknown: str | None = None
    loads_us: list[int] = field(default_factory=list)
    server_starts_us: list[int] = field(default_factory=list)
    quantities: Counter[str] = field(default_factory=Counter)
    bytes_read: int = 0
    sizes: list[int] = field(default_factory=list)
    replaced: list[int] = field(default_factory=list)
    computed: list[int] = field(default_factory=list)
    latencies_ns: list[int] = field(default_factory=list)
    launches_ns: list[int] = field(default_factory=list)
    devices: Counter[str] = field(default_factory=Counter)
    retried: int = 0
    retry_cause: str | None = None
    empty: int = 0

    def note_sizes(self, formed: int, computed: Sequence[int] | None) -> None:
        """Note a batch, and the sizes of the calls that gave results where that is not the one."""
        self.sizes.append(formed)
        if computed is not None:
            self.replaced.append(formed)
            self.computed += computed


def replayed(sizes: Sequence[int]) -> Iterator[int]:
    """Yield batch sizes: those recorded, in order, and the last one for whatever is left."""
    if not sizes or min(sizes) < 1:
        raise ValueError(f"batch sizes to replay must be 1 or more, not {list(sizes)}")
    yield from sizes
    yield from itertools.repeat(sizes[-1])


def run(
    workload: Workload,
    elements: Sequence[Element],
    sizes: Sequence[int],
    clock: PlanClock,
    sample: frozenset[str] = frozenset(),
    is_enough: Callable[[int], bool] = lambda done: False,
) -> tuple[list[Output], Measured]:
    """Run the work over all elements in batches of the given sizes, or until that is enough."""
    times = LoopTimes()
    models = _load(workload, times)
    outputs: list[Output] = []
    position = 0
    chosen = replayed(sizes)
    wall_clock = WallClock()
    wall_clock.moved_us()
    cpu_us = _cpu_clock(workload, models)
    cpu_start = cpu_us()
    times.first_read = clock.offset_us()
    while position < len(elements) and not is_enough(position):
        batch = elements[position : position + next(chosen)]
        position += len(batch)
        outputs += _batch(workload, models, batch, sample, times)
        Progress.done = len(outputs)
    times.last_output, cpu_end = clock.offset_us(), cpu_us()
    if cpu_start is not None and cpu_end is not None:
        times.cpu_us = cpu_end - cpu_start
    elif workload.model_runs == "elsewhere":
        times.cpu_unknown = CPU_ELSEWHERE
    times.clock_moved = abs(wall_clock.moved_us())
    return outputs, _measured(outputs, times)


def _cpu_clock(workload: Workload, models: Sequence[Loaded]) -> Callable[[], int | None]:
    """Return what tells the CPU time so far of all processes that do the work, in microseconds."""
    if workload.model_runs == "elsewhere":
        return lambda: None
    if workload.model_runs == "server" or any(
        handler.share_model_across_processes() for handler, _ in models
    ):
        return TreeCpu(os.getpid()).read_us
    return lambda: time.process_time_ns() // 1000


def _load(workload: Workload, times: LoopTimes) -> list[Loaded]:
    workload.set_up()
    models = []
    for handler in workload.model_handlers():
        handler.set_environment_vars()
        start = time.perf_counter_ns()
        model = handler.load_model()
        synchronise()
        times.loads_us.append((time.perf_counter_ns() - start) // 1000)
        if (server_us := getattr(model, "server_start_us", None)) is not None:
            times.server_starts_us.append(server_us)
        device = device_of(model)
        check_device(workload.checked_device(), device)
        times.devices[counter_of(device)] += 1
        models.append((handler, model))
    return models


def _batch(
    workload: Workload,
    models: Sequence[Loaded],
    elements: Sequence[Element],
    sample: frozenset[str],
    times: LoopTimes,
) -> list[Output]:
    examples: list[tuple[str, Any]] = []
    for element in elements:
        stage = "read"
        try:
            raw = workload.read(element.source)
            times.bytes_read += len(raw) if isinstance(raw, bytes) else 0
            stage = "preprocess"
            examples.append((element.id, workload.preprocess(raw)))
        except Exception as error:
            examples.append((element.id, failure(stage, error)))
    if len(models) == 1:
        return _outputs(workload, models[0], examples, sample, times)
    by_model: dict[int, list[tuple[str, Any]]] = {}
    for element_id, example in examples:
        by_model.setdefault(workload.model_of(element_id), []).append((element_id, example))
    return [
        output
        for index, group in by_model.items()
        for output in _outputs(workload, models[index], group, sample, times)
    ]


def _outputs(
    workload: Workload,
    loaded: Loaded,
    examples: Sequence[tuple[str, Any]],
    sample: frozenset[str],
    times: LoopTimes,
) -> list[Output]:
    """Infer examples with their ids in one batch of one model, and postprocess them."""
    good = [example for _, example in examples if type(example) is not ElementFailure]
    arguments = workload.reference_args() if sample else workload.inference_args()
    predictions = iter(_infer(arguments, loaded, good, len(examples), times))
    outputs = []
    for element_id, example in examples:
        failed = type(example) is ElementFailure
        prediction = PredictionResult(None, example) if failed else next(predictions)
        evidence = workload.evidence if element_id in sample else None
        output = label_of(element_id, prediction, workload.postprocess, evidence)
        output, quantities = counted(output, prediction, workload.quantities)
        times.quantities.update(quantities)
        outputs.append(output)
    return outputs


def _infer(
    arguments: dict[str, Any] | None,
    loaded: Loaded,
    examples: list[Any],
    formed: int,
    times: LoopTimes,
) -> list[Any]:
    """Run a batch as the instrumented handler does; what is run again is in its latency.

    `examples` are the elements that have not failed before, of the `formed` ones of the batch.
    """
    handler, model = loaded

    def infer(batch: Sequence[Any]) -> list[Any]:
        return list(handler.run_inference(batch, model, arguments))

    def infer_alone(batch: Sequence[Any]) -> list[Any]:
        results = infer(batch)
        synchronise()
        return results

    if not examples:
        times.empty += 1
        times.note_sizes(formed, [])
        return []
    synchronise()
    start = time.perf_counter_ns()
    try:
        predictions = infer([*examples])  # a list of its own, as in the pipeline
        returned = time.perf_counter_ns()
        if synchronise():
            times.launches_ns.append(returned - start)
    except Exception as error:
        times.retried += 1
        times.retry_cause = times.retry_cause or failure("inference", error).error
        predictions, computed = one_by_one(infer_alone, examples)
        times.note_sizes(formed, computed)
        times.latencies_ns.append(time.perf_counter_ns() - start)
        return predictions
    times.note_sizes(formed, None if len(examples) == formed else [len(examples)])
    times.latencies_ns.append(time.perf_counter_ns() - start)
    if len(predictions) != len(examples):
        raise miscounted(predictions, examples)
    return predictions


def _measured(outputs: Sequence[Output], times: LoopTimes) -> Measured:
    return Measured(
        elements=sum(1 for output in outputs if output[3] is None),
        batches=len(times.sizes),
        batch_sizes=Counter(times.sizes),
        replaced_sizes=Counter(times.replaced),
        computed_sizes=Counter(times.computed),
        batch_size=_distribution(times.sizes),
        batch_latency=_distribution(times.latencies_ns),
        latencies=Counter(bucket(latency) for latency in times.latencies_ns),
        retried_batches=times.retried,
        retry_cause=times.retry_cause,
        empty_batches=times.empty,
        bytes_read=times.bytes_read or None,
        first_read=times.first_read,
        last_output=times.last_output,
        clock_step=times.clock_moved if times.clock_moved >= CLOCK_GRAIN_US else 0,
        cpu=times.cpu_us,
        cpu_unknown=times.cpu_unknown,
        loads=_distribution(times.loads_us),
        server_starts=_distribution(times.server_starts_us),
        quantities=dict(times.quantities),
        launch_latency=_distribution(times.launches_ns),
        devices=devices_of(times.devices),
    )


def _distribution(values: Sequence[int]) -> Distribution | None:
    if not values:
        return None
    return Distribution(count=len(values), sum=sum(values), min=min(values), max=max(values))


def sizes_to_try(elements: int, max_batch_size: int | None, largest_batch: int | None) -> list[int]:
    """Return the batch sizes to calibrate with: powers of two, and the largest of the definition.

    Args:
        elements: how many there are.
        max_batch_size: of the definition.
        largest_batch: that the workload can run.
    """
    sizes = sorted({*CALIBRATION_SIZES, max_batch_size or 1})
    largest = min(elements, largest_batch or sizes[-1])
    return [size for size in sizes if size <= max(1, largest)]


def spread(elements: Sequence[Element], count: int) -> list[Element]:
    """Return so many elements in their order, from all over the input: its parts may differ."""
    return [elements[index * len(elements) // count] for index in range(min(count, len(elements)))]


def batch_size_rates(
    workload: Workload, elements: Sequence[Element], sizes: Sequence[int]
) -> BatchSizeRates:
    """Measure the rate of each fixed batch size, over the same elements for all of them.

    Each size runs them as often as it takes `CALIBRATION_SECONDS`, and at least once, after one
    batch that warms up. One that does not divide their number fills its last batch with the first.
    """
    models = _load(workload, LoopTimes())
    chosen = spread(elements, max(sizes))
    rates: dict[int, float] = {}
    for size in sizes:
        _batch(workload, models, chosen[:size], frozenset(), LoopTimes())
        supply = itertools.cycle(chosen)
        start, done, passes = time.perf_counter(), 0, 0
        while (elapsed := time.perf_counter() - start) < CALIBRATION_SECONDS or not passes:
            last = done // max(sizes)
            while done // max(sizes) == last:
                batch = list(itertools.islice(supply, size))
                _batch(workload, models, batch, frozenset(), LoopTimes())
                done += size
            passes += 1
        rates[size] = done / elapsed
    return BatchSizeRates(rates=rates)
