"""`beambench compare NAME`: what is measured in turns, stored, printed, interrupted and resumed."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from beambench.controller.results import TaskResult
from beambench.record.comparison import Comparison
from beambench.store import RunStore
from fake_workers import KILLED, crashed, gave_up, measured, prepared

pytestmark = pytest.mark.usefixtures("workers", "scratch")

STORE = "sqlite:///runs.db"
SLOW = "batching.max_batch_size=50"
COMMAND = ("compare", "overhead-noop", "--profile", "smoke", "--store", STORE)
BASE_RATES = (10.0, 10.1, 9.9, 10.0, 10.05, 9.95)


def paired(ratio: float, base: Sequence[float] = BASE_RATES) -> list[TaskResult]:
    """Return what the workers of mirrored pairs give, the candidate's a bit apart from the rest."""
    results = []
    for number, rate in enumerate(base):
        pair = [measured(rate), measured(rate * ratio * (1 + 0.001 * (number % 3)))]
        results += pair if number % 2 == 0 else pair[::-1]
    return results


def disturbed(result: TaskResult) -> TaskResult:
    return dataclasses.replace(result, noise={"disturbed": True, "reasons": ["busy"]})


def stored(comparison_id: str) -> Comparison:
    with RunStore.open(STORE) as store:
        comparison = store.comparisons.get(comparison_id)
    assert comparison is not None
    return comparison


def runs() -> dict[str, Any]:
    """Return the stored runs by their side."""
    with RunStore.open(STORE) as store:
        return {run.labels["side"]: run for run in store.history("overhead-noop")}


def test_of_several_benchmarks_those_without_the_variant_are_left_out(beambench, workers):
    workers.script("pipeline", *paired(0.8))
    command = ("compare", "overhead-noop", "sklearn-digits", *COMMAND[2:])
    answer = beambench(*command, "--candidate", "variant=pandas", "--json")
    assert answer.code == 0
    (comparison,) = answer.document["comparisons"]
    assert (comparison["benchmark"], comparison["verdict"]) == ("sklearn-digits", "slower")
    assert list(answer.document["left_out"]) == ["overhead-noop"]
    assert "no variant 'pandas'" in answer.document["left_out"]["overhead-noop"]


def test_several_benchmarks_are_measured_one_after_the_other(beambench, workers):
    workers.script("pipeline", *paired(1.0), *paired(1.3))
    command = ("compare", "overhead-noop", "sklearn-digits", *COMMAND[2:])
    answer = beambench(*command, "--control")
    assert answer.code == 0
    assert "2 comparisons: 1 faster, 1 same within 3 %" in answer.out
    assert answer.out.index("sklearn-digits") < answer.out.index("overhead-noop")
    with RunStore.open(STORE) as store:
        for name in ("overhead-noop", "sklearn-digits"):
            assert len(store.comparisons.newest(name)) == 1
            assert len(store.history(name)) == 2


def test_a_benchmark_that_cannot_be_prepared_is_left_out_and_the_others_are_kept(
    beambench, workers
):
    refused = gave_up("prepare", "usage", "no such file: /nowhere")
    workers.script("prepare", prepared(), prepared(), refused)
    workers.script("pipeline", *paired(1.0))
    command = ("compare", "overhead-noop", "sklearn-digits", *COMMAND[2:])
    answer = beambench(*command, "--control", "--json")
    assert answer.code == 3
    assert [each["benchmark"] for each in answer.document["comparisons"]] == ["overhead-noop"]
    assert "no such file: /nowhere" in answer.document["left_out"]["sklearn-digits"]


def test_ctrl_c_leaves_out_the_benchmarks_that_were_not_begun(beambench, workers):
    workers.script("pipeline", *paired(1.0)[:4], crashed("cancelled"))
    command = ("compare", "overhead-noop", "sklearn-digits", *COMMAND[2:])
    answer = beambench(*command, "--control", "--json")
    assert answer.code == 130
    assert answer.document["left_out"] == {
        "sklearn-digits": "the comparison was cancelled before it"
    }


def test_a_slower_candidate(beambench, workers):
    workers.script("pipeline", *paired(0.8))
    answer = beambench(*COMMAND, "--candidate", SLOW, "--label", "team=a", "--json")
    assert (answer.code, answer.messages) == (0, [])
    document = answer.document
    metric = document["metrics"]["throughput_elements"]
    assert (metric["verdict"], document["verdict"], metric["n"]) == ("slower", "slower", 6)
    assert metric["ratio"] == pytest.approx(0.8, rel=0.01)
    assert metric["ci_low"] < metric["ratio"] < metric["ci_high"]
    assert metric["mde"] < 0.02
    assert (document["schedule"], document["status"]) == ("interleaved", "succeeded")
    orders = [pair["order"] for pair in document["pairs"]]
    assert orders == [["base", "candidate"], ["candidate", "base"]] * 3
    rates = [pair["base"]["throughput_elements"] for pair in document["pairs"]]
    assert rates == pytest.approx(list(BASE_RATES), rel=1e-6)
    base, candidate = document["sides"]
    assert (base["settings"], candidate["settings"]) == ({}, {"batching.max_batch_size": "50"})
    assert stored(document["comparison_id"]).model_dump(mode="json") == document
    for name, side in (("base", base), ("candidate", candidate)):
        run = runs()[name]
        assert run.run_id == side["run_id"]
        assert run.labels == {
            "team": "a",
            "comparison": document["comparison_id"],
            "side": name,
        }
        assert (run.status, len(run.repeats)) == ("succeeded", 6)


