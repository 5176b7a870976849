"""The names of our Beam metrics, and the objects that write them.

Everything is a counter or a distribution, because those are what every runner aggregates: of
offsets in microseconds, and of durations in nanoseconds where they may be shorter than 1 µs.
Offsets count from the start of the plan: a Beam distribution also keeps an int64 sum, which
microseconds since 1970 overflow after some 5,000 updates.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from apache_beam.metrics.metric import Metrics

from beambench.analysis.histogram import MAX_BUCKETS, bucket
from beambench.instrumentation.device import DEVICE
from beambench.machine.tree_cpu import TreeCpu
from beambench.record.observation import RequestTimes

NAMESPACE = "beambench"
MAX_SLOTS = 240
MAX_SIZES = 128
"""Counters at most for batch sizes, which are counted exactly: the stock sizes are 10 to 100."""

SIZES = "batches_of_size"
REPLACED_SIZES = "replaced_batches_of_size"
COMPUTED_SIZES = "computed_batches_of_size"
RETRY_CAUSE = "retry_cause_us"
MAX_CAUSES = 8
"""Errors of failed batches that one process tells apart; the first ones are those to know."""

LONGEST_CAUSE = 160
LATENCIES = "batch_latency_ns_bucket"
SLOT = "slot"
LOAD_ENDS = "model_load_end_us"
FOLDED = "_folded"
BATCH_START = "batch_start_us"
BATCH_END = "batch_end_us"
FIRST_END = "first_batch_end_us"
FIRST_SIZE = "first_batch_size"
STEADY_END = "steady_end_us"
QUANTITY = "quantity"
REQUESTS = "server_requests"
CLOCK_MOVED = "wall_clock_moved_us"
CLOCK_GRAIN_US = 1000
"""Two clocks that differ by less more than before are read at different times: none was set."""

SHARED_MODELS = "handlers_with_model_in_tree"
REMOTE_MODELS = "handlers_with_model_elsewhere"
TREE_CPU_BEGIN = "process_tree_cpu_begin_us"
TREE_CPU_END = "process_tree_cpu_end_us"

MISSING_RESULTS = "results_missing"
SURPLUS_RESULTS = "results_surplus"


CpuOf = Literal["process", "tree", "unknown"]
"""Whose CPU time the work of a handler took: of its process; of the worker's whole process tree,
where another process of it computes; or of what cannot be read."""


class Load(NamedTuple):
    """A call of `load_model`, in microseconds; `server_us` is None where no server is started.

    `device` is where the model was afterwards, as `instrumentation.device.counter_of` writes it.
    `end_us` is the offset of its end.
    """

    duration_us: int
    server_us: int | None
    device: str
    end_us: int


@dataclass(frozen=True)
class PlanClock:
    """Offsets since the start of the plan.

    Attributes:
        epoch_ns: start of the plan on the wall clock, in ns since 1970.
        slot_us: width of a time slot in microseconds.
    """

    epoch_ns: int
    slot_us: int

    def offset_us(self) -> int:
        return (time.time_ns() - self.epoch_ns) // 1000

    def slot(self, offset_us: int) -> int:
        """Return the slot of an offset; the last slot also takes all that is later."""
        return min(max(offset_us, 0) // self.slot_us, MAX_SLOTS - 1)


class Histogram:
    """A sparse histogram written as one counter a value or bucket."""

    def __init__(self, name: str, limit: int = MAX_BUCKETS) -> None:
        self._name = name
        self._limit = limit
        self._counters: dict[int, Any] = {}

    def add(self, index: int) -> None:
        counter = self._counters.get(index)
        if counter is None:
            if len(self._counters) >= self._limit:
                nearest = min(self._counters, key=lambda known: abs(known - index))
                counter = self._counters[nearest]
                Metrics.counter(NAMESPACE, self._name + FOLDED).inc()
            else:
                counter = Metrics.counter(NAMESPACE, f"{self._name}/{index}")
                self._counters[index] = counter
        counter.inc()


class ProcessCpu:
    """CPU time of this process between calls, shared by all handlers in the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ns: int | None = None

    def start(self) -> None:
        """Begin to count, unless begun already."""
        if self._last_ns is None:
            with self._lock:
                if self._last_ns is None:
                    self._last_ns = time.process_time_ns()

    def lap_us(self) -> int:
        """Return the CPU time since the last lap; 0 if not begun."""
        with self._lock:
            now, last = time.process_time_ns(), self._last_ns
            if last is None:
                return 0
            elapsed_us = (now - last) // 1000
            self._last_ns = last + elapsed_us * 1000  # the rest below 1 µs goes to the next lap
            return elapsed_us


PROCESS_CPU = ProcessCpu()
TREE_CPU = TreeCpu()


def note_tree_cpu(name: str) -> None:
    """Write what the whole process tree of the worker has used so far, where that is known.

    The least begin and the greatest end of all processes are those of the window.
    """
    used_us = TREE_CPU.read_us()
    if used_us is not None:
        Metrics.distribution(NAMESPACE, name).update(used_us)


