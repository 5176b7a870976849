"""What workers reported, put together: repeats, pairs, verdicts, warnings, statuses."""

from __future__ import annotations

from typing import Any

import pytest

from beambench.controller.assemble import (
    Execution,
    error_of,
    input_record,
    make_repeat,
    metrics_of,
    model_record,
    runner_record,
    status_of,
    warnings_of,
)
from beambench.controller.proof.verification import verification
from beambench.controller.results import TaskResult
from beambench.metrics.registry import BUILT_IN
from beambench.record.observation import (
    Distribution,
    Measured,
    Observation,
    Prepared,
    Proof,
    SampledPrediction,
)
from beambench.record.run_record import FailedElement, LabelComparison, MetricValue, Repeat

IDS = f"{7:032x}"
SAMPLE = [SampledPrediction(id=str(number), label=number) for number in range(8)]
REFERENCE = Observation(task="reference", sample=SAMPLE)
CRASH = {"kind": "run", "message": "the worker was killed by SIGKILL: out of memory?", "detail": ""}


def observe(
    rate: float = 10.0, *, failed: int = 0, count: int = 100, label: str = "a", **changes: Any
) -> Observation:
    """Return what a worker reports of 100 elements in batches of 10, 30 and 60."""
    out = count - failed
    sizes = {60: 1, 10: 1, 30: 1}
    proof = Proof(count=out, failed=failed, ids=IDS, failed_ids="0", labels=label)
    fields: dict[str, Any] = {
        "task": "pipeline",
        "measured": Measured(
            elements=out,
            batches=3,
            batch_sizes=sizes,
            batch_size=Distribution(count=3, sum=100, min=10, max=60),
            batch_latency=Distribution(count=3, sum=300_000, min=100_000, max=100_000),
            latencies={20: 3},
            first_read=0,
            last_output=round(out / rate * 1e6),
        ),
        "proof": proof,
        "expected": Proof(count=count, failed=0, ids=IDS, failed_ids="0", labels=""),
        "failed": [FailedElement(id="7.jpg", stage="preprocess", error="ValueError: bad")] * failed,
        "sample": SAMPLE,
        "runner": {
            "executed": "direct",
            "implementation": "FnApiRunner (in_memory)",
            "counters": "committed",
            "options": ["--x=1"],
        },
    }
    return Observation(**(fields | changes))


def result_of(observation: Observation | None = None, **changes: Any) -> TaskResult:
    error = observation.error if observation is not None else None
    fields: dict[str, Any] = {
        "status": "succeeded" if observation is not None and error is None else "failed",
        "observation": observation,
        "error": CRASH if observation is None else error and error.model_dump(),
        "duration": 12.5,
        "started_at": "2026-01-01T00:00:00.000Z",
        "finished_at": "2026-01-01T00:00:13.000Z",
        "noise": {"reasons": [], "disturbed": False},
        "peak_rss": 1000,
        "rss_samples": 9,
    }
    return TaskResult(**(fields | changes))


def execute(*results: tuple[str, Any], max_failed: float = 0.01) -> Execution:
    """Return an execution of (arm, rate or result); a rate of None is a crash."""
    execution = Execution(max_failed, reference=REFERENCE)
    for arm, what in results:
        observation = observe(what) if isinstance(what, int | float) else None
        execution.add(arm, what if isinstance(what, TaskResult) else result_of(observation))
    return execution


def judged(arm: Any, index: int, result: TaskResult, max_failed: float) -> Repeat:
    """Return the repeat of a worker's result."""
    seen = result.observation
    proven = verification(seen, REFERENCE) if seen is not None else None
    metrics = metrics_of(result, proven).values
    return make_repeat(arm, index, result, proven, max_failed, metrics)


# A repeat


def test_a_repeat_holds_what_was_seen_from_inside_and_outside():
    repeat = judged("pipeline", 4, result_of(observe()), 0.01)
    assert (repeat.index, repeat.arm, repeat.status, repeat.error) == (
        4,
        "pipeline",
        "succeeded",
        None,
    )
    assert repeat.started_at == "2026-01-01T00:00:00.000Z"
    assert repeat.finished_at == "2026-01-01T00:00:13.000Z"
    assert repeat.metrics["throughput_elements"].value == pytest.approx(10.0)
    assert repeat.metrics["run_time"].value == 12.5
    assert (repeat.metrics["peak_memory"].value, repeat.metrics["peak_memory"].n) == (1000.0, 9)
    assert repeat.noise == {"reasons": [], "disturbed": False}
    assert repeat.runner["implementation"] == "FnApiRunner (in_memory)"
    assert repeat.verification.passed
    assert (repeat.beam_metrics, repeat.cross_check) == ({}, {})