def test_the_same(beambench, workers):
    workers.script("pipeline", *paired(1.0))
    answer = beambench(*COMMAND, "--control", "--strict")
    assert answer.code == 0
    assert "as fast as the base within 3 %" in answer.out
    assert "control the base again" in answer.out


def test_it_is_shown_by_its_id(beambench, workers):
    workers.script("pipeline", *paired(0.8))
    printed = beambench(*COMMAND, "--candidate", SLOW)
    comparison_id = printed.out.splitlines()[-1].split()[1].rstrip(":")
    assert beambench("show", comparison_id, "--store", STORE).out == printed.out


def test_several_candidates_make_a_table_and_a_list(beambench, workers):
    several = ("--candidate", SLOW, "--candidate", "batching.max_batch_size=60")
    workers.script("pipeline", *[measured(rate) for rate in (10, 8, 5, 5.05, 8.1, 10.1) * 2])
    answer = beambench(*COMMAND, *several, "--pairs", "4", "--json")
    assert answer.code == 0
    first, second = answer.document
    assert second["comparison_id"] == f"{first['comparison_id']}-candidate2"
    ratios = [one["metrics"]["throughput_elements"]["ratio"] for one in (first, second)]
    assert ratios == pytest.approx([0.8, 0.5], rel=0.01)
    assert set(runs()) == {"base", "candidate1", "candidate2"}
    text = beambench(*COMMAND, *several, "--pairs", "4")
    rows = text.out.splitlines()[-2:]
    assert [row.split()[:3] for row in rows] == [
        ["batching.max_batch_size", size, "throughput_elements"] for size in ("50", "60")
    ]


def test_inconclusive_under_strict(beambench, workers):
    workers.script("pipeline", *[measured(rate) for rate in (10, 20, 5, 14, 12, 6, 18, 9)])
    answer = beambench(*COMMAND, "--candidate", SLOW, "--pairs", "4", "--strict", "--json")
    assert (answer.code, answer.document["verdict"]) == (4, "inconclusive")


def test_what_was_disturbed_is_left_out_where_enough_is_left(beambench, workers):
    results = paired(0.8)
    results[1] = disturbed(results[1])
    workers.script("pipeline", *results, *paired(0.8))
    document = beambench(*COMMAND, "--candidate", SLOW, "--json").document
    assert len(document["pairs"]) == 6
    assert [pair["block"] for pair in document["pairs"]] == [1, 2, 3, 4, 5, 6]
    assert document["verdict"] == "slower"
    assert ("1 of 7 pairs are left out: other work on the machine disturbed them") in document[
        "warnings"
    ]


@pytest.mark.parametrize(
    ("options", "verdict"), [((), "inconclusive"), (("--accept-disturbed",), "slower")]
)
def test_on_a_busy_machine_there_is_no_verdict_unless_disturbance_is_accepted(
    beambench, workers, options, verdict
):
    workers.script("pipeline", *map(disturbed, paired(0.8) * 2))
    answer = beambench(*COMMAND, "--candidate", SLOW, *options, "--json")
    document = answer.document
    assert document["verdict"] == verdict
    assert len(document["pairs"]) == (6 if options else 9)  # three more at most
    assert document["noise"]["disturbed"] == 2 * len(document["pairs"])


def test_intervals_allow_for_every_look_of_until(beambench, workers):
    workers.script("pipeline", *paired(0.8) * 5)
    fixed = beambench(*COMMAND, "--candidate", SLOW, "--pairs", "6", "--json").document
    workers.script("pipeline", *paired(0.8) * 5)
    until = beambench(*COMMAND, "--candidate", SLOW, "--until", "ci<2%", "--json").document
    assert len(until["pairs"]) == 4
    assert any("may look at the interval 8 times" in warning for warning in until["warnings"])
    widths = [
        metric["ci_high"] / metric["ratio"] - 1
        for metric in (one["metrics"]["throughput_elements"] for one in (fixed, until))
    ]
    assert 3 * widths[0] < widths[1] < 0.02


