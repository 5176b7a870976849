"""The section `publish`: its publishers bring their settings, and nothing of their clients."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from beambench.definition.publish import nowhere, schema_for
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
    section = schema_for({}).model_validate({name: {}}).section(name)
    assert section == dict.fromkeys(publisher.settings.model_fields)


def test_what_is_no_section_is_left_to_the_schema():
    for content in (None, 3, "influxdb", {"to": "influxdb"}, {3: {}}):
        assert list(schema_for(content).model_fields) == ["to", "bigquery", "influxdb"]
