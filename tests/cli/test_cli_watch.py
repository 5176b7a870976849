"""`alarms`, `backtest`, `baseline` and `check` on a store."""

from __future__ import annotations

import re

import pytest


def test_an_open_alarm_is_an_exit_code_and_a_document(beambench, store):
    answer = beambench("alarms", "--store", store, "--json")

    assert answer.code == 1
    (change,) = [alarm for alarm in answer.document if alarm["kind"] == "change"]
    assert (change["metric"], change["state"]) == ("throughput_elements", "open")
    assert [each["index"] for each in change["changes"]] == [30]


def test_the_project_file_sets_the_policy_and_the_command_line_goes_before_it(
    beambench, store, folder
):
    (folder / "beambench.yaml").write_text("alarm_policy: {least_change: 0.5}\n")
    kinds = [
        [alarm["kind"] for alarm in beambench("alarms", "--store", store, "--json", *more).document]
        for more in ((), ("--policy", "least_change=0"))
    ]

    assert ["change" in each for each in kinds] == [False, True]
    (folder / "beambench.yaml").write_text("alarm_policy: 3\n")
    assert "alarm_policy: expected settings by name" in beambench("alarms").err


def test_a_backtest_has_a_line_for_each_policy(beambench, store):
    answer = beambench(
        "backtest", "overhead-noop", "--store", store, "--repetitions", "20", "--json"
    )

    policies = answer.document["policies"]
    assert answer.code == 0
    assert [each["policy"]["threshold"] for each in policies] == [3.55, 3.2, 3.4, 3.7, 4.0]
    assert [each["in_force"] for each in policies] == [True, False, False, False, False]
    assert all(each["steps"]["0.2"]["seen"] == 1 for each in policies)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("alarms", "--benchmark", "nope"), "no run of a benchmark 'nope'"),
        (("alarms", "--policy", "limit=3"), "--policy: unknown setting 'limit'"),
        (("backtest", "nope"), "no run of a benchmark 'nope'"),
        (("backtest", "overhead-noop", "--metric", "nope"), "no run has the metric 'nope'"),
        (("backtest", "overhead-noop", "--every", "0"), "--every: 0.0 days"),
    ],
)
def test_what_cannot_be_watched_is_refused_by_name(beambench, store, arguments, message):
    answer = beambench(*arguments, "--store", store)

    assert answer.code == 2
    assert message in answer.err


RUNS = [f"20260131T10{number:02d}00Z" for number in range(40)]


@pytest.fixture
def baseline(beambench, store):
    """A baseline of runs before the store's benchmark became slower."""
    answer = beambench("baseline", "save", "good", *RUNS[:4], "--store", store, "--json")
    assert answer.code == 0
    return answer.document


def test_a_baseline_is_saved_listed_shown_and_removed(beambench, store, baseline):
    listed = beambench("baseline", "list", "--store", store, "--json").document
    shown = beambench("baseline", "show", "good", "--store", store, "--json").document

    assert listed == [shown] == [baseline]
    assert [run_id[:16] for run_id in shown["run_ids"]] == RUNS[:4]
    assert beambench("baseline", "rm", "good", "--store", store).code == 0
    assert beambench("baseline", "list", "--store", store, "--json").document == []


def test_a_name_is_taken_until_it_is_replaced(beambench, store, baseline):
    newest = ("baseline", "save", "good", "--benchmark", "overhead-noop", "--last", "5")

    assert "is there already" in beambench(*newest, "--store", store).err
    answer = beambench(*newest, "--replace", "--store", store, "--json")
    assert [run_id[:16] for run_id in answer.document["run_ids"]] == RUNS[-5:]


@pytest.mark.parametrize(
    ("more", "code", "verdict"),
    [
        ((), 1, "failed"),
        (("--report-only",), 0, "failed"),
        (("--run", RUNS[20]), 0, "passed"),
        (("--max-slowdown", "30%"), 0, "passed"),
        (("--run", RUNS[20], "--max-slowdown", "0.1%"), 0, "inconclusive"),
        (("--run", RUNS[20], "--max-slowdown", "0.1%", "--strict"), 4, "inconclusive"),
    ],
)
def test_a_check_is_an_exit_code_and_a_document(beambench, store, baseline, more, code, verdict):
    check = ("check", "overhead-noop", "--against", "good", "--store", store)

    answer = beambench(*check, *more, "--json")

    assert (answer.code, answer.document["verdict"]) == (code, verdict)
    assert verdict in beambench(*check, *more).out
    assert beambench(*check, *more, "--format", "markdown").out.startswith(f"**{verdict}**")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "overhead-noop", "--against", "god"), "no baseline 'god' .*did you mean 'good'"),
        (("check", "other", "--against", "good"), "is of overhead-noop, not of other"),
        (("check", "overhead-noop", "--against", "good", "--run", RUNS[1]), "is part of baseline"),
        (("check", "overhead-noop", "--against", "good", "--metric", "x"), "metric 'x'"),
        (("check", "overhead-noop", "--against", "good", "--max-slowdown", "x"), "--max-slowdown"),
        (("baseline", "save", "x"), "give RUN RUN RUN, or --benchmark"),
        (("baseline", "save", "x", "--last", "3"), "give RUN RUN RUN, or --benchmark"),
        (("baseline", "save", "x", *RUNS[:2]), "2 runs: give 3 or more"),
        (("baseline", "show"), "give the NAME"),
        (("baseline", "rm", "x"), "no baseline 'x'"),
        (("baseline", "list", "x"), "takes no name"),
    ],
)
def test_what_cannot_be_checked_is_refused(beambench, store, baseline, arguments, message):
    answer = beambench(*arguments, "--store", store)

    assert answer.code == 2
    assert re.search(message, answer.err)
