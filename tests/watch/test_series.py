"""Which runs of a store are one history, and what is said of its changes."""

from __future__ import annotations

import pytest

from beambench.errors import UsageError
from beambench.watch.series import series_of_file, series_of_runs
from published_runs import run_record

RATES = (101, 99, 100, 102, 98, 100, 101, 99, 100, 98, 102, 101, 99, 100)
FORMER = {"machine_digest": "m1", "packages": {"torch": "2.12.0", "numpy": "2.2.6"}}
LATTER = {"machine_digest": "m1", "packages": {"torch": "2.13.0", "numpy": "2.2.6"}}


def run(number, rate=100.0, **changed):
    value = {"value": rate, "unit": "1/s", "direction": "higher", "n": 6}
    return run_record(
        number,
        metrics={"throughput_elements": value},
        verification=run_record().verification.model_dump() | {"passed": True},
        **changed,
    )


def history(*sides):
    """Return runs of levels, each with its environment."""
    return [
        run(15 * side + at, rate * level, environment=environment)
        for side, (level, environment) in enumerate(sides)
        for at, rate in enumerate(RATES)
    ]


def series(runs):
    (only,), _ = series_of_runs(runs, "throughput_elements")
    return only


def test_a_change_says_since_which_run_and_what_changed_with_it():
    runs = history((1, FORMER), (0.8, LATTER))

    (level,) = series(list(reversed(runs))).levels

    assert level.change.direction == "down"
    assert level.change.ratio == pytest.approx(0.8, rel=0.01)
    assert level.point.name == runs[len(RATES)].run_id
    assert level.environment == ("torch 2.12.0 -> 2.13.0",)


@pytest.mark.parametrize(
    "other",
    [
        {"environment": {"machine_digest": "m2"}},
        {"definition_hash": "ef" * 32},
        {"input": {"kind": "synthetic", "count": 50, "digest": "ef" * 32}},
        {"schema_version": 1},
    ],
)
def test_levels_of_unlike_runs_are_not_compared(other):
    runs = [
        *history((1, FORMER)),
        *(
            run(20 + at, rate * 2, **({"environment": FORMER} | other))
            for at, rate in enumerate(RATES)
        ),
    ]

    unlike = series(runs)
    assert unlike.levels == ()
    assert unlike.new_groups == (len(RATES),)


@pytest.mark.parametrize(
    "other",
    [
        {"variant": "tuned"},
        {"profile": "full"},
        {"runner": {"requested": "dataflow", "executed": "dataflow"}},
        {"input": {"kind": "files", "count": 50, "digest": "cd" * 32}},
        {"model": {"name": "noop", "weights": "random"}},
    ],
)
def test_runs_of_another_kind_are_a_series_of_their_own(other):
    all_series, _ = series_of_runs([run(1), run(2), run(3, **other)], "throughput_elements")

    assert [len(each.points) for each in all_series] == [2, 1]


def test_runs_without_proven_work_are_in_no_series():
    unproven = run(3).verification.model_copy(update={"passed": False, "unverified": "no labels"})
    wrong = run(3).verification.model_copy(update={"passed": False})
    runs = [
        run(1),
        run(2, status="cancelled"),
        run(3).model_copy(update={"verification": unproven}),
        run(4).model_copy(update={"verification": wrong}),
        run(5).model_copy(update={"metrics": {}}),
    ]

    (only,), left_out = series_of_runs(runs, "throughput_elements")

    assert len(only.points) == 1
    assert left_out == {
        "cancelled": 1,
        "unverified": 1,
        "failed verification": 1,
        "without throughput_elements": 1,
    }


def test_a_metric_that_no_run_has_is_named():
    with pytest.raises(UsageError, match=r"'throughput_elemnts'.*throughput_elements"):
        series_of_runs([run(1)], "throughput_elemnts")


def test_rows_of_a_file_are_a_series(tmp_path):
    path = tmp_path / "rates.csv"
    rows = [f"a,{rate},x" for rate in RATES] + [f"a,{1.3 * rate},x" for rate in RATES]
    path.write_text("machine,rate,other\n" + "\n".join(rows))

    rates = series_of_file(path, "rate", "machine")

    assert [level.point.name for level in rates.levels] == ["line 16"]
    assert rates.better is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "no column 'rate'.*it has a, b"),
        ("rate\nfast\n", "line 2: rate 'fast' must be a finite number above 0"),
        ("rate\n1\n\n-1\n", "line 4: rate '-1' must be"),
        ("rate\nnan\n", "line 2: rate 'nan'"),
        ("a,rate\n1\n", "line 2: no cell for column rate"),
        ('rate\n1\n"2\n', "line 3: no CSV"),
    ],
)
def test_a_file_that_is_no_series_is_refused_by_line(tmp_path, text, message):
    path = tmp_path / "rates.csv"
    path.write_text(text)

    with pytest.raises(UsageError, match=message):
        series_of_file(path, "rate")
