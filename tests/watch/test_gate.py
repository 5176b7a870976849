"""What a gate says of a run beside a baseline."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from test_alarms import run, runs

from beambench.errors import UsageError
from beambench.watch.baselines import candidate_of, make_baseline
from beambench.watch.gate import gate, report
from beambench.watch.series import series_of_runs

NOW = "2026-02-01T00:00:00Z"


def checked(level, count=20, direction="higher", max_slowdown=0.05, **changed):
    """Check a run at a level against the first four of a history at 100."""
    history = runs((100, count), direction=direction)
    candidate = run(count, level, direction, **changed)
    baseline = make_baseline("good", history[:4], NOW)
    return report(baseline, candidate, [candidate, *history], None, max_slowdown)


@pytest.mark.parametrize(
    ("level", "direction", "verdict"),
    [
        (80, "higher", "failed"),
        (100, "higher", "passed"),
        (130, "higher", "passed"),
        (96, "higher", "inconclusive"),
        (125, "lower", "failed"),
        (80, "lower", "passed"),
    ],
)
def test_a_run_that_is_worse_by_more_than_is_allowed_fails(level, direction, verdict):
    assert checked(level, direction=direction).verdict == verdict


def test_a_slowdown_is_a_share_of_the_baseline():
    (rate,) = checked(80).metrics
    (time,) = checked(125, direction="lower").metrics

    assert rate.slowdown == pytest.approx(0.20, abs=0.02)
    assert time.slowdown == pytest.approx(0.25, abs=0.02)
    assert rate.low < rate.slowdown < rate.high


def test_more_may_be_allowed():
    assert checked(80, max_slowdown=0.3).verdict == "passed"


@pytest.mark.parametrize("status", ["cancelled", "timed_out", "failed"])
def test_a_run_that_did_not_finish_passes_no_gate(status):
    result = checked(150, status=status)

    assert result.verdict == "failed"
    assert "passes no gate" in result.sentence


def test_too_few_runs_to_know_their_noise_are_inconclusive():
    history = runs((100, 3))
    candidate = run(3, 50)
    (series,), _ = series_of_runs([*history, candidate], "throughput_elements")

    names = [each.run_id for each in history]
    assert gate(series, names, [candidate.run_id], max_slowdown=0.05) is not None
    assert gate(series, names[:1], [candidate.run_id, *names[1:]], max_slowdown=0.05) is None


def test_figures_are_those_of_the_formula():
    history = runs((100, 12))
    candidate = run(12, 93)
    (series,), _ = series_of_runs([*history, candidate], "throughput_elements")

    result = gate(series, [each.run_id for each in history], [candidate.run_id], max_slowdown=0.05)

    logs = [math.log(each.metrics["throughput_elements"].value) for each in history]
    loss = statistics.fmean(logs) - math.log(candidate.metrics["throughput_elements"].value)
    error = result.noise * math.sqrt(1 / 12 + 1)
    assert result.freedom == 11
    assert result.noise == pytest.approx(statistics.stdev(logs), rel=0.06)  # clipped at 2.5
    assert result.slowdown == pytest.approx(1 - math.exp(-loss))
    assert result.high == pytest.approx(1 - math.exp(-loss - 1.7959 * error), rel=1e-4)


def test_a_gate_says_how_often_it_would_have_failed_without_cause():
    (metric,) = checked(100, count=30, max_slowdown=0.001).metrics

    assert metric.replay.runs == 31 - 4
    assert metric.replay.failed == 0


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (lambda: runs((100, 2)), "2 runs: give 3 or more"),
        (lambda: [run(1, 100)] * 3, "1 runs: give 3 or more"),
        (lambda: [*runs((100, 3)), run(4, 100, status="cancelled")], "cancelled: leave it out"),
        (lambda: [*runs((100, 3)), run(4, 100, variant="tuned")], "differ in variant"),
        (lambda: [*runs((100, 3)), run(4, 100, definition_hash="0" * 64)], "differ in definition"),
        (
            lambda: [*runs((100, 3)), run(4, 100, environment={"machine_digest": "n"})],
            "differ in machine",
        ),
    ],
)
def test_what_is_no_baseline_is_refused(chosen, message):
    with pytest.raises(UsageError, match=message):
        make_baseline("good", chosen(), NOW)


def test_a_run_unlike_the_baseline_is_refused():
    with pytest.raises(UsageError, match="differ in definition: save a baseline of such runs"):
        checked(100, definition_hash="0" * 64)


def test_the_newest_run_of_the_kind_is_checked():
    history = runs((100, 6))
    baseline = make_baseline("good", history[:3], NOW)
    tuned = run(9, 100, variant="tuned")

    newest_first = [tuned, *reversed(history)]
    assert candidate_of(baseline, history[0], newest_first) == history[5]
    assert candidate_of(baseline, history[0], history[:3]) is None


def test_clean_runs_hardly_ever_fail():
    """Of 400 runs with a noise of 3 % and nothing changed, at most 1 % may fail by chance."""
    chance = random.Random(1)
    failed = 0
    for _ in range(400):
        history = [
            each.model_copy(
                update={
                    "metrics": {
                        "throughput_elements": each.metrics["throughput_elements"].model_copy(
                            update={"value": 100 * math.exp(chance.gauss(0, 0.03))}
                        )
                    }
                }
            )
            for each in HISTORY
        ]
        (series,), _ = series_of_runs(history, "throughput_elements")
        names = [each.run_id for each in history]
        result = gate(series, names[:4], names[-1:], max_slowdown=0.02)
        failed += result is not None and result.verdict == "failed"
    assert failed <= 400 * 0.01 + 2 * math.sqrt(400 * 0.01 * 0.99)


HISTORY = runs((100, 15))
