"""What is read again of a configuration has the names that it is written with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import beambench
from beambench.definition.library import Library
from beambench.record.configuration import Configuration, Limits, definition_in, read_configuration
from beambench.request.benchmark import make_request

SOURCES = Path(beambench.__file__).parent


def written() -> dict[str, object]:
    return dict(make_request(Library(), "overhead-noop", profile="smoke").configuration())


def test_every_key_that_is_read_is_written():
    read = {*Configuration.model_fields, *Limits.model_fields}
    # Where the model is a server's, and where the run decided the precision.
    assert read - set(written()) == {"model_runs", "precision"}


def test_a_configuration_comes_back():
    config = written()
    known = read_configuration(config)
    assert known.definition == config["definition"] == definition_in(config)
    assert (known.overrides, known.beam_flags, known.output) == ([], [], None)
    assert Limits.model_validate(config).model_dump() == {"timeout": 120.0, "max_failed": 0.01}


@pytest.mark.parametrize(
    "config",
    [{}, {"definition": "x"}, {"definition": None, "overrides": 3}, {"model_runs": "on the moon"}],
)
def test_what_has_another_form_is_unknown_and_the_rest_is_not(config):
    assert read_configuration({**config, "precision": "bfloat16", "of_tomorrow": 1}) == (
        Configuration(precision="bfloat16")
    )
    assert definition_in(config) == {}


def test_nothing_reads_a_configuration_by_keys_that_no_type_knows():
    keyed = re.compile(r"\.config(\.get\(|\[)")
    reading = [
        f"{path.relative_to(SOURCES)}: {line.strip()}"
        for path in SOURCES.rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if keyed.search(line)
    ]
    assert reading == []
