"""Faults of a pipeline, planted in outputs at hand: what the real proof makes of each.

The pipeline classifies 400 numbers in batches of 16 by the greatest of 8 outputs. A fault changes
what it gives; observing, adding up, sampling and judging are the product's own. `table()` is in
docs/measuring.md.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

from beambench.controller.execution import Execution
from beambench.controller.results import TaskResult
from beambench.controller.status import error_of
from beambench.instrumentation.proof.output_sums import add_up
from beambench.record.observation import Measured, Observation
from beambench.record.run_record import Verification
from beambench.worker.outputs import observed, sampled
from beambench.worker.sample import sample_of
from fake_workers import finished

COUNT, BATCH, CLASSES = 400, 16, 8
IDS = [f"{number}.jpg" for number in range(COUNT)]
SAMPLE = sample_of(IDS, seed=0)
UNSAMPLED = [number for number, name in enumerate(IDS) if name not in SAMPLE]
FAILED = ("inference", "ValueError: no")

Loop = Literal["no loop", "same batches", "other batches"]
LOOPS: tuple[Loop, ...] = ("no loop", "same batches", "other batches")


@dataclass
class Row:
    """What the pipeline gives for an element."""

    id: str
    outputs: list[float]
    label: Any
    failed: bool = False


def model(number: int, weights: int = 0) -> list[float]:
    source = random.Random(number + 1000 * weights)
    return [source.random() for _ in range(CLASSES)]


def best(outputs: Sequence[float]) -> int:
    return max(range(len(outputs)), key=outputs.__getitem__)


def row(number: int, outputs: list[float] | None = None, label: Any = None) -> Row:
    values = model(number) if outputs is None else outputs
    return Row(IDS[number], values, best(values) if label is None else label)


RIGHT = [row(number) for number in range(COUNT)]


def of(numbers: Sequence[int]) -> list[Row]:
    """Give each element the result of the element whose number is at its place."""
    return [row(place, model(number)) for place, number in enumerate(numbers)]


def relabelled(relabel: Callable[[Row], Any]) -> list[Row]:
    return [Row(prediction.id, prediction.outputs, relabel(prediction)) for prediction in RIGHT]


def recomputed(compute: Callable[[int], list[float]]) -> list[Row]:
    return [row(number, compute(number)) for number in range(COUNT)]


def in_batches(order: Callable[[list[int]], list[int]]) -> list[Row]:
    batches = [list(range(start, start + BATCH)) for start in range(0, COUNT, BATCH)]
    return of([number for batch in batches for number in order(batch)])


def wrong(share: float, among: Sequence[int] = range(COUNT)) -> list[Row]:
    """Give so many elements the next label, spread over those that may have it."""
    chosen = set(random.Random(1).sample(list(among), round(share * COUNT)))
    return [
        Row(
            prediction.id,
            prediction.outputs,
            (prediction.label + 1) % CLASSES if number in chosen else prediction.label,
        )
        for number, prediction in enumerate(RIGHT)
    ]


def swapped_pair() -> list[Row]:
    first = UNSAMPLED[0]
    second = next(n for n in UNSAMPLED if RIGHT[n].label != RIGHT[first].label)
    order = list(range(COUNT))
    order[first], order[second] = second, first
    return of(order)


def one_batch_rotated() -> list[Row]:
    start = next(
        start
        for start in range(0, COUNT, BATCH)
        if not set(range(start, start + BATCH)) - set(UNSAMPLED)
    )
    numbers = list(range(COUNT))
    numbers[start : start + BATCH] = [*numbers[start + 1 : start + BATCH], start]
    return of(numbers)


def failing(count: int) -> list[Row]:
    return [
        Row(prediction.id, [], None, n < count) if n < count else prediction
        for n, prediction in enumerate(RIGHT)
    ]


@dataclass(frozen=True)
class Fault:
    """A fault by what it makes of the results; `once`: in the second of two repeats alone."""

    name: str
    rows: list[Row]
    once: bool = False

    @property
    def share(self) -> float:
        """The share of elements with a wrong label."""
        right = {prediction.id: prediction.label for prediction in RIGHT}
        return sum(each.label != right.get(each.id) for each in self.rows) / COUNT


STRANGER = Row("stranger.jpg", model(1), 1)
FAULTS = [
    Fault("the first element is lost", RIGHT[1:]),
    Fault("the last element is lost", RIGHT[:-1]),
    Fault("a batch is lost", RIGHT[:-BATCH]),
    Fault("an element comes out twice", [*RIGHT, RIGHT[7]]),
    Fault("a batch comes out twice", [*RIGHT, *RIGHT[:BATCH]]),
    Fault("one element is computed in place of another", [*RIGHT[:9], RIGHT[8], *RIGHT[10:]]),
    Fault("an element that is not of the input", [*RIGHT[:-1], STRANGER]),
    Fault("nothing comes out", []),
    Fault("every element fails", failing(COUNT)),
    Fault("5 % of the elements fail", failing(COUNT // 20)),
    Fault("the model ignores its input", recomputed(lambda _: model(5))),
    Fault("the answer for the first element is cached for all", of([0] * COUNT)),
    Fault("each batch has the result of its first element", in_batches(lambda b: [b[0]] * BATCH)),
    Fault("results of each batch in reverse order", in_batches(lambda b: b[::-1])),
    Fault("results of each batch rotated by one", in_batches(lambda b: [*b[1:], b[0]])),
    Fault("the first two of each batch swapped", in_batches(lambda b: [b[1], b[0], *b[2:]])),
    Fault("results of the batch before", of([max(0, n - BATCH) for n in range(COUNT)])),
    Fault("a stale model", recomputed(lambda number: model(number, weights=1))),
    Fault("preprocessing without normalisation", recomputed(lambda number: model(255 * number))),
    Fault("outputs cut to one decimal", recomputed(lambda n: [int(10 * x) / 10 for x in model(n)])),
    Fault("outputs that are no numbers", recomputed(lambda _: [float("nan")] * CLASSES)),
    Fault("postprocessing left out", relabelled(lambda predicted: str(predicted.outputs))),
    Fault("labels one too high", relabelled(lambda predicted: predicted.label + 1)),
    Fault(
        "the least output in place of the greatest",
        relabelled(lambda r: r.outputs.index(min(r.outputs))),
    ),
    Fault("one label for all", relabelled(lambda _: 3)),
    Fault("an empty label", relabelled(lambda _: "")),
    Fault("labels as text", relabelled(lambda predicted: str(predicted.label))),
    Fault("10 % of the labels wrong", wrong(0.10)),
    Fault("one batch rotated, outside the sample", one_batch_rotated()),
    Fault("1 % of the labels wrong, outside the sample", wrong(0.01, UNSAMPLED)),
    Fault("a pair swapped, outside the sample", swapped_pair()),
    Fault("1 % of the labels wrong in one repeat", wrong(0.01, UNSAMPLED), once=True),
    Fault("a pair swapped in one repeat", swapped_pair(), once=True),
    Fault("dropout in one repeat", wrong(0.4, UNSAMPLED), once=True),
]


@dataclass(frozen=True)
class Outcome:
    error: str | None
    verification: Verification
    caught_by: str | None


def outcome(fault: Fault | None, loop: Loop, folder: Path) -> Outcome:
    """Carry out two repeats with a fault, and a loop without, as a run would judge them."""
    reference = [_output(prediction) for prediction in RIGHT if prediction.id in SAMPLE]
    execution = Execution(
        0.01,
        reference=Observation(task="reference", sample=[sampled(output) for output in reference]),
    )
    rows = fault.rows if fault is not None else RIGHT
    execution.add("pipeline", _executed(RIGHT if fault and fault.once else rows, folder))
    execution.add("pipeline", _executed(rows, folder))
    if loop != "no loop":
        size = BATCH if loop == "same batches" else 10
        execution.add("loop", _executed(RIGHT, folder, "loop", size))
    error = error_of(execution, {})
    return Outcome(error, execution.verification(), _caught_by(error))


def _output(predicted: Row) -> Any:
    evidence = predicted.outputs if predicted.id in SAMPLE and not predicted.failed else None
    return predicted.id, predicted.label, evidence, FAILED if predicted.failed else None


def _executed(
    rows: Sequence[Row], folder: Path, task: str = "pipeline", size: int = BATCH
) -> TaskResult:
    outputs = [_output(each) for each in rows]
    plan: Any = SimpleNamespace(
        task=task,
        work_dir=folder,
        labels=None,
        preparation=SimpleNamespace(sample=SAMPLE, further_sample=[]),
    )
    observation = observed(plan, outputs, IDS, add_up(outputs), {})
    measured = Measured(
        elements=len(rows),
        batches=COUNT // size,
        batch_sizes={size: COUNT // size},
        batch_size=None,
        batch_latency=None,
        latencies={},
    )
    seen = observation.model_copy(update={"measured": measured, "labels_follow_batches": True})
    return finished(seen)


CAUSES = {
    "account": "come out|came out|do not match the input",
    "failures": "elements failed",
    "sample": "sampled|ignores its input",
    "repeats": "pipeline repeat 2.*first execution",
    "loop": "loop repeat 1.*first execution",
}


def _caught_by(error: str | None) -> str | None:
    if error is None:
        return None
    return next(name for name, words in CAUSES.items() if re.search(words, error))


def cell(fault: Fault, loop: Loop, result: Outcome) -> str:
    if result.caught_by is not None:
        return result.caught_by
    compared = result.verification.detectable_share
    stated = f"{100 * compared:.3g} %" if compared is not None else "nothing"
    seen = "share stated" if loop != "no loop" else "not seen"
    return f"*{seen}*: {100 * fault.share:.2g} %, the sample shows above {stated}"


def table(outcome_of: Callable[[Fault | None, Loop], Outcome]) -> str:
    """Return the rows of the table, of every fault."""
    lines = ["| planted fault | sample alone | loop, same batches | loop, other batches |"]
    lines.append("| --- | --- | --- | --- |")
    for fault in FAULTS:
        cells = [cell(fault, loop, outcome_of(fault, loop)) for loop in LOOPS]
        lines.append(f"| {' | '.join([fault.name, *cells])} |")
    return "\n".join(lines)
