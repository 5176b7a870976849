"""Parts of the run record that workers reported: runner, input, model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from beambench.record.observation import Observation
from beambench.record.run_record import InputRecord, ModelRecord, Repeat, RunnerRecord

MIB = 1 << 20


def runner_record(requested: str, repeats: Sequence[Repeat]) -> RunnerRecord:
    """Say which runner ran, from what the repeats observed."""
    seen = next((repeat.runner for repeat in repeats if repeat.runner), None)
    if seen is None:
        return RunnerRecord(requested=requested, executed=None)
    return RunnerRecord(
        requested=requested,
        executed=seen["executed"],
        implementation=seen["implementation"],
        options=seen["options"],
        counters=seen["counters"],
    )


def input_record(observation: Observation | None, source: str, labels: str | None) -> InputRecord:
    prepared = observation.prepared if observation is not None else None
    if prepared is None:
        return InputRecord(kind="unknown", count=0, digest=None, source=source, labels=labels)
    return InputRecord(
        kind=prepared.input_kind,
        count=prepared.preparation["count"],
        digest=prepared.input_digest,
        bytes=prepared.input_bytes,
        source=prepared.input_source,
        labels=labels,
        class_folders=prepared.preparation.get("class_folders"),
    )


def model_record(observation: Observation | None, name: str, weights: Any) -> ModelRecord:
    prepared = observation.prepared if observation is not None else None
    size = prepared.weights_size if prepared is not None else None
    return ModelRecord(
        name=name,
        weights=weights,
        digest=prepared.weights_digest if prepared is not None else None,
        size_mib=size / MIB if size is not None else None,
    )