def test_what_can_be_expected_comes_from_stored_runs(beambench, workers):
    workers.script("pipeline", *paired(0.8))
    first = beambench(*COMMAND, "--candidate", SLOW, "--json").document
    assert first["metrics"]["throughput_elements"]["mde_before"] is None
    workers.script("pipeline", *paired(0.8))
    answer = beambench(*COMMAND, "--candidate", SLOW, "--json")
    expected = answer.document["metrics"]["throughput_elements"]["mde_before"]
    assert 0.01 < expected < 0.05
    assert answer.messages == [
        f"beambench: from 1 stored run: changes of throughput of {100 * expected:.2g} % or more "
        "are expected to be found with 6 pairs"
    ]
    workers.script("pipeline", *paired(0.8)[:8], crashed("timed_out", "timed out"))
    within = beambench(*COMMAND, "--candidate", SLOW, "--max-time", "9m", "--json")
    assert (len(within.document["pairs"]), within.messages) == (4, [])
    assert within.document["metrics"]["throughput_elements"]["mde_before"] > expected


def test_another_environment_is_compared_with_our_own(beambench, workers, monkeypatch):
    monkeypatch.setattr(
        "beambench.request.benchmark.find_other_environment", lambda named: f"/envs/{named}"
    )
    workers.script("pipeline", *paired(0.8))
    answer = beambench(*COMMAND, "--candidate-python", "other/bin/python", "--json")
    assert answer.document["verdict"] == "slower"
    base, candidate = answer.document["sides"]
    assert (base["settings"], candidate["settings"]) == ({}, {"python": "other/bin/python"})
    interpreters = {name: run.config["interpreter"] for name, run in runs().items()}
    assert interpreters == {"base": sys.executable, "candidate": "/envs/other/bin/python"}
    workers.script("pipeline", *paired(0.8))
    turned = beambench(*COMMAND, "--base-python", "other/bin/python", "--json").document
    assert [side["settings"] for side in turned["sides"]] == [{"python": "other/bin/python"}, {}]


# What goes wrong


def test_a_side_that_fails(beambench, workers):
    workers.script("pipeline", *paired(1.0)[:3], crashed())
    answer = beambench(*COMMAND, "--candidate", SLOW, "--json")
    document = answer.document
    assert (answer.code, document["status"], document["verdict"]) == (3, "failed", "inconclusive")
    assert len(document["pairs"]) == 1
    (warning,) = document["warnings"]
    assert warning.startswith(f"base: pipeline repeat 2: {KILLED}: `beambench compare --resume ")
    assert {name: run.status for name, run in runs().items()} == {
        "base": "failed",
        "candidate": "cancelled",
    }


def test_after_every_pair_it_is_kept_what_there_is(beambench, workers):
    seen: list[tuple[str, int]] = []

    def look(result: TaskResult) -> Any:
        def respond(plan: Any) -> TaskResult:
            with RunStore.open(STORE) as store:
                (comparison,) = store.comparisons.newest("overhead-noop", 2)
            assert comparison.live is not None
            seen.append((comparison.status, len(comparison.live.blocks)))
            return result

        return respond

    workers.script("pipeline", *map(look, paired(1.0)[:6]))
    beambench(*COMMAND, "--candidate", SLOW, "--pairs", "3")
    assert seen == [("cancelled", number) for number in (0, 0, 1, 1, 2, 2)]


def interrupted(beambench: Any, workers: Any, *options: str) -> str:
    """Measure two pairs, press Ctrl-C in the third, and return the comparison's id."""
    workers.script("pipeline", *paired(0.8)[:5], crashed("cancelled", "cancelled"))
    answer = beambench(*COMMAND, "--candidate", SLOW, *options, "--json")
    assert (answer.code, answer.document["status"]) == (130, "cancelled")
    assert (answer.document["verdict"], len(answer.document["pairs"])) == ("inconclusive", 2)
    comparison_id: str = answer.document["comparison_id"]
    return comparison_id


def test_it_is_resumed_with_the_pairs_that_are_missing(beambench, workers):
    options = ("--seed", "7", "--label", "team=a", "--margin", "4%")
    comparison_id = interrupted(beambench, workers, *options)
    workers.plans.clear()
    workers.script("pipeline", *paired(0.8)[4:])
    answer = beambench("compare", "--resume", comparison_id, "--store", STORE, "--json")
    document = answer.document
    assert (answer.code, document["status"], document["verdict"]) == (0, "succeeded", "slower")
    assert (document["comparison_id"], document["margin"]) == (comparison_id, 0.04)
    assert workers.tasks.count("pipeline") == 8
    assert {plan.seed for plan in workers.plans} == {7}
    assert [pair["block"] for pair in document["pairs"]] == list(range(6))
    state = document["live"]
    assert state["blocks"] == []
    assert [len(side["runs"]) for side in state["sides"].values()] == [2, 2]
    assert state["sides"]["candidate"]["runs"][-1] == document["sides"][1]["run_id"]
    assert runs()["candidate"].labels["team"] == "a"


