"""The pages made from the code: the JSON Schema of a definition and the list of metrics."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from beambench.definition.library import CATALOG
from beambench.definition.schema import DefinitionFile

DOCS = Path(__file__).parents[2] / "docs"
FILES = sorted(CATALOG.glob("*.yaml"))


def generated(module: str) -> str:
    done = subprocess.run([sys.executable, "-m", module], capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode("utf-8")


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json.loads((DOCS / "definition.schema.json").read_text("utf-8"))
    return Draft202012Validator(schema)


def catalog(name: str):
    return yaml.safe_load((CATALOG / f"{name}.yaml").read_text("utf-8"))


@pytest.mark.parametrize(
    ("module", "page"),
    [
        ("beambench.definition", "definition.schema.json"),
        ("beambench.metrics", "metrics.md"),
    ],
)
def test_the_page_is_current(module, page):
    assert (DOCS / page).read_text("utf-8") == generated(module), "run `make docs`"


def test_it_is_a_schema_of_draft_2020_12(validator):
    assert validator.schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(validator.schema)


def test_it_knows_every_key(validator):
    assert set(validator.schema["properties"]) == set(DefinitionFile.model_fields)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_it_accepts_the_catalog(validator, path):
    assert list(validator.iter_errors(yaml.safe_load(path.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"batchin": {}},
        {"model": {"name": "noop", "weights": "none", "sise_mib": 1}},
        {"model": {"name": "noop", "weights": "nothing"}},
        {"batching": {"min_batch_size": 0}},
        {"batching": {"max_batch_size": 1.5}},
        {"cluster": {"machine_type": "m", "workers": 1, "disk_gb": 1, "worker": 1}},
        {"profiles": {}},
        {"profiles": {"smoke": {"limits": 3}}},
        {"publish": {"influx": {}}},
        {"name": "Not A Name"},
        {"max_failed": 2},
        {"variants": {"small": 3}},
        {"inherit": 3},
    ],
    ids=lambda changed: json.dumps(changed),
)
def test_it_refuses(validator, changed):
    assert not validator.is_valid({**catalog("overhead-noop"), **changed})


@pytest.mark.parametrize("key", ["title", "workload", "model", "input", "profiles"])
def test_a_benchmark_without_a_parent_must_be_complete(validator, key):
    content = catalog("overhead-noop")
    del content[key]
    assert not validator.is_valid(content)
    assert validator.is_valid({**content, "inherit": "overhead-noop"})


@pytest.mark.parametrize(
    ("section", "key"), [("model", "weights"), ("input", "source"), ("profiles", "limit")]
)
def test_a_section_without_a_parent_must_be_complete(validator, section, key):
    content = catalog("overhead-noop")
    part = content[section]["smoke"] if section == "profiles" else content[section]
    del part[key]
    assert not validator.is_valid(content)
    assert validator.is_valid({**content, "inherit": "overhead-noop"})
