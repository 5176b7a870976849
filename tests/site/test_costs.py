"""What runs cost: a metric of the site, made of what `beambench cost` says."""

from __future__ import annotations

import pytest

from beambench.cost.request import CostRequest
from beambench.definition.library import Library
from beambench.experiments.cost import price_run
from beambench.record.run_record import Choice, RunRecord
from beambench.site.data.costs import METRIC, UNKNOWN, cost_of, with_cost
from beambench.store.run_store import RunStore
from beambench.store.summaries import HistoryRun
from costed_runs import job, local_run
from published_runs import run_record


def light(record: RunRecord) -> HistoryRun:
    return HistoryRun.model_validate_json(record.model_dump_json())


def measured() -> RunRecord:
    """A run with its medians among its metrics, as real ones have them."""
    record = local_run(throughputs=(4.0, 5.0, 6.0))
    names = ("throughput_elements", "startup_time", "peak_memory")
    medians = {name: record.repeats[1].metrics[name] for name in names}
    return record.model_copy(update={"metrics": record.metrics | medians})


@pytest.mark.parametrize("make", [measured, job])
def test_a_run_costs_what_the_report_on_it_says(tmp_path, make):
    record = make()
    with RunStore.open(f"sqlite:///{tmp_path}/runs.db") as store:
        store.add(record)
        report = price_run(CostRequest(what=record.run_id), Library(), store)
    assert report.benchmark_total is not None
    cost = cost_of(light(record), record.model_dump_json())
    assert cost.amount == pytest.approx(float(report.benchmark_total.expected))
    assert cost.currency == report.sheet.currency


def test_the_speed_of_a_precision_that_the_machines_lack_is_no_price():
    """What a setting that was left open came to decides, as it does for `beambench cost`."""
    definition = measured().config["definition"]
    auto = {**definition, "model": {**definition["model"], "precision": "auto"}}
    choice = Choice(setting="model.precision", value="bfloat16", reason="the CPU has it")
    run = measured().model_copy(update={"config": {"definition": auto, "beam_flags": []}})
    decided = run.model_copy(update={"choices": [choice]})
    assert cost_of(light(decided), decided.model_dump_json()) == UNKNOWN


def test_a_run_that_cannot_be_priced_costs_what_is_not_known():
    record = run_record(1)
    run = light(record)
    assert cost_of(run, record.model_dump_json()) == UNKNOWN
    assert with_cost(run, UNKNOWN) is run


def test_the_cost_is_a_metric_like_others():
    record = measured()
    priced = with_cost(light(record), cost_of(light(record), record.model_dump_json()))
    value = priced.metrics[METRIC]
    assert (value.unit, value.direction, value.n) == ("USD", "lower", 1)