def test_it_is_resumed_after_the_controller_was_killed(beambench, workers):
    class Killed(BaseException):
        """The controller is gone: nothing is stored any more."""

    def kill(plan: Any) -> TaskResult:
        raise Killed

    workers.script("pipeline", *paired(0.8)[:4], kill)
    with pytest.raises(Killed):
        beambench(*COMMAND, "--candidate", SLOW)
    with RunStore.open(STORE) as store:
        (draft,) = store.comparisons.newest("overhead-noop", 2)
    assert draft.verdict == "inconclusive"
    workers.script("pipeline", *paired(0.8)[4:])
    answer = beambench("compare", "--resume", draft.comparison_id, "--store", STORE, "--json")
    assert (answer.code, answer.document["verdict"]) == (0, "slower")


def test_a_session_that_cannot_be_prepared_leaves_it_as_it_can_be_resumed(beambench, workers):
    comparison_id = interrupted(beambench, workers)
    resume = ("compare", "--resume", comparison_id, "--store", STORE, "--json")
    workers.script("prepare", crashed())
    failed = beambench(*resume)
    assert (failed.code, failed.document["status"]) == (3, "failed")
    assert len(failed.document["pairs"]) == 2
    workers.script("prepare", prepared(input_digest="e" * 64))
    assert "its input is another one" in beambench(*resume).err
    workers.script("pipeline", *paired(0.8)[4:])
    document = beambench(*resume).document
    assert (document["verdict"], len(document["pairs"])) == ("slower", 6)
    assert [len(side["runs"]) for side in document["live"]["sides"].values()] == [3, 3]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"environment": {"fingerprint_digest": "b" * 64}}, "its environment (machine, Python, "),
        ({"input_digest": "e" * 64}, "its input is another one than in the first pairs (dddddd"),
    ],
)
def test_it_is_not_resumed_where_something_changed(beambench, workers, changed, problem):
    comparison_id = interrupted(beambench, workers)
    workers.script("prepare", prepared(**changed), prepared(**changed))
    answer = beambench("compare", "--resume", comparison_id, "--store", STORE)
    assert answer.code == 3
    assert answer.messages[0].startswith(f"beambench: base: {problem}")
    assert stored(comparison_id).status == "cancelled"


def test_what_cannot_be_resumed(beambench, workers):
    workers.script("pipeline", *paired(1.0))
    document = beambench(*COMMAND, "--candidate", SLOW, "--json").document
    resume = ("compare", "--store", STORE, "--resume")
    complete = beambench(*resume, document["comparison_id"])
    assert (complete.code, complete.messages) == (
        2,
        [
            f"beambench: --resume {document['comparison_id']}: is complete: compare anew for more "
            "pairs"
        ],
    )
    assert "no such comparison" in beambench(*resume, "compare-1999").err
    with_name = beambench(*COMMAND, "--resume", document["comparison_id"])
    assert "does not go with --resume: the comparison has its own" in with_name.err
    secret = ("--pairs", "4", "--", "--api_key=hunter2")
    workers.script("pipeline", crashed("cancelled", "cancelled"))
    kept = beambench(*COMMAND, "--candidate", SLOW, "--json", *secret).document
    assert "hunter2" not in json.dumps(kept)
    assert "was given secrets" in beambench(*resume, kept["comparison_id"]).err


def test_a_dry_run_says_what_would_be_compared(beambench, workers):
    answer = beambench(*COMMAND, "--candidate", SLOW, "--dry-run", "--json")
    assert answer.code == 0
    assert list(answer.document) == ["base", "candidate"]
    assert answer.document["candidate"]["config"]["overrides"] == [SLOW]
    assert workers.tasks == []


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("overhead-noop",), "nothing to compare with: give --candidate SETTINGS"),
        ((), "0 names: give two runs, or benchmarks with --candidate SETTINGS"),
        (("a", "b", "--candidate", SLOW), "a: no benchmark 'a': `beambench list` shows all; b: no"),
        (("a", "b", "--pairs", "4"), "--pairs goes with a benchmark that is measured now"),
        (
            ("overhead-noop", "--control", "--allow-different"),
            "--allow-different goes with stored runs",
        ),
        (("overhead-noop", "--candidate", "variant=x"), "no variant 'x'"),
        (("overhead-noop", "--candidate-python", "/nowhere/python"), "no such file: name the bin"),
    ],
)
def test_what_cannot_be_compared(beambench, workers, words, problem):
    answer = beambench("compare", *words, "--store", STORE)
    assert answer.code in (2, 3)
    assert problem in answer.err
    assert workers.tasks == []
