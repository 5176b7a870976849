"""What is read again of a record's `config`, by type: a key that nobody writes is an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from beambench.record.reading import tolerant
from beambench.record.run_record import ModelRuns


class Configuration(BaseModel):
    """What a run was asked for and told, as far as that is read again; any of it may be unknown.

    Attributes:
        definition: of the benchmark, as it was resolved; None of a pipeline that exists already.
        model_runs: where the model computed, if not in the worker.
        precision: that the model computed in, where the run decided it.
        output: target and format of the predictions, None if none were written.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    definition: dict[str, Any] | None = None
    model_runs: ModelRuns | None = None
    precision: str | None = None
    overrides: list[str] = Field(default_factory=list)
    beam_flags: list[object] = Field(default_factory=list)
    output: object = None


class Limits(BaseModel):
    """The limits of a run that this version or an earlier one made: their records all have them.

    Attributes:
        timeout: time limit of the whole run, in seconds.
        max_failed: share of failed elements above which a repeat fails.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    timeout: float
    max_failed: float


def read_configuration(config: Mapping[str, Any]) -> Configuration:
    """Return what is known of a configuration; a part of another form is unknown.

    A record that was imported may come from anywhere.
    """
    return tolerant(Configuration, config)


def definition_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition in a configuration; empty where there is none."""
    return read_configuration(config).definition or {}
