"""Pipelines as users have them: functions of `argv` and `test_pipeline`, good and bad ones."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import apache_beam as beam
from apache_beam.metrics.metric import Metrics
from apache_beam.ml.inference.base import (
    KeyedModelHandler,
    KeyModelMapping,
    ModelHandler,
    PredictionResult,
    RunInference,
)
from apache_beam.options.pipeline_options import PipelineOptions

BATCH = 4


class Model:
    """An object, because Beam keeps a weak reference to a model."""


class Successor(ModelHandler[int, PredictionResult, Model]):
    """Gives the next number, one after the other and not before it is asked for."""

    def __init__(self, fails: Sequence[int] = (), **kwargs: Any) -> None:
        super().__init__(**({"min_batch_size": BATCH, "max_batch_size": BATCH} | kwargs))
        self._fails = frozenset(fails)

    def load_model(self) -> Model:
        return Model()

    def run_inference(
        self, batch: Sequence[int], model: Model, inference_args: dict[str, Any] | None = None
    ) -> Iterator[PredictionResult]:
        for example in batch:
            if example in self._fails:
                raise ValueError(f"cannot infer {example}")
            Metrics.counter("existing", "inferred").inc()
            yield PredictionResult(example, example + 1)


def flags_of(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", required=True)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--fails", type=int, nargs="*", default=())
    parser.add_argument("--api_key")
    return parser.parse_known_args(argv)[0]


def write(results: Any, output: str, name: str = "Write") -> None:
    _ = results | name >> beam.io.WriteToText(output, shard_name_template="")


def run(argv: list[str] | None = None, save_main_session: bool = True, test_pipeline: Any = None):
    """Keyed numbers, pre- and postprocessed, as in Beam's examples."""
    known = flags_of(argv)
    handler = (
        KeyedModelHandler(Successor(known.fails))
        .with_preprocess_fn(lambda number: (str(number), number))
        .with_postprocess_fn(lambda keyed: f"{keyed[0]},{keyed[1].inference}")
    )
    numbers = test_pipeline | beam.Create(range(known.count))
    write(numbers | "Infer" >> RunInference(handler), known.output)
    result = test_pipeline.run()
    result.wait_until_finish()
    return result


