"""The section `publish`: its publishers bring their settings, and nothing of their clients."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from beambench.definition.publish import nowhere, recorded, validated
from beambench.definition.publishers import BUILT_IN, find_publisher

LOADED = """
import json, sys
from beambench.definition.library import Library
assert Library().resolve("overhead-noop").definition.publish.section("influxdb")
names = {"requests", "google.auth", "sqlalchemy", "apache_beam", "beambench.store"}
loaded = {".".join(name.split(".")[:depth]) for name in sys.modules for depth in (1, 2)}
print(json.dumps(sorted(loaded & names)))
"""


def test_a_definition_is_resolved_without_any_client():
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("name", BUILT_IN)
def test_those_built_in_have_a_section_each(name):
    publisher = find_publisher(name)
    assert nowhere().section(name) is None
    section = validated({name: {}}).section(name)
    assert section == dict.fromkeys(publisher.settings.model_fields)


@pytest.mark.parametrize("content", [None, 3, "influxdb", {"to": "influxdb"}, {3: {}}])
def test_what_is_no_section_is_refused(content):
    for read in (validated, recorded):
        with pytest.raises(ValidationError):
            read(content)


def test_what_was_recorded_elsewhere_names_publishers_that_are_not_here():
    content = {"to": ["acme"], "bigquery": None, "influxdb": None, "acme": {"shelf": "x"}}
    section = recorded(content)
    assert section.model_dump() == content
    assert recorded(section.model_dump()) == section
    with pytest.raises(ValidationError):
        validated(content)
    with pytest.raises(ValidationError):
        recorded({**content, "influxdb": {"measurement": "two\nlines"}})
