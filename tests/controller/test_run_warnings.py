"""What a reader of a run's numbers is warned of."""

from __future__ import annotations

import pytest

from beambench.controller.run_warnings import warnings_of
from beambench.record.run_record import LabelComparison
from task_results import changed, efficiency_of, execute, observe, result_of


def test_an_efficiency_above_the_limit_is_a_warning():
    execution = execute(("pipeline", 1))
    assert warnings_of(execution, efficiency_of(1.02)) == []
    assert warnings_of(execution, efficiency_of(1.0201)) == [
        "pipeline_efficiency 1.020 is above 1.02: an error until explained, for a pipeline cannot "
        "do the same work faster than the bare loop"
    ]
    assert (
        warnings_of(execution, {"ceiling_efficiency": efficiency_of(3)["pipeline_efficiency"]})
        == []
    )


def test_warnings_say_what_a_reader_must_know():
    noisy = {"reasons": ["other processes used 9.0% of the machine (limit 5%)"]}
    theirs = {
        "inference_request_batch_size": {"count": 3, "sum": 100, "min": 10, "max": 60},
        "num_inferences": {"value": 101},
    }
    execution = execute(
        ("pipeline", result_of(observe(warnings=["from the worker"], beam_metrics=theirs))),
        ("loop", result_of(observe(), noise=noisy)),
        ("pipeline", result_of(observe(label="b"))),
    )
    assert warnings_of(execution, {}) == [
        "from the worker",
        "pipeline repeat 1: Beam's own metrics differ: inferences: Beam 101, ours 100",
        "loop repeat 1 was disturbed: other processes used 9.0% of the machine (limit 5%)",
        "labels differ between repeats: see verification.digest of each",
    ]


def test_labels_that_arithmetic_may_change_are_counted_in_one_warning():
    some, several, none = (
        LabelComparison(compared=100, differing=n, listed=[str(i) for i in range(n)])
        for n in (1, 3, 0)
    )
    execution = execute(
        ("pipeline", 1),
        ("loop", result_of(observe(label="b", label_comparison=some))),
        ("pipeline", result_of(observe(label="c", label_comparison=several))),
    )
    assert warnings_of(execution, {}) == [
        "the labels of up to 3 of 100 elements (3.00%) differ from those of the run's first "
        "execution, first '0': near ties may change places with the batches"
    ]
    assert execution.repeats[1].verification.label_comparison == several
    failures = execute(
        ("pipeline", 1), ("pipeline", result_of(observe(label="b", label_comparison=none)))
    )
    assert warnings_of(failures, {}) == []


def test_labels_of_a_failed_repeat_are_no_difference():
    execution = execute(
        ("pipeline", 1), ("pipeline", result_of(observe(failed=9, label="b"))), ("pipeline", None)
    )
    assert warnings_of(execution, {}) == []


def test_batches_that_were_run_again_are_a_warning():
    execution = execute(("pipeline", result_of(changed(retried_batches=2))))
    assert execution.repeats[0].batches_retried == 2
    [warning] = warnings_of(execution, {})
    assert warning.startswith("pipeline repeat 1: 2 of 3 batches failed and were")


def test_the_first_cause_of_batches_that_were_run_again_is_said():
    cause = "RuntimeError: stack expects each tensor to be equal size"
    execution = execute(("pipeline", result_of(changed(retried_batches=2, retry_cause=cause))))
    assert execution.repeats[0].retry_cause == cause
    assert warnings_of(execution, {}) == [
        f"pipeline repeat 1: 2 of 3 batches failed ({cause}) and were run one element at a time, "
        "so throughput is not that of batch_sizes"
    ]


@pytest.mark.parametrize(
    ("folded", "spread"),
    [
        ("folded", "latencies spread over more than 128 buckets"),
        ("folded_sizes", "more than 128 batch sizes"),
    ],
)
def test_withheld_percentiles_are_a_warning(folded, spread):
    execution = execute(("pipeline", result_of(changed(**{folded: 1}))))
    assert warnings_of(execution, {}) == [f"{spread}: percentiles are withheld"]
