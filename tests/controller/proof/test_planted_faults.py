"""Every planted fault is caught, or is rarer than what the record says that it would have seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from beambench.errors import RunError
from beambench.instrumentation.device import check_device
from beambench.record.run_record import ModelDevice
from planted_faults import FAULTS, LOOPS, Fault, Loop, Outcome, outcome, table

PAGE = Path(__file__).parents[3] / "docs" / "measuring.md"
EVERY_FAULT = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)


@pytest.fixture(scope="module")
def outcome_of(tmp_path_factory):
    """Return a function that carries out a fault beside a loop, each once."""
    outcomes: dict[tuple[str, str], Outcome] = {}

    def outcome_once(fault: Fault | None, loop: Loop) -> Outcome:
        key = fault.name if fault is not None else "", loop
        if key not in outcomes:
            outcomes[key] = outcome(fault, loop, tmp_path_factory.mktemp("fault"))
        return outcomes[key]

    return outcome_once


@pytest.mark.parametrize("loop", LOOPS)
def test_without_a_fault_a_run_passes_and_says_its_power(outcome_of, loop):
    result = outcome_of(None, loop)
    assert result.error is None
    assert result.verification.passed
    assert result.verification.detectable_share == (0.085 if loop == "no loop" else 0.0)


@EVERY_FAULT
@pytest.mark.parametrize("loop", LOOPS)
def test_a_fault_is_caught_or_is_below_the_power_that_the_record_states(outcome_of, fault, loop):
    result = outcome_of(fault, loop)
    if result.caught_by is not None:
        assert not result.verification.passed or result.caught_by == "failures"
        return
    stated = result.verification.detectable_share
    assert stated is not None
    assert 0 < fault.share <= stated


@EVERY_FAULT
def test_each_is_caught_where_the_loop_has_the_same_batches(outcome_of, fault: Fault):
    assert outcome_of(fault, "same batches").caught_by is not None


def test_few_are_missed_by_the_sample_alone(outcome_of):
    missed = [fault.name for fault in FAULTS if outcome_of(fault, "no loop").caught_by is None]
    assert missed == [
        "one batch rotated, outside the sample",
        "1 % of the labels wrong, outside the sample",
        "a pair swapped, outside the sample",
    ]


def test_a_model_on_another_device_is_caught_after_the_load():
    with pytest.raises(RunError, match="cpu"):
        check_device("gpu", ModelDevice(device="cpu", name="a CPU"))


def test_the_table_of_the_docs_is_what_happens(outcome_of):
    assert table(outcome_of) in PAGE.read_text("utf-8")
