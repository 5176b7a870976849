"""A user never meets a verb, option, key or metric that the documentation does not know."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from beambench.cli.main import root_command
from beambench.cli.settings import ENVIRONMENT
from beambench.definition.schema import Batching, DefinitionFile, Input, Model
from beambench.metrics.__main__ import page
from beambench.record.comparison import (
    ComparedMetric,
    Comparison,
    ComparisonNoise,
    Pair,
    Side,
)
from beambench.record.run_record import Repeat, RunRecord, Verification

ROOT = Path(__file__).parents[1]
COMMANDS = root_command().commands


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.mark.parametrize("verb", sorted(COMMANDS))
def test_every_verb_and_option_is_documented(verb: str) -> None:
    documented = text("docs/command-line.md")
    assert f"`{verb}" in documented
    options = [
        name
        for parameter in COMMANDS[verb].params
        for name in parameter.opts
        if name.startswith("--") and name != "--help"
    ]
    assert [name for name in options if f"{name}" not in documented] == []


def test_every_environment_variable_is_documented() -> None:
    documented = text("docs/command-line.md")
    assert [name for name in ENVIRONMENT if name not in documented] == []


def test_every_key_of_a_definition_is_documented() -> None:
    documented = text("docs/definitions.md")
    keys = {
        *DefinitionFile.model_fields,
        *Model.model_fields,
        *Input.model_fields,
        *Batching.model_fields,
    }
    assert sorted(key for key in keys if f"`{key}`" not in documented) == []


def test_every_key_of_the_record_is_documented() -> None:
    documented = text("docs/run-record.md")
    keys = {*RunRecord.model_fields, *Repeat.model_fields, *Verification.model_fields}
    assert sorted(key for key in keys if f"`{key}`" not in documented) == []


def test_every_key_of_the_comparison_is_documented() -> None:
    documented = text("docs/run-record.md")
    models = (Comparison, Side, ComparedMetric, Pair, ComparisonNoise)
    keys = {key for model in models for key in model.model_fields}
    assert sorted(key for key in keys if f"`{key}`" not in documented) == []


def test_metrics_page_is_current() -> None:
    assert text("docs/metrics.md") == page(), "run `make docs`"


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page_path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#]+)", page_path.read_text("utf-8")):
            if "://" not in target and not (page_path.parent / target).exists():
                broken.append(f"{page_path.name}: {target}")
    assert broken == []


def test_no_registry_host_in_requirements() -> None:
    for path in sorted((ROOT / "requirements").iterdir()):
        assert not re.search(r"https?://", path.read_text("utf-8")), path.name
