"""What a list of runs shows of each, read without what makes a record large."""

from __future__ import annotations

from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)

from beambench.record.run_record import (
    Choice,
    Imported,
    InputRecord,
    Metrics,
    ModelRecord,
    RunnerRecord,
    Status,
)


class VerificationSummary(BaseModel):
    """Whether the work was proven, and why not where it could not be."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    passed: bool
    unverified: str | None = None


class NoiseSummary(BaseModel):
    """How many repeats the metrics of a run are from, and how many of those were disturbed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    counted_repeats: int = 0
    counted_disturbed: int = 0


class RunSummary(BaseModel):
    """What a list of runs shows of each: the record without its repeats and environment.

    Attributes:
        noise: None of a record that does not say it: an earlier one, or one that was imported.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int
    run_id: str
    benchmark: str
    variant: str
    profile: str
    definition_hash: str
    runner: RunnerRecord
    input: InputRecord
    model: ModelRecord
    status: Status
    started_at: str
    finished_at: str
    metrics: Metrics
    verification: VerificationSummary
    noise: NoiseSummary | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)
    error: str | None = None
    imported: Imported | None = None

    @field_validator("noise", mode="before")
    @classmethod
    def _stated(cls, noise: object) -> object:
        is_stated = isinstance(noise, dict) and "counted_disturbed" in noise
        return noise if is_stated else None

    @model_serializer(mode="wrap")
    def _as_recorded(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the noise of a record that does not say it."""
        document: dict[str, Any] = serialise(self)
        if self.noise is None:
            del document["noise"]
        return document


class HistoryRun(RunSummary):
    """What a history shows of each run, and what it takes to tell why a value changed.

    Attributes:
        config, choices, environment, command: as in the record.
    """

    config: dict[str, Any] = Field(default_factory=dict)
    choices: list[Choice] = Field(default_factory=list)
    environment: dict[str, Any] = Field(default_factory=dict)
    command: list[str] = Field(default_factory=list)
