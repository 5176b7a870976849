"""What takes the place of an element that failed, and running a failed batch again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from beambench.errors import RunError, text_of
from beambench.printable import storable


class ElementFailure(NamedTuple):
    """Takes the place of an element that failed, so that it is counted and named at the end."""

    stage: str
    error: str


def failure(stage: str, error: Exception) -> ElementFailure:
    lines = storable(text_of(error)).strip("- \n").splitlines()
    if lines and lines[0].startswith("Traceback"):  # of the process that serves a shared model
        lines = lines[-1:]
    text = f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
    return ElementFailure(stage, text)


def one_by_one(
    infer: Callable[[Sequence[Any]], list[Any]], batch: Sequence[Any]
) -> tuple[list[Any], list[int]]:
    """Run a failed batch again in batches of one; what fails again takes its failure's place.

    Returns:
        The results, and the sizes (of 1) of the calls that did not fail.
    """
    from apache_beam.ml.inference.base import PredictionResult

    results: list[Any] = []
    computed: list[int] = []
    for example in batch:
        try:
            predictions = infer([example])
            if len(predictions) != 1:
                raise miscounted(predictions, [example])
            results += predictions
            computed.append(1)
        except Exception as error:
            results.append(PredictionResult(None, failure("inference", error)))
    return results, computed


def miscounted(results: Sequence[Any], batch: Sequence[Any]) -> RunError:
    return RunError(f"the model handler gave {len(results)} results for a batch of {len(batch)}")
