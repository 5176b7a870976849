"""`history --metric` and `history --csv`: a drawn history, and its changes as JSON."""

from __future__ import annotations

import pytest


@pytest.fixture
def rates(tmp_path):
    path = tmp_path / "rates.csv"
    levels = [100.0 + at % 5 for at in range(20)] + [80.0 + at % 5 for at in range(12)]
    path.write_text("rate\n" + "\n".join(map(str, levels)))
    return str(path)


def test_a_change_stands_before_the_first_value_of_its_level(beambench, rates):
    lines = beambench("history", "--csv", rates, "--value-column", "rate").out.splitlines()

    at = next(number for number, line in enumerate(lines) if line.startswith("-- step"))
    assert "since line 22" in lines[at]
    assert lines[at + 1].startswith("  line 22")
    assert "-19" in lines[at] or "-20" in lines[at]


def test_json_has_every_value_and_change(beambench, rates):
    answer = beambench("history", "--csv", rates, "--value-column", "rate", "--json")

    (series,) = answer.document["series"]
    assert len(series["points"]) == 32
    (change,) = series["changes"]
    assert (change["index"], change["direction"], change["since"]) == (20, "down", "line 22")
    assert change["ratio_low"] < change["ratio"] < change["ratio_high"]


@pytest.mark.parametrize(
    "arguments", [[], ["--csv", "x.csv"], ["noop", "--csv", "x.csv"], ["--value-column", "v"]]
)
def test_what_cannot_be_drawn_is_refused(beambench, arguments):
    answer = beambench("history", *arguments)

    assert answer.code == 2
    assert "--value-column" in answer.err