class WallClock:
    """Notices in this process that the wall clock was set, by the monotonic clock."""

    def __init__(self) -> None:
        self._begun_us: int | None = None
        self._noted_us = 0

    def look(self) -> None:
        """Write by how much the wall clock was set since the first look, if that has changed."""
        moved_us = self.moved_us()
        if abs(moved_us - self._noted_us) >= CLOCK_GRAIN_US:
            self._noted_us = moved_us
            Metrics.distribution(NAMESPACE, CLOCK_MOVED).update(moved_us)

    def moved_us(self) -> int:
        """Return by how much the wall clock was set since the first call."""
        difference_us = (time.time_ns() - time.monotonic_ns()) // 1000
        known_us = None if self._begun_us is None else self._begun_us + self._noted_us
        if known_us is None or abs(difference_us - known_us) >= CLOCK_GRAIN_US:
            difference_us = self._difference_us()
        if self._begun_us is None:
            self._begun_us = difference_us
        return difference_us - self._begun_us

    def _difference_us(self) -> int:
        """Return the wall clock less the monotonic one; read again where the machine paused."""
        for _ in range(10):
            before, wall, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
            if after - before < CLOCK_GRAIN_US * 1000 // 2:
                break
        return (wall - before) // 1000


WALL_CLOCK = WallClock()


class Progress:
    """Elements done in this process. Read by the worker's progress thread on local runners."""

    done = 0
    batches = 0


class ElementRecorder:
    """Writes what is measured once an element, in the preprocess and postprocess steps."""

    def __init__(self, clock: PlanClock, *, counts_tree: bool = False) -> None:
        """Write for a plan; `counts_tree`: other processes may do the work of the model."""
        self._clock = clock
        self._counts_tree = counts_tree
        self._seen_first = False
        self._first_read = Metrics.distribution(NAMESPACE, "first_read_us")
        self._last_output = Metrics.distribution(NAMESPACE, "output_us")
        self._read = Metrics.counter(NAMESPACE, "read_ns")
        self._preprocess = Metrics.counter(NAMESPACE, "preprocess_ns")
        self._postprocess = Metrics.counter(NAMESPACE, "postprocess_ns")
        self._preprocessed_at = Metrics.counter(NAMESPACE, "preprocessed_at_us")
        self._bytes = Metrics.counter(NAMESPACE, "bytes_read")
        self._quantities: dict[str, Any] = {}

    def reading(self) -> None:
        """Mark the first element that this instance reads."""
        if not self._seen_first:
            self._seen_first = True
            if self._counts_tree:
                note_tree_cpu(TREE_CPU_BEGIN)
            PROCESS_CPU.start()
            WALL_CLOCK.look()
            self._first_read.update(self._clock.offset_us())

    def preprocessed(self, read_ns: int, preprocess_ns: int, size: int) -> None:
        self._read.inc(read_ns)
        self._preprocess.inc(preprocess_ns)
        self._preprocessed_at.inc(self._clock.offset_us())
        if size:
            self._bytes.inc(size)

    def output(self, postprocess_ns: int, quantities: Mapping[str, int]) -> None:
        self._postprocess.inc(postprocess_ns)
        for name, amount in quantities.items():
            counter = self._quantities.get(name)
            if counter is None:
                counter = Metrics.counter(NAMESPACE, f"{QUANTITY}/{name}")
                self._quantities[name] = counter
            counter.inc(amount)
        self._last_output.update(self._clock.offset_us())
        WALL_CLOCK.look()
        Progress.done += 1


