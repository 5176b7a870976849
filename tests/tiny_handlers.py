"""The model handlers of the tiny workloads. Apart, because their base class needs Beam."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from tiny_workloads import outputs_of

Vector = list[float]


class TinyModel:
    """Remembers what a broken handler gives back at the wrong time."""

    def __init__(self) -> None:
        self.first: Vector | None = None
        self.previous: Vector | None = None
        self.batches = 0
        self.blocks: list[mmap.mmap] = []


def _cached_first(model: TinyModel, outputs: list[Vector]) -> list[Vector]:
    model.first = model.first or outputs[0]
    return [model.first] * len(outputs)


def _previous(model: TinyModel, outputs: list[Vector]) -> list[Vector]:
    shifted = [model.previous or outputs[0], *outputs[:-1]]
    model.previous = outputs[-1]
    return shifted


def _once(fault: Callable[[list[Vector]], list[Vector]]) -> Callable[..., list[Vector]]:
    """Apply a fault to the second batch only."""

    def broken(model: TinyModel, outputs: list[Vector]) -> list[Vector]:
        model.batches += 1
        return fault(outputs) if model.batches == 2 else outputs

    return broken


def _keeping(batches: int) -> Callable[[TinyModel, list[Vector]], list[Vector]]:
    """Keep 2 MiB of each of the first batches."""

    def keeps(model: TinyModel, outputs: list[Vector]) -> list[Vector]:
        if len(model.blocks) < batches:
            block = mmap.mmap(-1, 2 << 20)  # pages that were not in use before
            block.write(b"x" * len(block))
            model.blocks.append(block)
        return outputs

    return keeps


FAULTS: dict[str, Callable[[TinyModel, list[Vector]], list[Vector]]] = {
    "none": lambda _, outputs: outputs,
    "swap first two": lambda _, outputs: [*outputs[:2][::-1], *outputs[2:]],
    "swap last two": lambda _, outputs: [*outputs[:-2], *outputs[-2:][::-1]],
    "reverse": lambda _, outputs: outputs[::-1],
    "cached first": _cached_first,
    "first of batch": lambda _, outputs: [outputs[0]] * len(outputs),
    "previous": _previous,
    "drop first": lambda _, outputs: outputs[1:] if len(outputs) > 1 else outputs,
    "drop last": lambda _, outputs: outputs[:-1] if len(outputs) > 1 else outputs,
    "drop one once": _once(lambda outputs: [*outputs[:3], *outputs[4:]]),
    "double first": lambda _, outputs: [outputs[0], *outputs],
    "double last": lambda _, outputs: [*outputs, outputs[-1]],
    "double in batches": lambda _, outputs: outputs[: 1 if len(outputs) > 1 else 0] + outputs,
    "constant": lambda _, outputs: [[1.0] * 7 + [2.0] for _ in outputs],
    "scaled by batch": lambda _, outputs: [
        [v * len(outputs) for v in result] for result in outputs
    ],
    "masked": lambda _, outputs: [[*result[:-1], -float("inf")] for result in outputs],
    "leak": _keeping(1000),
    "cache": _keeping(30),
    "not a number": lambda _, outputs: [[float("nan")] * len(result) for result in outputs],
}


class TinyHandler(ModelHandler[int, PredictionResult, TinyModel]):
    """Runs a function of the number, and then breaks the batch as told."""

    def __init__(self, fault: str, evidence: str, fails: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._fault = fault
        self._evidence = evidence
        self._fails = frozenset(fails)

    def load_model(self) -> TinyModel:
        return TinyModel()

    def run_inference(
        self, batch: Sequence[int], model: TinyModel, inference_args: dict[str, Any] | None = None
    ) -> Iterable[PredictionResult]:
        outputs = FAULTS[self._fault](
            model, [outputs_of(element, self._evidence) for element in batch]
        )
        examples = [*batch, *[batch[-1]] * (len(outputs) - len(batch))]
        return self._lazily(examples, outputs)

    def _lazily(
        self, examples: Sequence[int], outputs: Sequence[Vector]
    ) -> Iterator[PredictionResult]:
        for example, output in zip(examples, outputs, strict=False):
            if example in self._fails:
                raise ValueError(f"inference of {example}\nwith a second line")
            yield PredictionResult(example, output)

    def get_num_bytes(self, batch: Sequence[int]) -> int:
        return 8 * len(batch)
