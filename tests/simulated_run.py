"""A run without a machine: workers on a virtual clock drive the real wrappers and recorders.

What each worker does, and how long it takes, is drawn or given. `Simulation` keeps what really
happened as plain times, from which `truth` computes each metric in another way than beambench:
over lists of events, not over counters.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from beambench.instrumentation.beam_metrics import measured
from beambench.instrumentation.elements import InstrumentedPostprocess, InstrumentedPreprocess
from beambench.instrumentation.handler import InstrumentedModelHandler
from beambench.instrumentation.recorder import PlanClock
from beambench.record.observation import Measured, Observation, Proof
from virtual_time import EPOCH_NS, VirtualMetrics, VirtualTime, on_virtual_time, writing_to

SLOT_US = 100_000


@dataclass(frozen=True)
class SimulatedElement:
    """Durations in ns; `fails` is the stage that it fails in, or None."""

    read: int
    preprocess: int
    inference: int
    postprocess: int
    fails: str | None = None
    size: int = 100


@dataclass(frozen=True)
class SimulatedWorker:
    """One worker process.

    Attributes:
        start: ns from the start of the plan to its first read.
        load: ns that `load_model` takes, before it.
        batches: its batches, in order.
        call: ns of a call of the model, whatever is in it.
        between: ns of Beam's own work before each element's read.
        steps: (batch index, ns): the wall clock is set by so much before that batch is inferred.
    """

    start: int
    load: int
    batches: Sequence[Sequence[SimulatedElement]]
    call: int = 0
    between: int = 0
    steps: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True)
class Batch:
    """What happened: begin and end in ns, elements, and sizes of the calls that gave results."""

    worker: int
    begin: int
    end: int
    size: int
    computed: Sequence[int]
    retried: bool
    work_begin: int  # end of the worker's batch before it


@dataclass
class Simulation:
    """A finished run: what beambench recorded of it, and what really happened (times in ns)."""

    workers: Sequence[SimulatedWorker]
    metrics: VirtualMetrics = field(default_factory=VirtualMetrics)
    reads: list[int] = field(default_factory=list)
    prepared: list[int] = field(default_factory=list)
    inferred: list[int] = field(default_factory=list)  # begin of its batch, of each element
    outputs: list[int] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    loads: list[int] = field(default_factory=list)
    cpu: int = 0
    failed: int = 0

    @property
    def elements(self) -> int:
        return len(self.outputs) - self.failed

    def measured(self) -> Measured:
        return measured(self.metrics.query(), self.elements, SLOT_US, len(self.workers))

    def observation(self) -> Observation:
        proof = Proof(count=self.elements, failed=self.failed, ids="0", failed_ids="0", labels="0")
        return Observation(task="pipeline", measured=self.measured(), proof=proof)


class _Handler(ModelHandler[Any, Any, Any]):
    def __init__(self, worker: SimulatedWorker, clock: VirtualTime) -> None:
        self.worker = worker
        self.clock = clock
        self.computed: list[int] = []

    def load_model(self) -> Any:
        self.clock.advance(self.worker.load)
        return SimpleNamespace()

    def run_inference(self, batch: Any, model: Any, inference_args: Any = None) -> Any:
        self.clock.advance(self.worker.call + sum(element.inference for element in batch))
        if any(element.fails == "inference" for element in batch):
            raise ValueError("inference")
        self.computed.append(len(batch))
        return [PredictionResult(element, element) for element in batch]


def simulate(workers: Sequence[SimulatedWorker]) -> Simulation:
    """Run all workers; they share nothing but the metrics, so one after the other will do."""
    simulation = Simulation(workers)
    for index, worker in enumerate(workers):
        clock = VirtualTime()
        with on_virtual_time(clock), writing_to(simulation.metrics):
            _Process(index, worker, clock, simulation).run()
    return simulation


class _Process:
    """A worker process: the real wrappers around work that takes its time on a virtual clock."""

    def __init__(
        self, index: int, worker: SimulatedWorker, clock: VirtualTime, simulation: Simulation
    ) -> None:
        self.index, self.worker, self.clock, self.simulation = index, worker, clock, simulation
        plan = PlanClock(EPOCH_NS, SLOT_US)
        self.inner = _Handler(worker, clock)
        self.handler = InstrumentedModelHandler(self.inner, plan)
        self.before = InstrumentedPreprocess(self._read, self._prepare, "", plan)
        self.after = InstrumentedPostprocess(
            self._finish, lambda _: None, lambda _: {}, frozenset(), plan
        )
        self.current: SimulatedElement | None = None

    def _read(self, source: str) -> bytes:
        position, _, number = source.partition(".")
        self.current = element = self.worker.batches[int(position)][int(number)]
        return bytes(self._pass(element, "read", element.read).size)

    def _prepare(self, _: bytes) -> SimulatedElement:
        assert self.current is not None
        return self._pass(self.current, "preprocess", self.current.preprocess)

    def _finish(self, prediction: Any) -> int:
        element = prediction.inference
        return self._pass(element, "postprocess", element.postprocess).size

    def _pass(self, element: SimulatedElement, stage: str, duration: int) -> SimulatedElement:
        self.clock.advance(duration)
        if element.fails == stage:
            raise ValueError(stage)
        return element

    def run(self) -> None:
        self.clock.advance(self.worker.start - self.worker.load)
        model = self.handler.load_model()
        self.simulation.loads.append(self.worker.load)
        steps, last_end = dict(self.worker.steps), self.clock.elapsed
        cpu_begin = self.clock.process_time_ns()
        for position, batch in enumerate(self.worker.batches):
            examples = self._examples(position, len(batch))
            self.clock.step += steps.get(position, 0)
            self._batch(position, examples, model, last_end)
            last_end = self.clock.elapsed
            self.simulation.cpu += self.clock.process_time_ns() - cpu_begin
            cpu_begin = self.clock.process_time_ns()
            self._outputs(position, examples)

    def _examples(self, position: int, size: int) -> list[tuple[str, Any]]:
        examples = []
        for number in range(size):
            if position or number:
                self.clock.advance(self.worker.between)
            self.simulation.reads.append(self.clock.elapsed)
            examples.append(self.before(f"{position}.{number}"))
            self.simulation.prepared.append(self.clock.elapsed)
        return examples

    def _batch(
        self, position: int, examples: list[tuple[str, Any]], model: Any, last_end: int
    ) -> None:
        batch, begin = self.worker.batches[position], self.clock.elapsed
        self.inner.computed.clear()
        self.results = self.handler.run_inference([example for _, example in examples], model)
        self.simulation.inferred += [begin] * len(batch)
        retried = any(each.fails == "inference" for each in batch)
        computed = [*self.inner.computed]
        self.simulation.batches.append(
            Batch(self.index, begin, self.clock.elapsed, len(batch), computed, retried, last_end)
        )

    def _outputs(self, position: int, examples: list[tuple[str, Any]]) -> None:
        for (identity, _), prediction in zip(examples, self.results, strict=True):
            self.after((identity, prediction))
            self.simulation.outputs.append(self.clock.elapsed)
        batch = self.worker.batches[position]
        self.simulation.failed += sum(each.fails is not None for each in batch)


def draw(seed: int, *, steps: bool = False) -> list[SimulatedWorker]:
    """Draw workers: any number, batch sizes, times of every stage, failures, and clock steps."""
    chance = random.Random(seed)
    scale = 10 ** chance.uniform(2, 6.5)  # ns of a typical stage: 0.1 µs to 3 ms
    share_failed = chance.choice([0, 0, 0.02, 0.3])
    first = chance.randrange(10**6, 10**9)

    def stage() -> int:
        return int(scale * chance.lognormvariate(0, 0.7))

    def element() -> SimulatedElement:
        fails = None
        if chance.random() < share_failed:
            fails = chance.choice(["read", "preprocess", "inference", "postprocess"])
        size = chance.randrange(1000)
        return SimulatedElement(stage(), stage(), stage(), stage(), fails, size)

    def worker() -> SimulatedWorker:
        count, most = chance.randint(1, 16), chance.choice([1, 4, 16])
        sizes = [chance.randint(1, most) for _ in range(count)]
        start = first + int(chance.random() * scale * 100)
        return SimulatedWorker(
            start=start,
            load=chance.randrange(start),
            batches=[[element() for _ in range(size)] for size in sizes],
            call=stage() * chance.choice([0, 1, 10]),
            between=int(scale * chance.choice([0, 0.1, 1])),
            steps=[(chance.randrange(count), chance.choice([-1, 1]) * chance.randrange(10**9))]
            if steps
            else (),
        )

    return [worker() for _ in range(chance.choice([1, 1, 2, 3, 5]))]
