"""What a comparison is asked for: settings of its sides, budget, and what is refused at once."""

from __future__ import annotations

from typing import Any

import pytest

from beambench.definition.library import Library
from beambench.errors import UsageError
from beambench.request.comparison import (
    Budget,
    ComparisonRequest,
    make_comparison,
    settings_of,
    with_labels,
)

BERT = "pytorch-language-modeling-bert-base"


def ask(name: str = "overhead-noop", **options: Any) -> ComparisonRequest:
    return make_comparison(Library(), name, **({"profile": "smoke"} | options))


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", {}),
        ("variant=tuned", {"variant": "tuned"}),
        ("variant=tuned,threads=2", {"variant": "tuned", "threads": "2"}),
        (" variant=tuned  threads=2 , ", {"variant": "tuned", "threads": "2"}),
        ("a.b=[1, 2],c={d: 1, e: [2, 3]}", {"a.b": "[1, 2]", "c": "{d: 1, e: [2, 3]}"}),
        ("a='x, y=z' b=\"1 [2\"", {"a": "'x, y=z'", "b": '"1 [2"'}),
        ("a=b=c", {"a": "b=c"}),
        ("a=", {"a": ""}),
    ],
)
def test_settings(text, settings):
    assert settings_of(text, "--base") == settings


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tuned", "--base 'tuned': 'tuned': expected key=value"),
        ("=1", "--base '=1': '=1': expected key=value"),
        ("a=1,a=2", "--base 'a=1,a=2': a is given twice"),
    ],
)
def test_what_is_no_setting(text, problem):
    with pytest.raises(UsageError) as caught:
        settings_of(text, "--base")
    assert str(caught.value) == problem


def test_a_side_is_a_difference_in_variant_input_or_any_key_of_the_definition():
    request = ask(BERT, base="threads=1", candidates=["variant=tuned-sorted,threads=1"])
    base, candidate = request.sides
    assert (base.name, base.request.resolved.variant) == ("base", "stock")
    assert (candidate.name, candidate.request.resolved.variant) == ("candidate", "tuned-sorted")
    assert [side.request.resolved.definition.threads for side in request.sides] == [1, 1]
    other = ask(candidates=["batching.max_batch_size=17"], limit=9)
    assert [side.request.effective_limit for side in other.sides] == [9, 9]
    assert other.sides[1].request.resolved.definition.batching.max_batch_size == 17


def test_what_is_for_all_sides_goes_before_what_is_of_one():
    request = ask(
        overrides=["batching.max_batch_size=20", "max_failed=0.1"],
        candidates=["batching.max_batch_size=30"],
    )
    batching = [side.request.resolved.definition.batching for side in request.sides]
    assert [limits.max_batch_size for limits in batching] == [20, 30]
    assert {side.request.resolved.definition.max_failed for side in request.sides} == {0.1}


def test_names_of_sides():
    several = ask(candidates=["max_failed=0.1", "max_failed=0.2"], control=True)
    assert [side.name for side in several.sides] == [
        "base",
        "control",
        "candidate1",
        "candidate2",
    ]
    assert [side.name for side in ask(control=True).sides] == ["base", "control"]
    labelled = with_labels(ask(control=True, labels={"team": "a"}), {"comparison": "x"})
    assert [dict(side.request.labels) for side in labelled.sides] == [
        {"team": "a", "comparison": "x", "side": "base"},
        {"team": "a", "comparison": "x", "side": "control"},
    ]


def test_a_request_can_be_made_again_from_its_options():
    request = ask(candidates=["max_failed=0.1"], pairs=7, seed=3, max_time="5m", limit=9)
    name = request.options["name"]
    again = make_comparison(
        Library(), name, **{key: value for key, value in request.options.items() if key != "name"}
    )
    assert again.budget == request.budget
    assert [side.request.resolved for side in again.sides] == [
        side.request.resolved for side in request.sides
    ]
    assert [side.request.seed for side in again.sides] == [3, 3]


@pytest.mark.parametrize(
    ("options", "budget"),
    [
        ({}, Budget(6)),
        ({"pairs": 9, "retry_disturbed": 2}, Budget(9, 2)),
        ({"max_time": "5m"}, Budget(60, seconds=300.0)),
        ({"max_time": "90", "pairs": 8}, Budget(8, seconds=90.0)),
        ({"max_time": "1.5h"}, Budget(60, seconds=5400.0)),
        ({"until": "ci<2%"}, Budget(60, width=0.02)),
        ({"until": "ci < 0.5 %", "pairs": 20}, Budget(20, width=0.005)),
        (
            {"accept_disturbed": True, "retry_disturbed": 2},
            Budget(6, accepts_disturbed=True),
        ),
    ],
)
def test_budgets(options, budget):
    assert ask(candidates=["max_failed=0.1"], **options).budget == budget


def test_the_interval_is_looked_at_seldom_and_at_the_end():
    assert Budget(20, width=0.02).looks() == [4, 6, 9, 14, 20]
    assert Budget(4, width=0.02).looks() == [4]
    assert Budget(20).looks() == []


def test_the_time_limit_is_that_of_the_repeats_as_runs_of_their_own():
    assert ask(candidates=["max_failed=0.1"], pairs=6).time_limit == 2 * 6 * 120
    assert ask(candidates=["max_failed=0.1"], timeout=50.0).time_limit == 50
    assert ask(candidates=["max_failed=0.1"], max_time="5m").time_limit == 300


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "overhead-noop: nothing to compare with: give --candidate SETTINGS, --candidate-py"),
        ({"candidates": [""]}, "candidate is the same as base: change a setting, or give --contr"),
        (
            {"candidates": ["max_failed=0.1", "max_failed=0.1"]},
            "candidate2 is the same as candidate1: ",
        ),
        ({"candidates": ["variant=tunde"]}, "--candidate 'variant=tunde': overhead-noop: no var"),
        ({"candidates": ["batchin.x=1"]}, "--candidate 'batchin.x=1': --set 'batchin.x=1': "),
        (
            {"candidates": ["input=numbers.txt"]},
            "--candidate 'input=numbers.txt': input source 'numbers.txt': numbers can only be",
        ),
        ({"candidates": ["runner=dataflow"]}, "--candidate 'runner=dataflow': "),
        ({"control": True, "max_time": "soon"}, "--max-time 'soon': write 90s, 5m or 1.5h"),
        ({"control": True, "max_time": "0"}, "timeout 0: must be a number of seconds above 0"),
        ({"control": True, "until": "ci<2"}, "--until 'ci<2': write 'ci<2%'"),
        ({"control": True, "until": "ci<0%"}, "--until 'ci<0%': write 'ci<2%'"),
        ({"control": True, "pairs": 0}, "pairs 0: must be 1 or more"),
        ({"control": True, "retry_disturbed": -1}, "retry_disturbed -1: must be 0 or more"),
    ],
)
def test_what_cannot_be_compared(options, problem):
    with pytest.raises(UsageError) as caught:
        ask(**options)
    assert str(caught.value).startswith(problem)
