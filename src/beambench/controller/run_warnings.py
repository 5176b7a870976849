"""What a reader of a run's numbers must know."""

from __future__ import annotations

from collections.abc import Sequence

from beambench.analysis.histogram import MAX_BUCKETS
from beambench.analysis.memory_growth import Reading, growth
from beambench.controller.execution import Execution
from beambench.controller.loads import warnings_of_loads
from beambench.controller.metric_values import warnings_of_unknown
from beambench.controller.proof.element_flow import warnings_of_flows
from beambench.controller.proof.label_differences import labels_that_differ
from beambench.controller.status import EFFICIENCY_LIMIT
from beambench.controller.time_order import warnings_of_order
from beambench.record.observation import Observation
from beambench.record.run_record import Metrics


def warnings_of(execution: Execution, metrics: Metrics) -> list[str]:
    """Say what a reader of the numbers must know."""
    warnings = [
        warning for observation in execution.observations for warning in observation.warnings
    ]
    for repeat in [*execution.repeats, *execution.references]:
        where = f"{repeat.arm} repeat {repeat.index + 1}"
        if repeat.batches_retried:
            share = f"{repeat.batches_retried} of {len(repeat.batch_sizes)} batches"
            why = f" ({repeat.retry_cause})" if repeat.retry_cause is not None else ""
            warnings.append(
                f"{where}: {share} failed{why} and were run one element at a time, so throughput "
                "is not that of batch_sizes"
            )
        warnings += warnings_of_loads(where, repeat)
        warnings += warnings_of_flows(where, repeat.element_flows)
        for difference in repeat.cross_check.get("differences", []):
            warnings.append(f"{where}: Beam's own metrics differ: {difference}")
        for reason in repeat.noise.get("reasons", []):
            instead = f"; {repeat.excluded}" if repeat.excluded is not None else ""
            warnings.append(f"{where} was disturbed: {reason}{instead}")
    warnings += warnings_of_order(execution.repeats)
    warnings += _memory_that_grew(execution.observations)
    proofs = [each.verification for each in execution.repeats if each.verification is not None]
    warnings += dict.fromkeys(warning for proof in proofs for warning in proof.warnings)
    if execution.references and not execution.is_single_threaded():
        warnings.append("the pipeline had several workers, the loop one: no efficiency is given")
    if any(each.measured is not None and each.measured.folded for each in execution.observations):
        spread = f"latencies spread over more than {MAX_BUCKETS} buckets"
        warnings.append(f"{spread}: percentiles are withheld")
    if any(
        each.measured is not None and each.measured.folded_sizes for each in execution.observations
    ):
        warnings.append(f"more than {MAX_BUCKETS} batch sizes: percentiles are withheld")
    warnings += labels_that_differ([*execution.repeats, *execution.references])
    warnings += warnings_of_unknown(execution.unknown, execution.metric_values().unknown)
    efficiency = metrics.get("pipeline_efficiency")
    if efficiency is not None and efficiency.value > EFFICIENCY_LIMIT:
        warnings.append(
            f"pipeline_efficiency {efficiency.value:.3f} is above {EFFICIENCY_LIMIT}: an error "
            "until explained, for a pipeline cannot do the same work faster than the bare loop"
        )
    return warnings


def _memory_that_grew(observations: Sequence[Observation]) -> list[str]:
    """Say in one line how memory grew with every batch, of the repeat where it grew fastest."""
    growths = [
        grown
        for observation in observations
        if (grown := growth([Reading(*reading) for reading in observation.memory])) is not None
    ]
    if not growths:
        return []
    most = max(growths, key=lambda grown: grown.per_batch)
    return [
        f"the worker's memory grew by {most.per_batch / 1e6:.3g} MB a batch over {most.batches} "
        f"batches, from {most.start / 1e9:.3g} to {most.end / 1e9:.3g} GB, in {len(growths)} of "
        f"{len(observations)} repeats: a leak, or a cache that never filled"
    ]
