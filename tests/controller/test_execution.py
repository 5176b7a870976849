"""The repeats of a run: numbers, pairs, metrics, verification, noise."""

from __future__ import annotations

import pytest

from beambench.controller.run_warnings import warnings_of
from beambench.metrics.registry import BUILT_IN
from task_results import changed, execute, observe, result_of


def test_repeats_are_numbered_within_their_arm_and_references_stand_apart():
    execution = execute(
        ("pipeline", 1),
        ("loop", 2),
        ("ceiling", 3),
        ("ceiling", 4),
        ("loop", None),
        ("pipeline", 5),
    )
    assert [(repeat.arm, repeat.index) for repeat in execution.repeats] == [
        ("pipeline", 0),
        ("pipeline", 1),
    ]
    assert [(reference.arm, reference.index) for reference in execution.references] == [
        ("loop", 0),
        ("ceiling", 0),
        ("ceiling", 1),
        ("loop", 1),
    ]


def test_the_loop_replays_the_batches_of_the_last_pipeline_that_had_any():
    execution = execute()
    assert execution.batch_sizes() == []
    execution.add("pipeline", result_of())
    assert execution.batch_sizes() == []
    execution.add("pipeline", result_of(observe()))
    assert execution.batch_sizes() == [10, 30, 60]
    other = observe()
    other = other.model_copy(
        update={"measured": other.measured.model_copy(update={"batch_sizes": {50: 2}})}
    )
    execution.add("loop", result_of(other))
    execution.add("pipeline", result_of())
    assert execution.batch_sizes() == [10, 30, 60]
    execution.add("pipeline", result_of(other))
    assert execution.batch_sizes() == [50, 50]


def test_pairs_are_the_nth_of_each_where_both_succeeded():
    execution = execute(
        ("pipeline", 10), ("loop", 20), ("ceiling", 40),
        ("ceiling", 50), ("loop", None), ("pipeline", 11),
        ("pipeline", None), ("loop", 22), ("ceiling", 44),
        ("ceiling", 60), ("loop", 24), ("pipeline", 12),
    )  # fmt: skip
    rates = [
        [round(repeat.metrics["throughput_elements"].value) for repeat in pair]
        for pair in execution.pairs("loop")
    ]
    assert rates == [[10, 20], [12, 24]]
    assert [(a.index, b.index) for a, b in execution.pairs("ceiling")] == [(0, 0), (1, 1), (3, 3)]
    values = execution.metrics()
    assert values["pipeline_efficiency"].value == pytest.approx(0.5)
    assert values["pipeline_efficiency"].n == 2
    assert values["ceiling_efficiency"].value == pytest.approx(11 / 50, rel=1e-3)
    assert values["ceiling_efficiency"].n == 3


def test_the_metrics_of_a_run_are_of_its_pipeline():
    values = execute(("pipeline", 10), ("loop", 1000), ("pipeline", 30), ("ceiling", 1)).metrics()
    assert values["throughput_elements"].value == pytest.approx(20.0)
    assert values["throughput_elements"].n == 2
    assert "pipeline_efficiency" in values
    assert set(values) < {metric.name for metric in BUILT_IN}


def test_a_failed_repeat_counts_its_failed_elements_and_nothing_else():
    bad = result_of(observe(500, failed=3))
    values = execute(("pipeline", 10), ("pipeline", bad)).metrics()
    assert (values["elements_failed"].value, values["elements_failed"].n) == (3.0, 200)
    assert values["throughput_elements"].value == pytest.approx(10.0)
    assert set(execute(("pipeline", bad)).metrics()) == {"elements_failed"}


def test_the_run_is_verified_by_the_first_repeat_that_failed():
    good, lost = result_of(observe()), [result_of(observe(missing_count=n)) for n in (1, 2)]
    assert execute(("pipeline", good), ("pipeline", good)).verification().passed
    execution = execute(("pipeline", good), ("pipeline", lost[0]), ("pipeline", lost[1]))
    assert (execution.verification().passed, execution.verification().missing) == (False, 1)
    assert not execute(("pipeline", None)).verification().passed
    loop_only = execute(("pipeline", good), ("loop", lost[0]))
    assert loop_only.verification().passed


def test_noise_is_of_all_repeats():
    execution = execute(("pipeline", 1), ("loop", result_of(observe(), noise={"disturbed": True})))
    assert execution.noise().repeats == 2
    assert execution.noise().disturbed_repeats == [1]


def test_a_repeat_is_compared_with_the_first_that_has_all_elements():
    exact = [
        result_of(observe(label=label, near_tie=0.0, missing_count=lost, count=100))
        for label, lost in (("a", 1), ("b", 0), ("b", 0), ("c", 0))
    ]
    execution = execute(*(("pipeline", result) for result in exact))
    assert [repeat.status for repeat in execution.repeats] == [
        *("failed", "succeeded", "succeeded", "failed")
    ]
    assert execution.repeats[3].error["message"] == (
        "verification: the labels differ from those of the run's first execution, though labels "
        "of this work are exact"
    )


@pytest.mark.parametrize(("threads", "known"), [(1, True), (None, False)])
def test_efficiency_needs_equal_threads(threads, known):
    execution = execute(("pipeline", result_of(changed(threads=threads))), ("loop", 20.0))
    assert ("pipeline_efficiency" in execution.metrics()) is known
    warned = any("several workers" in warning for warning in warnings_of(execution, {}))
    assert warned is not known