def with_dead_letters(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    """Failed batches go another way, whole; a `with` runs the pipeline."""
    known = flags_of(argv)
    with test_pipeline as pipeline:
        numbers = pipeline | beam.Create(range(known.count))
        good, bad = numbers | RunInference(Successor(known.fails)).with_exception_handling()
        write(good | beam.Map(lambda result: result.inference), known.output)
        batches = bad.failed_inferences | beam.Map(lambda failed: sorted(failed[0]))
        write(batches, f"{known.output}-bad", "WriteBad")


def twice(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    """Two steps with one handler between them, and nobody who runs the pipeline."""
    known, handler = flags_of(argv), Successor()
    numbers = test_pipeline | beam.Create(range(known.count))
    first = numbers | "First" >> RunInference(handler) | beam.Map(lambda result: result.inference)
    some = first | beam.Filter(lambda number: number <= known.count // 2)
    write(some | "Outer" >> Nested(handler), known.output)


class Shrinking(Successor):
    """Gives so many results for a batch, whatever its size; `True` in the place of some."""

    def __init__(self, results: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._results = results

    def run_inference(self, batch: Any, model: Any, inference_args: Any = None) -> Any:
        return [PredictionResult(element, element) for element in (*batch, *batch)][: self._results]


def flawed(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    """Steps whose handlers give too few or too many results, in each way that Beam calls them."""
    known = flags_of(argv)
    numbers = test_pipeline | beam.Create(range(known.count))
    keyed = numbers | beam.Map(lambda number: (number, number))
    batches = numbers | beam.BatchElements(min_batch_size=BATCH, max_batch_size=BATCH)
    windows = numbers | "At" >> beam.Map(lambda number: beam.window.TimestampedValue(number, 1))
    windows |= beam.WindowInto(beam.window.SlidingWindows(2, 1))
    _ = numbers | "Few" >> RunInference(Shrinking(1))
    _ = numbers | "Many" >> RunInference(Shrinking(BATCH + 1))
    _ = keyed | "Keyed" >> RunInference(KeyedModelHandler(Shrinking(1)))
    _ = keyed | "KeyedMany" >> RunInference(KeyedModelHandler(Shrinking(BATCH + 1)))
    _ = batches | "Batches" >> RunInference(Shrinking(1).with_no_batching())
    _ = windows | "Windows" >> RunInference(Successor())
    apart = RunInference(Shrinking(1)).with_exception_handling(use_subprocess=True)
    _ = numbers | "Apart" >> apart


def half_failed(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    """What fails before, in and after inference goes to the failed outputs, in one step."""
    known = flags_of(argv)
    handler = (
        Successor(known.fails)
        .with_preprocess_fn(lambda number: number if number != 0 else 1 // number)
        .with_postprocess_fn(lambda result: result if result.example != 1 else 1 // 0)
    )
    numbers = test_pipeline | beam.Create(range(known.count))
    good, _ = numbers | "Infer" >> RunInference(handler).with_exception_handling()
    write(good | beam.Map(lambda result: result.inference), known.output)


def on_gpu(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    """A model of torch that is to run on a GPU."""
    import torch
    from apache_beam.ml.inference.pytorch_inference import PytorchModelHandlerTensor

    known = flags_of(argv)
    torch.save(torch.nn.Linear(1, 1).state_dict(), f"{known.output}.pt")
    handler = PytorchModelHandlerTensor(
        state_dict_path=f"{known.output}.pt",
        model_class=torch.nn.Linear,
        model_params={"in_features": 1, "out_features": 1},
        device="GPU",
    )
    numbers = test_pipeline | beam.Create([torch.ones(1)] * known.count)
    _ = numbers | "Infer" >> RunInference(handler)


class Nested(beam.PTransform):
    """A RunInference inside a transform of the user's own."""

    def __init__(self, handler: Successor) -> None:
        super().__init__()
        self._handler = handler

    def expand(self, numbers: Any) -> Any:
        return numbers | RunInference(self._handler) | beam.Map(lambda result: result.inference)


def per_key(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    """A model for odd and one for even numbers."""
    known = flags_of(argv)
    handlers = [KeyModelMapping(["odd"], Successor()), KeyModelMapping(["even"], Successor())]
    keyed = test_pipeline | beam.Create(
        [("odd" if number % 2 else "even", number) for number in range(known.count)]
    )
    results = keyed | RunInference(KeyedModelHandler(handlers))
    write(results | beam.Map(lambda pair: pair[1].inference), known.output)


def batched(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    """Asks for batches in the ways that Beam takes and in those that it throws away."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--output")
    parser.add_argument("--inference_batch_size", type=int)
    known = parser.parse_known_args(argv)[0]
    numbers = test_pipeline | beam.Create(range(10))
    handler = Successor(inference_batch_size=known.inference_batch_size, env_vars={"A": "1"})
    _ = numbers | "Thrown" >> RunInference(handler, max_batch_size=2, interval=3)
    low = Successor(min_batch_size=64, max_batch_size=64)
    _ = numbers | "Low" >> RunInference(KeyedModelHandler(low).with_preprocess_fn(twin))


def twin(number: int) -> tuple[int, int]:
    return number, number


def own_parser(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    """Reads its flags in the order in which Beam's examples do, and keeps the rest for Beam."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", required=True)
    parser.add_argument("--max_batch_size", type=int, default=BATCH)
    known, rest = parser.parse_known_args(argv)
    options = PipelineOptions(rest)
    options.view_as(OwnOptions)
    write(test_pipeline | beam.Create([1]), known.output)


class OwnOptions(PipelineOptions):
    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument("--own_rate")


def swallows(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    with contextlib.suppress(Exception):
        own_parser(argv, test_pipeline)
        test_pipeline.run()


def by_hand(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    """Reads its flags without argparse."""
    (output,) = (word.partition("=")[2] for word in argv or () if word.startswith("--output="))
    write(test_pipeline | beam.Create([1]), output)


def without_inference(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    write(test_pipeline | beam.Create([1, 2]), flags_of(argv).output)


def elsewhere(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    """Builds nothing on the pipeline that it is given."""


def exits_well(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    run(argv, test_pipeline=test_pipeline)
    sys.exit(0)


def exits_badly(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    run(argv, test_pipeline=test_pipeline)
    sys.exit(3)


class Exiting(Successor):
    def run_inference(self, batch: Any, model: Any, inference_args: Any = None) -> Any:
        sys.exit("no licence for this model")


def exits_inside(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    """Nobody but the handler exits, and the function catches all that it can."""
    with contextlib.suppress(Exception):
        _ = test_pipeline | beam.Create([1]) | RunInference(Exiting())
        test_pipeline.run()


class FailingOnce(Successor):
    failed: ClassVar[list[int]] = []

    def run_inference(self, batch: Any, model: Any, inference_args: Any = None) -> Any:
        if not self.failed:
            self.failed.append(1)
            raise ValueError("only now and then")
        return super().run_inference(batch, model)


def swallows_failures(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    """Catches the error of a pipeline that would succeed if it were run again."""
    FailingOnce.failed.clear()
    with contextlib.suppress(Exception):
        _ = test_pipeline | beam.Create([1]) | RunInference(FailingOnce())
        test_pipeline.run()


def by_command_line(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    """Lets argparse read ``sys.argv``, as a script does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", required=True)
    known, _ = parser.parse_known_args()
    write(test_pipeline | beam.Create([sys.argv[0]]), known.output)


async def later(argv: list[str] | None = None, test_pipeline: Any = None) -> None: ...


def piecemeal(argv: list[str] | None = None, test_pipeline: Any = None) -> Iterator[int]:
    yield 1


def exits_early(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    sys.exit("no licence for this")


def raises(argv: list[str] | None = None, test_pipeline: Any = None) -> None:
    raise KeyError("nothing\nthere")


def without_test_pipeline(argv: list[str] | None = None) -> None: ...


def without_argv(test_pipeline: Any = None) -> None: ...


def needs_model(model: str, argv: list[str] | None = None, test_pipeline: Any = None) -> None: ...


not_callable = 3
