"""`beambench compare` of two stored runs."""

from __future__ import annotations

import pytest

from beambench.store import RunStore
from compared_runs import compared_run, environment
from fake_workers import measured, prepared

STORE = "sqlite:///runs.db"
RATES = (100.0, 100.5, 99.5, 100.2, 99.8, 100.1)


@pytest.fixture
def runs(folder):
    """Ids of runs: a base, the same again, a slower one, one of another benchmark."""
    records = [
        compared_run(1, RATES),
        compared_run(2, RATES[::-1]),
        compared_run(3, RATES, {"inference": 0.2}),
        compared_run(4, RATES, benchmark="other"),
    ]
    with RunStore.open(STORE) as store:
        for record in records:
            store.add(record)
    return [record.run_id for record in records]


@pytest.fixture
def compare(beambench):
    return lambda *arguments: beambench("compare", *arguments, "--store", STORE)


def test_a_comparison_is_printed_and_stored(compare, beambench, runs):
    answer = compare(runs[0], runs[2])
    assert (answer.code, answer.err) == (0, "")
    assert "The candidate is slower: throughput_elements −9.09 %" in answer.out
    printed = " ".join(answer.out.split())
    assert "stage that moved is inference (+20.0 % of time an element; 50 % of" in printed
    comparison_id = answer.out.split("comparison compare-")[1].split(":")[0]
    again = beambench("show", f"compare-{comparison_id}", "--store", STORE)
    assert again == answer
    assert beambench("show", f"compare-{comparison_id[:12]}", "--store", STORE) == answer


def test_json(compare, beambench, runs):
    answer = compare(runs[0], runs[1], "--json")
    document = answer.document
    assert answer.code == 0
    assert document["metrics"]["throughput_elements"]["verdict"] == "same"
    expected = {"base", "candidate", "ratio", "ci_low", "ci_high", "verdict", "mde"}
    assert expected <= document["metrics"]["throughput_elements"].keys()
    assert {"comparison_id", "sides", "noise", "pairs"} <= document.keys()
    shown = beambench("show", document["comparison_id"], "--json", "--store", STORE)
    assert shown.document == document
    assert compare(runs[0], runs[1], "--format", "json").document["verdict"] == "same"


def test_markdown(compare, runs):
    out = compare(runs[0], runs[2], "--format", "markdown").out
    assert out.startswith("### overhead-noop: slower\n\nThe candidate is slower: throughput\\_el")
    assert "| throughput\\_elements | 100 1/s | 90.95 1/s | −9.09 % |" in out
    assert "| inference | 9.995 ms | 11.99 ms | +20.0 % |" in out
    assert "**warning:** the two runs were measured at different times" in out


@pytest.fixture
def labelled(folder) -> None:
    """Runs of six benchmarks with labels of two commits."""
    slower = (92.0, 92.5, 91.5, 92.2, 91.8, 92.1)
    noisy = (90.0, 120.0, 80.0, 110.0, 95.0, 105.0)
    sides = {
        "steady": (RATES, slower),
        "noisy": (noisy, tuple(0.85 * rate for rate in noisy)),
        "unchanged": (RATES, RATES),
        "removed": (RATES, None),
        "added": (None, RATES),
        "moved": (RATES, RATES),
    }
    with RunStore.open(STORE) as store:
        for number, (name, rates) in enumerate(sides.items()):
            for side, values in enumerate(rates):
                if values is not None:
                    run = compared_run(
                        10 * number + side,
                        values,
                        benchmark=name,
                        labels={"commit": "ab"[side], "nightly": "yes"},
                        profile="full" if (name, side) == ("moved", 1) else "local",
                    )
                    store.add(run)


SIDES = ("--base-label", "commit=a", "--candidate-label", "commit=b")


def test_all_benchmarks_that_both_sides_have_the_clearest_change_first(compare, labelled):
    answer = compare(*SIDES, "--json")
    assert answer.code == 0
    document = answer.document
    verdicts = {each["benchmark"]: each["verdict"] for each in document["comparisons"]}
    assert list(verdicts.items()) == [
        ("steady", "slower"),
        ("noisy", "inconclusive"),
        ("unchanged", "same"),
    ]
    assert document["left_out"] == {
        "removed (stock, local)": "no run with commit=b",
        "added (stock, local)": "no run with commit=a",
        "moved (stock, full)": "no run with commit=a",
        "moved (stock, local)": "no run with commit=b",
    }
    assert document["sentence"] == (
        "3 comparisons: 1 slower, 1 same within 3 %, 1 inconclusive; 4 benchmarks left out"
    )
    with RunStore.open(STORE) as store:
        stored = [store.comparisons.newest(name)[0].comparison_id for name in verdicts]
    assert stored == [each["comparison_id"] for each in document["comparisons"]]


