"""The cost of stored runs in a comparison: known of jobs whose usage a service counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from beambench.cost.job_report import report_of_job
from beambench.cost.request import CostRequest, chosen_sheet, source_of
from beambench.experiments.comparison.cost import COST, priced
from beambench.experiments.comparison.effects import Limits
from beambench.experiments.comparison.stored import compare_stored
from beambench.record.comparison import Comparison
from beambench.record.run_record import RunRecord
from beambench.store import RunStore, sqlite_url
from costed_runs import job, local_run

FINGERPRINT = {"environment": {"fingerprint_digest": "f" * 64}}
HOURS = (25.0, 25.1, 24.9, 25.05, 24.95)


@pytest.fixture
def compare(tmp_path) -> Callable[[RunRecord, RunRecord], Comparison]:
    def compared(base: RunRecord, candidate: RunRecord) -> Comparison:
        with RunStore.open(sqlite_url(tmp_path / "runs.db")) as store:
            for run in (base, candidate):
                store.add(run)
            limits = Limits(0.03, 0.01)
            return compare_stored(store, base, candidate, limits, allow_different=False)

    return compared


def cost_of(run: RunRecord) -> Any:
    request, source = CostRequest(what=run.run_id), source_of(run)
    per_thousand = report_of_job(request, source, chosen_sheet(request, source)).per_thousand
    assert per_thousand is not None
    return per_thousand.expected


def test_a_job_that_uses_less_is_cheaper(compare):
    base = job(1, hours=HOURS, **FINGERPRINT)
    cheaper = job(2, hours=[0.8 * hour for hour in HOURS], **FINGERPRINT)
    comparison = compare(base, cheaper)
    cost = comparison.metrics[COST]
    assert (cost.unit, cost.direction, cost.n) == ("USD", "lower", 5)
    assert cost.base == pytest.approx(float(cost_of(base)), rel=1e-3)
    assert cost.candidate == pytest.approx(float(cost_of(cheaper)), rel=1e-3)
    assert 0.8 < cost.ratio < 0.81  # the shuffle costs the same
    assert cost.verdict == "faster"


def test_cost_is_left_out_where_the_service_did_not_count_all_that_is_billed(compare):
    unknown = job(2, hours=HOURS, usage={"memory_gb_seconds": None}, **FINGERPRINT)
    comparison = compare(job(1, hours=HOURS, **FINGERPRINT), unknown)
    assert COST not in comparison.metrics
    assert comparison.left_out[COST] == "unknown in 5 of 10 repeats"


def test_runs_of_this_machine_have_no_cost(compare):
    runs = local_run(1, **FINGERPRINT), local_run(2, **FINGERPRINT)
    assert [priced(run) for run in runs] == list(runs)
    comparison = compare(*runs)
    assert COST not in {**comparison.metrics, **comparison.left_out}


def test_a_job_whose_definition_names_no_cluster_has_no_cost():
    run = job(1, hours=HOURS)
    definition = {**run.config["definition"], "cluster": None}
    bare = run.model_copy(update={"config": {**run.config, "definition": definition}})
    assert priced(bare) == bare