def test_beams_own_metrics_are_kept_and_checked():
    theirs = {
        "inference_request_batch_size": {"count": 3, "sum": 100, "min": 10, "max": 60},
        "num_inferences": {"value": 99},
    }
    repeat = judged("pipeline", 0, result_of(observe(beam_metrics=theirs)), 0.01)
    assert repeat.beam_metrics == theirs
    assert repeat.cross_check["differences"] == ["inferences: Beam 99, ours 100"]


def test_a_crash_leaves_a_repeat_with_its_error():
    repeat = judged("loop", 0, result_of(), 0.01)
    assert (repeat.status, repeat.error) == ("failed", CRASH)
    assert (repeat.metrics, repeat.verification, repeat.batch_sizes) == ({}, None, [])
    assert repeat.noise == {"reasons": [], "disturbed": False}


@pytest.mark.parametrize("status", ["timed_out", "cancelled"])
def test_a_stopped_repeat_keeps_its_status(status):
    error = {"kind": "run", "message": status, "detail": ""}
    repeat = judged("pipeline", 0, result_of(None, status=status, error=error), 0.01)
    assert (repeat.status, repeat.error) == (status, error)


@pytest.mark.parametrize("missing", ["proof", "expected"])
def test_a_repeat_without_a_proof_has_failed_unless_its_pipeline_can_have_none(missing):
    repeat = judged("pipeline", 0, result_of(observe(**{missing: None})), 0.01)
    assert repeat.status == "failed"
    assert repeat.error["message"] == "the worker gave no proof of its work"
    unproven = observe(task="existing", **{missing: None})
    assert judged("pipeline", 0, result_of(unproven), 0.01).status == "succeeded"


def test_batch_sizes_are_in_the_order_in_which_beam_grows_them():
    assert judged("pipeline", 0, result_of(observe()), 0.01).batch_sizes == [10, 30, 60]


@pytest.mark.parametrize(
    ("failed", "max_failed", "message"),
    [
        (0, 0.0, None),
        (1, 0.01, None),
        (
            2,
            0.01,
            "2 of 100 elements failed, more than max_failed 0.01: "
            "7.jpg: preprocess: ValueError: bad",
        ),
        (
            1,
            0.0,
            "1 of 100 elements failed, more than max_failed 0: 7.jpg: preprocess: ValueError: bad",
        ),
        (99, 1.0, None),
        (
            100,
            1.0,
            "verification: no element came out: 100 failed, first 7.jpg: preprocess: "
            "ValueError: bad",
        ),
    ],
)
def test_too_many_failed_elements_fail_the_repeat(failed, max_failed, message):
    repeat = judged("pipeline", 0, result_of(observe(failed=failed)), max_failed)
    assert repeat.status == ("succeeded" if message is None else "failed")
    assert (repeat.error or {}).get("message") == message
    assert (repeat.error or {}).get("kind") == (None if message is None else "run")
    assert repeat.metrics["elements_failed"].value == failed


@pytest.mark.parametrize("arm", ["pipeline", "loop", "ceiling"])
def test_no_output_is_no_result_whatever_max_failed_allows(arm):
    nothing = observe(failed=100, sample=[], task="pipeline" if arm == "pipeline" else "loop")
    execution = execute((arm, result_of(nothing)), max_failed=1.0)
    [repeat] = [*execution.repeats, *execution.references]
    assert repeat.status == "failed"
    assert repeat.error["message"].startswith("verification: no element came out: 100 failed")
    assert (repeat.verification.passed, repeat.verification.unverified) == (False, None)


def test_a_repeat_that_nothing_speaks_for_or_against_is_unverified_and_no_failure():
    execution = Execution(0.01)
    repeat = execution.add("pipeline", result_of(observe()))
    assert (repeat.status, repeat.error) == ("succeeded", None)
    assert not repeat.verification.passed
    assert "no reference sample was run" in repeat.verification.unverified
    assert execution.verification() == repeat.verification