class BatchRecorder:
    """Writes what is measured once a batch, in the handler."""

    def __init__(self, clock: PlanClock, cpu_of: CpuOf = "process") -> None:
        """Write for a plan; `cpu_of` says whose CPU time is that of the work."""
        self._clock = clock
        self._cpu_of = cpu_of
        if cpu_of == "tree":
            Metrics.counter(NAMESPACE, SHARED_MODELS).inc()
            note_tree_cpu(TREE_CPU_BEGIN)
        elif cpu_of == "unknown":
            Metrics.counter(NAMESPACE, REMOTE_MODELS).inc()
        self._is_first = True
        worker = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._size = Metrics.distribution(NAMESPACE, "batch_size")
        self._latency = Metrics.distribution(NAMESPACE, "batch_latency_ns")
        self._sizes = Histogram(SIZES, MAX_SIZES)
        self._replaced_sizes = Histogram(REPLACED_SIZES, MAX_SIZES)
        self._computed_sizes = Histogram(COMPUTED_SIZES, MAX_SIZES)
        self._causes: dict[str, Any] = {}
        self._latencies = Histogram(LATENCIES)
        self._inference = Metrics.counter(NAMESPACE, "inference_ns")
        self._element_latency = Metrics.counter(NAMESPACE, "element_latency_ns")
        self._inferred_at = Metrics.counter(NAMESPACE, "inferred_at_us")
        self._launch = Metrics.distribution(NAMESPACE, "batch_launch_latency_ns")
        self._retried = Metrics.counter(NAMESPACE, "batches_retried")
        self._empty = Metrics.counter(NAMESPACE, "batches_empty")
        self._cpu = Metrics.counter(NAMESPACE, "cpu_us")
        self._first_end = Metrics.distribution(NAMESPACE, f"{FIRST_END}/{worker}")
        self._first_size = Metrics.distribution(NAMESPACE, f"{FIRST_SIZE}/{worker}")
        self._start = Metrics.distribution(NAMESPACE, f"{BATCH_START}/{worker}")
        self._end = Metrics.distribution(NAMESPACE, BATCH_END)
        self._steady_end = Metrics.distribution(NAMESPACE, f"{STEADY_END}/{worker}")
        self._slots: dict[int, Any] = {}
        self._held: tuple[int, int] | None = None
        self._load = Metrics.distribution(NAMESPACE, "model_load_us")
        self._load_ends = Histogram(LOAD_ENDS)
        self._server_start = Metrics.distribution(NAMESPACE, "server_start_us")

    def loads(self, pending: list[Load]) -> None:
        """Write loads kept since `load_model`, where metrics do not arrive; empty the list."""
        with contextlib.suppress(IndexError):  # another thread took the last one
            while pending:
                load = pending.pop()
                self._load.update(load.duration_us)
                self._load_ends.add(load.end_us)
                if load.server_us is not None:
                    self._server_start.update(load.server_us)
                Metrics.counter(NAMESPACE, f"{DEVICE}/{load.device}").inc()

    def batch(
        self,
        size: int,
        start_us: int,
        duration_ns: int,
        launch_ns: int | None = None,
        *,
        computed: Sequence[int] | None = None,
        retry_cause: str | None = None,
    ) -> None:
        """Write one batch.

        Args:
            size: elements that Beam put into the batch.
            start_us: offset at which inference began.
            duration_ns: from there to the last result.
            launch_ns: the same without waiting for the device; None on a CPU.
            computed: sizes of the calls of the model that gave results, where that is not the one
                batch: elements that had failed before were left out, or the batch failed and was
                run one element at a time. Empty if there was none.
            retry_cause: why the batch failed and was run again; its latency is all that its caller
                waited, of which the failed call is a part. A batch without a call has none.
        """
        end_us = start_us + duration_ns // 1000
        self._size.update(size)
        self._sizes.add(size)
        self._inference.inc(duration_ns)
        self._inferred_at.inc(start_us * size)
        self._element_latency.inc(duration_ns * size)
        if computed is not None:
            self._replaced_sizes.add(size)
            for computed_size in computed:
                self._computed_sizes.add(computed_size)
        if retry_cause is not None:
            self._retried.inc()
            self._cause(retry_cause, start_us)
        if retry_cause is None and computed is not None and not computed:
            self._empty.inc()
        else:
            self._latency.update(duration_ns)
            self._latencies.add(bucket(duration_ns))
            if launch_ns is not None:
                self._launch.update(launch_ns)
        if self._cpu_of == "process":
            self._cpu.inc(PROCESS_CPU.lap_us())
        elif self._cpu_of == "tree" and (self._is_first or TREE_CPU.is_due):
            note_tree_cpu(TREE_CPU_END)
        self._window(size, start_us, end_us)
        WALL_CLOCK.look()
        Progress.batches += 1

    def _cause(self, text: str, start_us: int) -> None:
        """Write when a batch failed for a reason, under a name that says which."""
        text = text[:LONGEST_CAUSE]
        if text not in self._causes:
            if len(self._causes) >= MAX_CAUSES:
                return
            self._causes[text] = Metrics.distribution(NAMESPACE, f"{RETRY_CAUSE}/{text}")
        self._causes[text].update(start_us)

    def requests(self, server: str, times: RequestTimes) -> None:
        """Write what a server told, all since it started: the greatest values are the last ones."""
        for name, value in times:
            Metrics.distribution(NAMESPACE, f"{REQUESTS}/{name}/{server}").update(value)

    def miscount(self, results: int, size: int) -> None:
        """Write how many results a batch has too few or too many."""
        if results != size:
            name = MISSING_RESULTS if results < size else SURPLUS_RESULTS
            Metrics.counter(NAMESPACE, name).inc(abs(results - size))

    def _window(self, size: int, start_us: int, end_us: int) -> None:
        self._start.update(start_us)
        self._end.update(end_us)
        self._release()
        if self._is_first:  # ramp-up: ends where the steady window may begin
            self._is_first = False
            self._first_end.update(end_us)
            self._first_size.update(size)
            return
        self._held = end_us, size

    def _release(self) -> None:
        """Count the batch before this one, whose end the steady window may reach.

        The window ends with the last but one batch of a worker, so that it holds all of the work of
        each batch that is counted, and nothing else. The last one, which may be a rest, is not.
        """
        if self._held is None:
            return
        end_us, size = self._held
        self._held = None
        self._steady_end.update(end_us)
        slot = self._clock.slot(end_us)
        counter = self._slots.get(slot)
        if counter is None:
            counter = self._slots[slot] = Metrics.counter(NAMESPACE, f"{SLOT}/{slot}")
        counter.inc(size)
