"""Beam's flags, whichever way name and value are written."""

from __future__ import annotations

import pytest

from beambench.definition.beam_flags import BeamFlags


def test_names_and_values_in_each_form():
    flags = BeamFlags(["--a=1", "--b", "2", "--c", "--d=x=y", "--e", "-1", "--f"])
    assert list(flags) == [
        ("a", "1"),
        ("b", "2"),
        ("c", None),
        ("d", "x=y"),
        ("e", "-1"),
        ("f", None),
    ]
    assert "c" in flags
    assert "x" not in flags


def test_the_last_value_of_a_flag_counts():
    flags = BeamFlags(["--region", "a", "--project=b", "--region=c", "--region"])
    assert flags.value("region") == "c"
    assert flags.value("reg") is None


@pytest.mark.parametrize(
    ("words", "stray"),
    [
        ([], None),
        (["--a", "1", "--b=2"], None),
        (["1"], "1"),
        (["--a=1", "2"], "2"),
        (["--a", "1", "2"], "2"),
    ],
)
def test_a_word_that_belongs_to_no_flag_is_named(words, stray):
    assert BeamFlags(words).stray_word() == stray