def test_many_benchmarks_in_text_and_markdown(compare, labelled):
    out = compare(*SIDES).out
    assert out.startswith("3 comparisons: 1 slower, 1 same within 3 %, 1 inconclusive; 4 bench")
    assert out.index("steady") < out.index("noisy") < out.index("unchanged")
    assert "removed (stock, local) is left out: no run with commit=b" in out
    markdown = compare(*SIDES, "--format", "markdown").out
    assert markdown.startswith("### 3 comparisons: 1 slower")
    assert "| steady | stock | throughput\\_elements | −8.0" in markdown
    assert "- removed (stock, local) is left out: no run with commit=b" in markdown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (SIDES[:2], "--base-label and --candidate-label go together"),
        (
            (*SIDES, "steady", "noisy"),
            "--base-label and --candidate-label go together, and without names",
        ),
        (("--base-label", "commit", *SIDES[2:]), "--base-label 'commit': expected key=value"),
        (
            ("--base-label", "commit=x", "--candidate-label", "commit=y"),
            "no run with commit=x and none with commit=y is stored",
        ),
    ],
)
def test_labels_that_choose_no_sides(compare, labelled, arguments, said):
    answer = compare(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


def test_strict_asks_for_a_verdict_on_every_benchmark(compare, labelled):
    assert compare(*SIDES, "--strict").code == 4


def test_ids_may_be_short(compare, runs):
    assert compare(runs[0][:13], runs[1][:13]).code == 0


def test_the_margin(compare, runs):
    assert compare(runs[0], runs[2], "--margin", "20%").out.count("as fast as the base") == 1
    assert compare(runs[0], runs[2], "--margin", "0.2", "--json").document["margin"] == 0.2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--margin", "0"), "--margin 0: expected a share between 0 and 1, such as 3% or 0.03"),
        (("--margin", "many"), "--margin many: expected a share"),
        (("--json", "--format", "markdown"), "--json and --format markdown: give one of them"),
    ],
)
def test_bad_options(compare, runs, arguments, said):
    answer = compare(runs[0], runs[1], *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


def test_unlike_runs(compare, runs):
    answer = compare(runs[0], runs[3])
    assert (answer.code, answer.out) == (2, "")
    assert "benchmark: overhead-noop, other" in answer.err
    assert len(answer.messages) == 1
    allowed = compare(runs[0], runs[3], "--allow-different")
    assert allowed.code == 0
    assert "not alike: benchmark: overhead-noop, other" in allowed.out


def test_runs_as_the_command_line_makes_them(beambench, compare, workers, scratch):
    def run(*rates: float, **changes: object) -> str:
        workers.script("prepare", prepared(environment=environment(), **changes))
        workers.script("pipeline", *map(measured, rates))
        command = ("run", "overhead-noop", "--profile", "smoke", "--repeats", "4", "--json")
        return beambench(*command, "--store", STORE).document["run_id"]

    first, slower = run(10.0, 10.1, 9.9, 10.0), run(8.0, 8.1, 7.9, 8.0)
    document = compare(first, slower, "--json").document
    assert document["verdict"] == "slower"
    assert list(document["metrics"]) == ["throughput_elements", "peak_memory"]
    other = compare(first, run(10.0, 10.1, 9.9, 10.0, input_digest="e" * 64))
    assert other.code == 2
    assert "not compared: input digest: dddddddddddd, eeeeeeeeeeee: name runs" in other.err


def test_names_that_are_no_two_runs(compare, beambench, runs):
    assert compare(runs[0]).code == 2
    assert "give two runs" in compare(*runs[:3]).err
    assert "no run '20260131T999999Z-00000000'" in compare(runs[0], "20260131T999999Z-00000000").err
    missing = beambench("show", "compare-20260131T999999Z-00000000", "--store", STORE)
    assert missing.code == 2
    assert "no comparison 'compare-20260131T999999Z-00000000'" in missing.err