def test_a_failure_that_nobody_named_is_counted_all_the_same():
    unnamed = observe(failed=50).model_copy(update={"failed": []})
    repeat = judged("pipeline", 0, result_of(unnamed), 0.01)
    assert repeat.error["message"] == "50 of 100 elements failed, more than max_failed 0.01"


def test_a_failed_verification_fails_the_repeat():
    lost = observe(missing=["3.jpg"], missing_count=1)
    repeat = judged("pipeline", 0, result_of(lost), 0.01)
    assert repeat.status == "failed"
    assert repeat.error["message"] == "verification: 1 elements did not come out: 3.jpg"


def test_the_reference_judges_the_pipeline():
    sample = [SampledPrediction(id=str(i), label=i) for i in range(8)]
    swapped = [one.model_copy(update={"label": one.label ^ 1}) for one in sample]
    execution = Execution(0.01, reference=Observation(task="reference", sample=sample))
    assert execution.add("pipeline", result_of(observe(sample=sample))).status == "succeeded"
    repeat = execution.add("pipeline", result_of(observe(sample=swapped)))
    assert repeat.status == "failed"
    assert repeat.error["message"].startswith("verification: 8 of 8 sampled elements differ")


# An execution


def test_repeats_are_numbered_within_their_arm_and_references_stand_apart():
    execution = execute(
        ("pipeline", 1),
        ("loop", 2),
        ("ceiling", 3),
        ("ceiling", 4),
        ("loop", None),
        ("pipeline", 5),
    )
    assert [(one.arm, one.index) for one in execution.repeats] == [("pipeline", 0), ("pipeline", 1)]
    assert [(one.arm, one.index) for one in execution.references] == [
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
    found = execution.metrics()
    assert found["pipeline_efficiency"].value == pytest.approx(0.5)
    assert found["pipeline_efficiency"].n == 2
    assert found["ceiling_efficiency"].value == pytest.approx(11 / 50, rel=1e-3)
    assert found["ceiling_efficiency"].n == 3


def test_the_metrics_of_a_run_are_of_its_pipeline():
    found = execute(("pipeline", 10), ("loop", 1000), ("pipeline", 30), ("ceiling", 1)).metrics()
    assert found["throughput_elements"].value == pytest.approx(20.0)
    assert found["throughput_elements"].n == 2
    assert "pipeline_efficiency" in found
    assert set(found) < {metric.name for metric in BUILT_IN}


def test_a_failed_repeat_counts_its_failed_elements_and_nothing_else():
    bad = result_of(observe(500, failed=3))
    found = execute(("pipeline", 10), ("pipeline", bad)).metrics()
    assert (found["elements_failed"].value, found["elements_failed"].n) == (3.0, 200)
    assert found["throughput_elements"].value == pytest.approx(10.0)
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


# Statuses, warnings, errors


@pytest.mark.parametrize(
    ("statuses", "expected", "status"),
    [
        ("ss", 2, "succeeded"),
        ("s", 2, "failed"),
        ("", 1, "failed"),
        ("sf", 2, "failed"),
        ("fs", 2, "failed"),
        ("ft", 2, "timed_out"),
        ("tf", 2, "timed_out"),
        ("tcf", 3, "cancelled"),
        ("fsct", 4, "cancelled"),
    ],
)
def test_the_worst_status_is_that_of_the_run(statuses, expected, status):
    names = {"s": "succeeded", "f": "failed", "t": "timed_out", "c": "cancelled"}
    repeats = [
        judged("pipeline", 0, result_of(observe(), status=names[one]), 0.01) for one in statuses
    ]
    assert status_of(repeats, expected) == status


def efficiency_of(value: float, ci_low: float | None = None) -> dict[str, MetricValue]:
    high = None if ci_low is None else value + 1
    found = MetricValue(value=value, unit="1", direction="higher", n=6, ci_low=ci_low, ci_high=high)
    return {"pipeline_efficiency": found}


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


def test_an_efficiency_above_the_limit_beyond_noise_is_an_error():
    execution = execute(("pipeline", 1))
    assert error_of(execution, {}) is None
    assert error_of(execution, efficiency_of(5)) is None
    assert error_of(execution, efficiency_of(5, 1.02)) is None
    assert (
        error_of(execution, efficiency_of(5, 1.021))
        == "pipeline_efficiency is above 1.02 beyond noise: measured wrongly"
    )


def test_the_first_error_of_a_repeat_is_that_of_the_run():
    loop_crashed = execute(("pipeline", 1), ("loop", None), ("pipeline", 1))
    message = "the worker was killed by SIGKILL: out of memory?"
    assert error_of(loop_crashed, efficiency_of(5, 4)) == f"loop repeat 1: {message}"
    both = execute(("pipeline", 1), ("loop", None), ("pipeline", None))
    assert error_of(both, {}) == f"pipeline repeat 2: {message}"


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
    some, more, none = (
        LabelComparison(compared=100, differing=n, listed=[str(i) for i in range(n)])
        for n in (1, 3, 0)
    )
    execution = execute(
        ("pipeline", 1),
        ("loop", result_of(observe(label="b", label_comparison=some))),
        ("pipeline", result_of(observe(label="c", label_comparison=more))),
    )
    assert warnings_of(execution, {}) == [
        "the labels of up to 3 of 100 elements (3.00%) differ from those of the run's first "
        "execution, first '0': near ties may change places with the batches"
    ]
    assert execution.repeats[1].verification.label_comparison == more
    failures = execute(
        ("pipeline", 1), ("pipeline", result_of(observe(label="b", label_comparison=none)))
    )
    assert warnings_of(failures, {}) == []


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


def test_labels_of_a_failed_repeat_are_no_difference():
    execution = execute(
        ("pipeline", 1), ("pipeline", result_of(observe(failed=9, label="b"))), ("pipeline", None)
    )
    assert warnings_of(execution, {}) == []


# What ran


def test_the_runner_is_the_one_that_a_repeat_saw():
    repeats = execute(("pipeline", None), ("pipeline", 1)).repeats
    assert runner_record("direct", repeats).model_dump() == {
        "requested": "direct",
        "executed": "direct",
        "implementation": "FnApiRunner (in_memory)",
        "options": ["--x=1"],
        "counters": "committed",
    }
    assert runner_record("direct", repeats[:1]).model_dump() == {
        "requested": "direct",
        "executed": None,
        "implementation": None,
        "options": [],
        "counters": None,
    }


def prepared() -> Observation:
    return Observation(
        task="prepare",
        prepared=Prepared(
            preparation={"count": 24},
            input_kind="derived",
            input_digest="d1",
            input_bytes=4096,
            input_source="packaged",
            weights_digest="d2",
            weights_size=3 << 19,
            environment={},
        ),
    )


def test_input_and_model_are_what_the_preparation_found():
    assert input_record(prepared(), "packaged", "labels.tsv").model_dump() == {
        "kind": "derived",
        "count": 24,
        "digest": "d1",
        "bytes": 4096,
        "source": "packaged",
        "labels": "labels.tsv",
    }
    assert model_record(prepared(), "tiny", "random").model_dump() == {
        "name": "tiny",
        "weights": "random",
        "digest": "d2",
        "size_mib": 1.5,
    }


@pytest.mark.parametrize("observation", [None, Observation(task="prepare")])
def test_input_and_model_are_unknown_without_a_preparation(observation):
    assert input_record(observation, "photos", None).model_dump() == {
        "kind": "unknown",
        "count": 0,
        "digest": None,
        "bytes": None,
        "source": "photos",
        "labels": None,
    }
    found = model_record(observation, "tiny", "none")
    assert (found.name, found.weights, found.digest, found.size_mib) == ("tiny", "none", None, None)


def changed(**changes: Any) -> Observation:
    """Return an observation whose measurements differ in something."""
    observation = observe()
    assert observation.measured is not None
    measured = observation.measured.model_copy(update=changes)
    return observation.model_copy(update={"measured": measured})


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


def test_withheld_percentiles_are_a_warning():
    execution = execute(("pipeline", result_of(changed(folded=1))))
    assert warnings_of(execution, {}) == [
        "latencies spread over more than 128 buckets: percentiles are withheld"
    ]


@pytest.mark.parametrize(("threads", "known"), [(1, True), (None, False)])
def test_efficiency_needs_equal_threads(threads, known):
    execution = execute(("pipeline", result_of(changed(threads=threads))), ("loop", 20.0))
    assert ("pipeline_efficiency" in execution.metrics()) is known
    warned = any("several workers" in warning for warning in warnings_of(execution, {}))
    assert warned is not known
