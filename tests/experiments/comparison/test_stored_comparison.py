"""Comparing two stored runs: what is refused, what has no verdict, and which stage is named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import stdev
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from beambench.analysis.student_t import critical_value
from beambench.errors import UsageError
from beambench.experiments.comparison.document import Circumstances, ComparedRun, make_comparison
from beambench.experiments.comparison.effects import BUSY, Limits, RepeatPair
from beambench.experiments.comparison.sentence import size_text
from beambench.experiments.comparison.stored import compare_stored
from beambench.record.comparison import Comparison
from beambench.store import RunStore, sqlite_url
from compared_runs import compared_run, environment, repeat

LIMITS = Limits(0.03, 0.01)
RATES = (100.0, 100.5, 99.5, 100.2, 99.8, 100.1)


def compare(base: Any, candidate: Any, *, allow_different: bool = False) -> Comparison:
    return compare_beside((), base, candidate, allow_different=allow_different)


def compare_beside(
    stored: Sequence[Any], base: Any, candidate: Any, *, allow_different: bool = False
) -> Comparison:
    """Compare two runs in a store that holds others."""
    with (
        TemporaryDirectory() as folder,
        RunStore.open(sqlite_url(Path(folder) / "runs.db")) as store,
    ):
        for record in stored:
            store.add(record)
        return compare_stored(store, base, candidate, LIMITS, allow_different=allow_different)


def verdicts(comparison: Comparison) -> set[str]:
    return {
        metric.verdict for metric in [*comparison.metrics.values(), *comparison.stages.values()]
    }


def test_the_same():
    comparison = compare(compared_run(1, RATES), compared_run(2, RATES[::-1]))
    assert comparison.verdict == "same"
    assert verdicts(comparison) == {"same"}
    throughput = comparison.metrics["throughput_elements"]
    assert (throughput.base, throughput.n, throughput.unit) == (pytest.approx(100.05), 6, "1/s")
    assert throughput.ratio == pytest.approx(1.0)
    assert comparison.sentence.startswith("The candidate is as fast as the base within 3 %")
    assert [side.run_id for side in comparison.sides] == [
        "20260131T100100Z-00000001",
        "20260131T100200Z-00000002",
    ]
    assert comparison.sides[0].packages == {"apache-beam": "2.77.0", "torch": "2.13.0"}
    assert comparison.pairs == []
    assert comparison.noise.metric == "throughput_elements"
    assert comparison.noise.repeats == 12


def test_the_stage_that_moved_is_named():
    slower = {"inference": 0.2}  # of 50 % of the time: 10 % in all
    comparison = compare(compared_run(1, RATES), compared_run(2, RATES, slower))
    assert comparison.metrics["throughput_elements"].ratio == pytest.approx(1 / 1.1)
    assert comparison.metrics["cpu_time_per_element"].verdict == "slower"
    assert comparison.stages["inference"].ratio == pytest.approx(1.2)
    assert comparison.stages["inference"].share == pytest.approx(0.5)
    assert comparison.stages["wait"].share is None
    moved = [name for name, stage in comparison.stages.items() if stage.verdict == "slower"]
    assert moved == ["inference", "inference_cpu"]
    assert comparison.sentence == (
        "The candidate is slower: throughput_elements −9.09 % (95 % interval −9.49 % to −8.69 %), "
        "n = 6; the stage that moved is inference (+20.0 % of time an element; 50 % of base's "
        "time); other metrics that changed: cpu_time_per_element +10.0 %."
    )


def test_cpu_time_finds_a_stage_whose_time_did_not_move():
    slower = compared_run(2, RATES, slower_cpu={"preprocess": 0.3})
    comparison = compare(compared_run(1, RATES), slower)
    assert comparison.verdict == "same"
    assert comparison.stages["preprocess_cpu"].ratio == pytest.approx(1.3)
    assert comparison.stages["preprocess"].verdict == "same"
    assert "the stage that moved is preprocess (+30.0 % of CPU time an element)" in (
        comparison.sentence
    )


def test_cpu_time_in_no_stage_is_the_rest_of_that_of_an_element():
    comparison = compare(compared_run(1, RATES), compared_run(2, RATES, {"overhead": 0.4}))
    overhead = comparison.stages["overhead_cpu"]
    of_stages = sum(comparison.stages[f"{stage}_cpu"].base for stage in BUSY)
    whole = comparison.metrics["cpu_time_per_element"].base
    assert overhead.base == pytest.approx(whole - of_stages, rel=1e-3)
    assert overhead.verdict == "slower"


def test_overhead_is_a_stage():
    comparison = compare(compared_run(1, RATES), compared_run(2, RATES, {"overhead": 0.4}))
    overhead = comparison.stages["overhead"]
    assert overhead.ratio == pytest.approx(1.4)
    assert overhead.base == pytest.approx(0.1 * 2 / 100.05, rel=1e-3)
    assert "the stage that moved is overhead" in comparison.sentence


def test_a_small_change_in_all_is_found_in_its_stage():
    # FBDetect's lesson: 11 % in a stage of 9 % of the time is 1 % in all, which is the same
    comparison = compare(compared_run(1, RATES), compared_run(2, RATES, {"postprocess": 0.11}))
    assert comparison.verdict == "same"
    assert comparison.stages["postprocess"].verdict == "slower"
    assert "the stage that moved is postprocess (+11.0 %" in comparison.sentence


def test_runs_that_are_unlike_are_refused_in_one_line():
    other = compared_run(
        2,
        RATES,
        benchmark="other",
        profile="smoke",
        definition_hash="cc" * 32,
        config={"definition": {"workload": "overhead", "model": {"precision": "bfloat16"}}},
        input={"kind": "derived", "count": 40, "digest": "ef" * 32},
        model={"name": "noop", "weights": "random"},
        environment=environment("e" * 64, torch="2.14.0"),
    )
    with pytest.raises(UsageError) as caught:
        compare(compared_run(1, RATES), other)
    assert str(caught.value) == (
        "runs 20260131T100100Z-00000001 and 20260131T100200Z-00000002 are not compared: "
        "benchmark: overhead-noop, other; profile: local, smoke; input kind: synthetic, derived; "
        "elements: 50, 40; input digest: cdcdcdcdcdcd, efefefefefef; weights: none, random; "
        "definition: model.precision float32, bfloat16; torch: 2.13.0, 2.14.0: "
        "name runs that are alike, or give --allow-different"
    )
    comparison = compare(compared_run(1, RATES), other, allow_different=True)
    assert comparison.differences[0] == "benchmark: overhead-noop, other"
    assert comparison.verdict == "same"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"machine": {"cpu_model": "EPYC"}}, "machine.cpu model: Xeon, EPYC"),
        ({"python": {"version": "3.12.1", "implementation": "CPython"}}, "python: 3.11, 3.12"),
    ],
)
def test_another_environment_is_refused(changed, said):
    there = environment("e" * 64)
    for key, part in changed.items():
        there[key] = {**there[key], **part}
    with pytest.raises(UsageError, match=said):
        compare(compared_run(1, RATES), compared_run(2, RATES, environment=there))


def test_an_environment_that_nobody_recorded_is_not_taken_for_the_same():
    unknown = compared_run(2, RATES, environment={})
    with pytest.raises(UsageError, match="environment: unknown of 20260131T100200Z-00000002"):
        compare(compared_run(1, RATES), unknown)


def test_a_run_is_not_compared_with_itself():
    with pytest.raises(UsageError, match="with itself"):
        compare(compared_run(1, RATES), compared_run(1, RATES))


PROOF = {"elements_in": 50, "elements_out": 50, "elements_failed": 0, "duplicates": 0}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"status": "cancelled"}, "run 20260131T100200Z-00000002 cancelled"),
        ({"status": "timed_out"}, "run 20260131T100200Z-00000002 timed out"),
        ({"verification": {**PROOF, "passed": False}}, "failed its verification"),
    ],
)
@pytest.mark.parametrize("slower", [{}, {"inference": 0.5}, {"inference": -0.5}])
def test_a_run_that_did_not_do_its_work_has_no_verdict(changed, said, slower):
    base, other = compared_run(1, RATES), compared_run(2, RATES, slower, **changed)
    for sides in ((base, other), (other, base)):
        with pytest.raises(UsageError, match=said):
            compare(*sides)
        comparison = compare(*sides, allow_different=True)
        assert verdicts(comparison) == {"inconclusive"}
        assert said in comparison.sentence


@pytest.mark.parametrize("slower", [{}, {"inference": 0.5}, {"inference": -0.5}])
def test_an_unverified_run_has_no_verdict(slower):
    proof = {**PROOF, "unverified": "no reference"}
    comparison = compare(compared_run(1, RATES), compared_run(2, RATES, slower, verification=proof))
    assert verdicts(comparison) == {"inconclusive"}
    assert "is unverified: no reference" in comparison.sentence


def test_disturbed_repeats_leave_no_verdict():
    disturbed = {"disturbed": True}
    repeats = [repeat(index, rate, {}) for index, rate in enumerate(RATES)]
    repeats[2]["noise"] = disturbed
    comparison = compare(compared_run(1, RATES), compared_run(2, repeats=repeats))
    assert verdicts(comparison) == {"inconclusive"}
    assert comparison.sentence.endswith("other work on the machine disturbed 1 of 12 repeats.")
    repeats[2]["excluded"] = "repeated"
    comparison = compare(compared_run(1, RATES), compared_run(2, repeats=repeats))
    assert comparison.verdict == "same"
    assert comparison.sides[1].n == 5


def test_too_few_repeats():
    comparison = compare(compared_run(1, RATES[:3]), compared_run(2, RATES))
    assert verdicts(comparison) == {"inconclusive"}
    assert "3 values of a side, and a verdict needs 4" in comparison.sentence


def test_what_is_not_known_of_all_repeats_is_left_out():
    repeats = [repeat(index, rate, {}) for index, rate in enumerate(RATES)]
    del repeats[0]["metrics"]["peak_memory"]
    repeats[1]["metrics"]["stage_time_batch_wait"]["value"] = 0.0
    comparison = compare(compared_run(1, RATES), compared_run(2, repeats=repeats))
    assert comparison.left_out == {
        "peak_memory": "unknown in 1 of 12 repeats",
        "wait": "has values of 0, of which there is no ratio",
    }
    assert "peak_memory" not in comparison.metrics
    assert "wait" not in comparison.stages


def test_runs_without_any_value_are_inconclusive():
    nothing = compared_run(2, repeats=[])
    comparison = compare(compared_run(1, RATES), nothing)
    assert comparison.verdict == "inconclusive"
    assert comparison.sentence == "Inconclusive: no metric is known of both sides."


def test_pairs():
    drift = (1.0, 1.2, 0.8, 1.1, 0.9, 1.3)
    rates = [rate * factor for rate, factor in zip(RATES, drift, strict=True)]
    slower = [rate * factor for rate, factor in zip(RATES[::-1], drift, strict=True)]
    base, candidate = compared_run(1, rates), compared_run(2, slower, {"inference": 0.2})
    pairs = [
        RepeatPair(index // 2, ("base", "candidate"), *each)
        for index, each in enumerate(zip(base.repeats, candidate.repeats, strict=True))
    ]
    how = Circumstances(
        schedule="interleaved",
        created_at="2026-01-31T12:00:00.000Z",
        pairs=pairs,
        limits=Limits(0.03, 0.01, {"throughput_elements": 0.02}),
    )
    comparison = make_comparison(
        ComparedRun(base), ComparedRun(candidate, {"set": "threads=2"}), how
    )
    assert comparison.verdict == "slower"
    assert comparison.metrics["throughput_elements"].mde_before == 0.02
    assert comparison.comparison_id.startswith("compare-20260131T120000Z-")
    assert comparison.sides[1].settings == {"set": "threads=2"}
    assert len(comparison.pairs) == 6
    assert comparison.pairs[1].base["throughput_elements"] == pytest.approx(100.5 * 1.2)
    assert Comparison.model_validate_json(comparison.model_dump_json()) == comparison
    # The same values as two runs at other times: the drift between blocks hides the change
    assert compare(base, candidate).verdict == "inconclusive"


LEVELS = (1.0, 1.04, 0.97, 1.03, 0.95, 1.02)
"""Of runs on other days."""


def others(**changed: Any) -> list[Any]:
    """Runs like the base, whose levels differ by 3.6 %."""
    return [
        compared_run(number, [rate * level for rate in RATES], **changed)
        for number, level in enumerate(LEVELS, start=10)
    ]


def test_other_runs_say_how_much_two_runs_differ():
    base, candidate = compared_run(1, RATES), compared_run(2, [rate * 0.95 for rate in RATES])
    alone = compare(base, candidate)
    assert alone.verdict == "slower"
    assert "as fewer than 4 other runs like base are stored" in alone.warnings[0]
    beside = compare_beside(others(), base, candidate)
    assert beside.verdict == "inconclusive"
    assert beside.noise.other_runs == 6
    assert "the intervals allow for how much 6 other runs like base differ" in beside.warnings[0]
    throughput = beside.metrics["throughput_elements"]
    deviation = stdev(math.log(level) for level in LEVELS)
    reach = critical_value(0.025, 5) * math.sqrt(2) * deviation
    assert throughput.ci_low == pytest.approx(0.95 * math.exp(-reach))
    assert throughput.ratio == pytest.approx(0.95)


@pytest.mark.parametrize(
    "changed",
    [
        {"definition_hash": "cc" * 32},
        {"environment": environment("e" * 64)},
        {"status": "cancelled"},
        {"verification": {**PROOF, "passed": False}},
    ],
)
def test_runs_that_are_not_like_the_base_say_nothing(changed):
    base, candidate = compared_run(1, RATES), compared_run(2, [rate * 0.95 for rate in RATES])
    assert compare_beside(others(**changed), base, candidate).verdict == "slower"


@pytest.mark.parametrize(
    ("change", "text"),
    [(0.0123, "1.2 %"), (0.43, "43 %"), (4.5, "450 %"), (17000.0, "over 1000 %")],
)
def test_the_size_of_a_change(change, text):
    assert size_text(change) == text


def test_a_comparison_that_was_cancelled_has_no_verdict():
    base, candidate = compared_run(1, RATES), compared_run(2, RATES)
    how = Circumstances(
        schedule="interleaved", created_at="2026-01-31T12:00:00.000Z", status="cancelled"
    )
    comparison = make_comparison(ComparedRun(base), ComparedRun(candidate), how)
    assert verdicts(comparison) == {"inconclusive"}
    assert "the comparison was cancelled" in comparison.sentence
