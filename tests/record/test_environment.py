"""What is read again of an environment has the names that it is written with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import beambench
from beambench.machine.environment import fingerprint
from beambench.record.environment import Environment, Machine, read_environment

SOURCES = Path(beambench.__file__).parent


def unwritten(model: type[BaseModel], written: dict[str, Any], where: str = "") -> set[str]:
    """Return the fields of a model, and of those in it, that are not in what was written."""
    missing = set()
    for name, field in model.model_fields.items():
        inner = field.annotation
        if name not in written:
            missing.add(where + name)
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            missing |= unwritten(inner, written[name], f"{where}{name}.")
    return missing


def test_every_key_that_is_read_is_written(tmp_path):
    assert unwritten(Environment, fingerprint(tmp_path)) == {"torch"}  # the worker adds it
    assert unwritten(Machine, {"cores": {}}, "machine.") >= {"machine.cpu_model"}


def test_this_machine_comes_back(tmp_path):
    written = fingerprint(tmp_path)
    known = read_environment({**written, "torch": {"threads": 2, "more": "x"}})
    assert known.machine.model_dump()["cores"]["logical"] == written["machine"]["cores"]["logical"]
    assert known.packages["apache-beam"] == written["packages"]["apache-beam"]
    assert (known.torch and known.torch.threads) == 2
    assert known.fingerprint_digest == written["fingerprint_digest"]


@pytest.mark.parametrize(
    "environment",
    [{}, {"machine": "x"}, {"machine": {"cores": 2}}, {"packages": None, "git": [], "torch": 1}],
)
def test_what_has_another_form_is_unknown_and_the_rest_is_not(environment):
    known = read_environment({**environment, "machine_digest": "ab"})
    assert known == Environment(machine_digest="ab")


def test_nothing_reads_a_record_by_keys_that_no_type_knows():
    keyed = re.compile(r"record\.(environment|noise)(\.get\(|\[)|repeat\.(runner|noise)\[")
    reading = [
        f"{path.relative_to(SOURCES)}: {line.strip()}"
        for path in SOURCES.rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if keyed.search(line)
    ]
    assert reading == []
