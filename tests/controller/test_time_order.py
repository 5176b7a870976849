"""Repeats in time order: which values are looked at, and when a run is warned of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from beambench.controller.execution import Execution
from beambench.controller.run_warnings import warnings_of
from beambench.controller.time_order import time_order, warnings_of_order
from beambench.metrics import Sample
from beambench.presentation.runs import print_record
from beambench.record.run_record import Repeat
from published_runs import run_record
from raw_repeats import make_repeat, value_of

# In no order, around 100.
QUIET = (100.0, 101.0, 99.0, 100.5, 99.5, 101.5, 98.5, 100.2)
RISING = (92.0, 94.0, 96.0, 98.0, 102.0, 104.0, 106.0, 108.0)


def repeats_of(rates: Sequence[float], name: str = "throughput_elements") -> list[Repeat]:
    return [make_repeat(metrics={name: value_of(name, Sample(rate, 10))}) for rate in rates]


def test_repeats_that_get_faster_are_warned_of():
    (warning,) = warnings_of_order(repeats_of(RISING))
    # Products 48 + 24 + 8 - 4 + 8 + 24 + 48, squares 240. Of the 28 slopes 12 are 2, one is 16/7,
    # and two are 14/6; the median is 100.
    assert warning == (
        "repeats are not independent: throughput_elements has a lag-1 correlation of 0.65 (p "
        "0.003) and a trend of +2.33% a repeat (p 5e-05) over 8 repeats, so intervals are too "
        "narrow: let the machine settle, or look for what changes"
    )
    execution = Execution(0.01, repeats=repeats_of(RISING))
    assert warning in warnings_of(execution, {})


def test_quiet_repeats_are_not_warned_of():
    order = time_order(repeats_of(QUIET))
    assert order is not None
    assert order.independence.n == 8
    assert warnings_of_order(repeats_of(QUIET)) == []


def test_a_pipeline_that_exists_already_has_the_rate_of_its_inference():
    order = time_order(repeats_of(RISING, "throughput_inferred"))
    assert order is not None
    assert order.metric == "throughput_inferred"


@pytest.mark.parametrize("change", [{"status": "failed"}, {"excluded": "another is in its place"}])
def test_only_repeats_that_count_are_looked_at(change):
    repeats = repeats_of(RISING)
    assert time_order([repeats[0].model_copy(update=change), *repeats[1:]]) is None
    assert warnings_of_order(repeats[:7]) == []


def test_correlation_and_trend_are_printed_where_n_allows(capsys):
    print_record(run_record().model_copy(update={"repeats": repeats_of(QUIET)}))
    shown = " ".join(capsys.readouterr().out.split())
    assert "throughput_elements over 8 repeats in time order: lag-1 correlation -0." in shown
    assert "a repeat (p " in shown
    print_record(run_record().model_copy(update={"repeats": repeats_of(QUIET[:7])}))
    assert "in time order" not in capsys.readouterr().out
