"""What a pipeline was given, what it wrote, and naming what is missing or double."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from beambench.definition.plan import PreparedPlan
from beambench.errors import RunError
from beambench.inputs import files
from beambench.inputs.elements import Element, parsed
from beambench.instrumentation.proof.output_sums import accounts_for, expected_of
from beambench.record.observation import Observation, Proof, SampledPrediction
from beambench.record.run_record import FailedElement
from beambench.worker.label_comparison import LabelLog

if TYPE_CHECKING:
    from beambench.instrumentation.elements import Output
    from beambench.workloads.output import Target

LISTED = 20
"""Failed, missing and duplicate elements that are named; all are counted."""


def read_predictions(path: str) -> Iterator[Output]:
    """Yield the outputs of a predictions file, one JSON array a line."""
    for line in files.lines_of(path):
        element_id, label, evidence, error = json.loads(line)
        yield element_id, label, evidence, error


def named_differences(ids: Sequence[str], seen: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the ids that did not come out and those that came out too often, in input order."""
    expected, actual = Counter(ids), Counter(seen)
    missing = list((expected - actual).elements())
    duplicates = list((actual - expected).elements())
    return missing, duplicates


def read_elements(plan: PreparedPlan) -> list[Element]:
    """Return the elements that were prepared.

    Raises:
        RunError: the file has changed since, so a pipeline that reads it would prove too little.
    """
    prepared = plan.preparation
    elements = [parsed(line, prepared.root) for line in files.lines_of(prepared.ids_file)]
    if any(files.is_address(source) for _, source in elements if isinstance(source, str)):
        files.has_credentials()  # looked for now, and not when the first element is read
    if len(elements) != prepared.count:
        raise RunError(
            f"{prepared.ids_file}: has {len(elements)} of {prepared.count} prepared elements"
        )
    return elements


def ids_of(elements: Iterable[Element]) -> list[str]:
    return [element.id for element in elements]


def observed(
    plan: PreparedPlan,
    outputs: Iterable[Output],
    ids: Sequence[str],
    proof: Proof,
    truth: Mapping[str, int],
) -> Observation:
    """Read through the outputs once: failures, sampled labels, accuracy; names if ids differ.

    A label that is a text is neither right nor wrong: the truth is the index of a class. Labels
    are compared with those of the first execution in the same work folder.
    """
    wanted, further_wanted = set(plan.preparation.sample), set(plan.preparation.further_sample)
    failed: list[FailedElement] = []
    sample: list[SampledPrediction] = []
    further: list[SampledPrediction] = []
    labelled = correct = named = 0
    seen: list[str] = []
    expected = expected_of(ids)
    naming = not accounts_for(proof, expected)
    log = LabelLog(Path(plan.work_dir), proof.labels, complete=not naming)
    for output in outputs:
        element_id, label, _, error = output
        if error is not None and len(failed) < LISTED:
            failed.append(FailedElement(id=element_id, stage=error[0], error=error[1]))
        if element_id in wanted:
            sample.append(sampled(output))
        elif element_id in further_wanted:
            further.append(sampled(output))
        if error is None and element_id in truth and isinstance(label, str):
            named += 1
        elif error is None and element_id in truth:
            labelled += 1
            correct += label == truth[element_id]
        if naming:
            seen.append(element_id)
        if error is None:
            log.note(element_id, label)
    missing, duplicates = named_differences(ids, seen) if naming else ([], [])
    return Observation(
        task=plan.task,
        proof=proof,
        expected=expected,
        failed=failed,
        sample=sample,
        further=further,
        labelled=labelled,
        correct=correct,
        missing=missing[:LISTED],
        missing_count=len(missing),
        duplicates=duplicates[:LISTED],
        duplicates_count=len(duplicates),
        label_comparison=log.close(),
        warnings=_named_classes(plan, named),
    )


def _named_classes(plan: PreparedPlan, count: int) -> list[str]:
    if not count:
        return []
    return [
        f"{plan.labels}: {count} labelled elements came out with a text as label, which no class "
        "index can equal: accuracy is without them"
    ]


def sampled(output: Output) -> SampledPrediction:
    element_id, label, evidence, error = output
    stage, message = error or (None, None)
    return SampledPrediction(
        id=element_id, label=label, evidence=evidence, stage=stage, error=message
    )


def with_two_greatest(prediction: SampledPrediction) -> SampledPrediction:
    """Leave of the evidence what tells a near tie; the rest, of many elements, would be much."""
    numbers = [value for value in prediction.evidence or () if not math.isnan(value)]
    largest = sorted(numbers, reverse=True)[:2] if prediction.evidence is not None else None
    return prediction.model_copy(update={"evidence": largest})


def classes_of(outputs: Sequence[Output]) -> int | None:
    """Return how many classes a model has, if its raw outputs are one score for each."""
    numbers = set[int]()
    for _, label, evidence, error in outputs:
        if error is not None:
            continue
        if (
            not isinstance(label, int)
            or not evidence
            or evidence[label : label + 1] != [max(evidence)]
        ):
            return None
        numbers.add(len(evidence))
    return numbers.pop() if len(numbers) == 1 and numbers != {1} else None


def written_rows(target: Target, proof: Proof) -> int:
    """Count the rows of a target.

    Raises:
        RunError: they are not as many as came out of the pipeline.
    """
    from beambench.workloads.pipeline import sinks  # Beam's, which nothing else here needs

    rows, outputs = sinks.count(target), proof.count + proof.failed
    if rows != outputs:
        raise RunError(f"output {target}: has {rows} rows of {outputs} outputs")
    return rows
