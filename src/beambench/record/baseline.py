"""A baseline: a set of runs that later runs are measured against, under a name."""

from __future__ import annotations

from pydantic import Field

from beambench.record.run_record import Part

SCHEMA_VERSION = 1

LEAST_RUNS = 3
"""Runs of a baseline at least: one may have been lucky."""


class Baseline(Part):
    """A named set of runs of one benchmark, all of one kind, finished and verified."""

    schema_version: int = SCHEMA_VERSION
    name: str
    benchmark: str
    created_at: str
    run_ids: list[str] = Field(min_length=LEAST_RUNS)
