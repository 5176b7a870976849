"""What runs cost for all elements of their benchmark: a metric of the site, made from prices."""

from __future__ import annotations

from typing import NamedTuple

from beambench.cost.request import is_job
from beambench.errors import BeambenchError
from beambench.experiments.cost import expected_cost
from beambench.record.run_record import MetricValue, RunNoise, RunRecord, Verification
from beambench.store.summaries import HistoryRun

METRIC = "estimated_cost"
FORMULA = (
    "what the elements of the full profile cost by the price sheet: of a job, its usage; of a run "
    "on one machine, projected to the machines that the definition names (`beambench cost`)"
)


class RunCost(NamedTuple):
    """What a run costs for all elements of its benchmark.

    Attributes:
        amount: expected; None where it is not known.
        currency: of it, empty where it is not known.
    """

    amount: float | None
    currency: str


UNKNOWN = RunCost(None, "")


def cost_of(run: HistoryRun, document: str) -> RunCost:
    """Return what a run costs, unknown where `beambench cost` refuses to say.

    Args:
        run: without its repeats, whose medians stand for them: they decide what is expected.
        document: the whole record; of a job, usage stands in its repeats.
    """
    if run.status != "succeeded" or not run.config:
        return UNKNOWN
    try:
        light = _without_repeats(run)
        record = RunRecord.model_validate_json(document) if is_job(light) else light
        cost = expected_cost(record)
    except (BeambenchError, ArithmeticError, ValueError, LookupError, TypeError, AttributeError):
        return UNKNOWN  # a record of another version, or of another hand
    return UNKNOWN if cost is None else RunCost(float(cost.amount), cost.currency)


def with_cost(run: HistoryRun, cost: RunCost) -> HistoryRun:
    """Return a run with its cost among its metrics."""
    if cost.amount is None:
        return run
    value = MetricValue(value=cost.amount, unit=cost.currency, direction="lower", n=1)
    return run.model_copy(update={"metrics": {**run.metrics, METRIC: value}})


def _without_repeats(run: HistoryRun) -> RunRecord:
    """Return the record of a run without what only reading all of it would tell."""
    unknown = Verification(
        elements_in=None, elements_out=None, elements_failed=None, duplicates=None
    )
    return RunRecord.model_construct(
        schema_version=run.schema_version,
        run_id=run.run_id,
        benchmark=run.benchmark,
        variant=run.variant,
        profile=run.profile,
        definition_hash=run.definition_hash,
        beambench_version="unknown",
        runner=run.runner,
        status=run.status,
        started_at=run.started_at,
        finished_at=run.finished_at,
        input=run.input,
        model=run.model,
        config=run.config,
        choices=run.choices,
        repeats=[],
        references=[],
        metrics=run.metrics,
        verification=unknown,
        noise=RunNoise(),
        environment=run.environment,
        labels=run.labels,
        command=run.command,
        warnings=run.warnings,
        error=run.error,
        imported=run.imported,
    )
