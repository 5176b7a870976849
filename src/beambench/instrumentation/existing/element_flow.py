"""Elements into and out of a RunInference, from Beam's own counts of what each step gave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.metrics import monitoring_infos
from apache_beam.metrics.metric import Metrics
from apache_beam.ml.inference.base import RunInferenceDLQ
from apache_beam.transforms.window import FixedWindows, GlobalWindows, Sessions

from beambench.instrumentation.beam_metrics import SummedMetrics
from beambench.instrumentation.recorder import MISSING_RESULTS, NAMESPACE, SURPLUS_RESULTS
from beambench.printable import storable
from beambench.record.run_record import ElementFlow

FAILED = "elements_failed"
CAUSE = "cause_of_failure"
LONGEST_TEXT = 200

ONE_WINDOW = (GlobalWindows, FixedWindows, Sessions)
"""Windows of which an element is in one. Of several, Beam's batching makes an element each."""


class CountFailed(beam.DoFn):
    """Counts the elements of failed batches, of which Beam counts the batches only."""

    def __init__(self) -> None:
        self._is_first = True

    def process(self, failed: tuple[Any, Any]) -> None:
        batch, cause = failed
        Metrics.counter(NAMESPACE, FAILED).inc(_length(batch))
        if self._is_first:
            self._is_first = False
            Metrics.string_set(NAMESPACE, CAUSE).add(_cause(cause))


def _length(batch: Any) -> int:
    try:
        return len(batch)
    except TypeError:  # a single example, from a handler without batching
        return 1


def _cause(cause: Any) -> str:
    """Return the error as Beam hands it on: class, representation, traceback."""
    try:
        return " ".join(storable(str(cause[1])).split())[:LONGEST_TEXT]
    except (IndexError, KeyError, TypeError):
        return "unknown"


@dataclass(frozen=True)
class Outlets:
    """Where the elements of a RunInference go.

    Attributes:
        results: what came out.
        failed: elements that failed before or after inference, of which Beam counts each.
        failed_batches: full name of the step that counts those of failed batches, or None.
        counts_input: whether every element that goes in is one element for the handler.
    """

    results: beam.PCollection[Any]
    failed: tuple[beam.PCollection[Any], ...]
    failed_batches: str | None
    counts_input: bool


def outlets(transform: Any, given: Any, result: Any) -> Outlets | None:
    """Return where the elements of a RunInference go; None if its outputs are not Beam's.

    Args:
        transform: the RunInference, applied.
        given: its input.
        result: what applying it gave. The elements of failed batches get a step that counts them.
    """
    is_single = not transform._model_handler.should_skip_batching()
    counts_input = is_single and isinstance(given.windowing.windowfn, ONE_WINDOW)
    if isinstance(result, beam.PCollection):
        return Outlets(result, (), None, counts_input)
    if not (isinstance(result, tuple) and len(result) == 2):
        return None
    results, dead = result
    if not isinstance(results, beam.PCollection) or not isinstance(dead, RunInferenceDLQ):
        return None
    label = f"beambench counts what fails in {transform.label}"
    counted = dead.failed_inferences | label >> beam.ParDo(CountFailed())
    failed = (*dead.failed_preprocessing, *dead.failed_postprocessing)
    return Outlets(results, failed, counted.producer.full_label, counts_input)


class ElementCounts:
    """Beam's counts of the elements of each PCollection of a pipeline that ran."""

    def __init__(self, proto: Any, infos_by_stage: Mapping[str, Iterable[Any]]) -> None:
        self._transforms = {
            transform.unique_name: transform for transform in proto.components.transforms.values()
        }
        self._counts: dict[str, int] = {}
        for infos in infos_by_stage.values():
            for info in infos:
                if info.urn == monitoring_infos.ELEMENT_COUNT_URN:
                    name, count = info.labels["PCOLLECTION"], _value(info)
                    # Stages that read again what another one wrote count the same elements.
                    self._counts[name] = max(count, self._counts.get(name, 0))

    def into(self, step: str) -> int | None:
        """Return the elements that went into a transform, by its full name."""
        transform = self._transforms.get(step)
        names = list(transform.inputs.values()) if transform is not None else []
        return self._counts.get(names[0], 0) if self._counts and names else None

    def of(self, pcollection: Any) -> int | None:
        """Return the elements of a PCollection; None if it is not known."""
        transform = self._transforms.get(pcollection.producer.full_label)
        if transform is None or not self._counts:
            return None
        name = transform.outputs.get(str(pcollection.tag))
        return None if name is None else self._counts.get(name, 0)


def _value(info: Any) -> int:
    return int(monitoring_infos.extract_counter_value(info))


def flow_of(
    step: str,
    own: Mapping[str, list[Any]],
    query: Mapping[str, list[Any]],
    exits: Outlets | None,
    counts: ElementCounts,
    inferred: int,
) -> ElementFlow:
    """Return what went into a RunInference and what became of it.

    Args:
        step: its full name.
        own: the metrics of its steps.
        query: all metrics.
        exits: where its elements go.
        counts: of the pipeline that ran.
        inferred: elements of the batches that did not fail.
    """
    ours = SummedMetrics(dict(own)).counters
    missing, surplus = ours.get(MISSING_RESULTS, 0), ours.get(SURPLUS_RESULTS, 0)
    if exits is None:
        return ElementFlow(elements_in=inferred, missing=missing, surplus=surplus)
    in_batches = _counted(query, exits.failed_batches)
    failed = sum(counts.of(pcollection) or 0 for pcollection in exits.failed) + in_batches
    out = counts.of(exits.results)
    into = counts.into(step) if exits.counts_input else inferred + in_batches
    if exits.counts_input and into is not None and out is not None:
        missing = max(missing, into - out - failed)
        surplus = max(surplus, out + failed - into)
    return ElementFlow(
        elements_in=into,
        elements_out=out,
        elements_failed=failed,
        missing=missing,
        surplus=surplus,
        causes=sorted(_causes(query, exits.failed_batches)),
    )


def _counted(query: Mapping[str, list[Any]], step: str | None) -> int:
    return sum(int(entry.result or 0) for entry in _entries(query, "counters", step, FAILED))


def _causes(query: Mapping[str, list[Any]], step: str | None) -> set[str]:
    return {
        cause
        for entry in _entries(query, "string_sets", step, CAUSE)
        for cause in getattr(entry.result, "string_set", entry.result) or ()
    }


def _entries(
    query: Mapping[str, list[Any]], kind: str, step: str | None, name: str
) -> Iterator[Any]:
    return (
        entry
        for entry in query.get(kind, [])
        if step is not None and entry.key.step == step and entry.key.metric.name == name
    )
