"""A site of a real run in an environment full of credentials: none of them is on it."""

from __future__ import annotations

import json

import pytest

from beambench.store import sqlite_url
from fast_runs import NAME, command_line, lay_out, python_path

pytestmark = pytest.mark.real
PLANTED = {
    "INFLUXDB_USER_PASSWORD": "planted-influxdb-password",
    "INFLUXDB_TOKEN": "planted-influxdb-token",
    "PGPASSWORD": "planted-postgresql-password",
    "GITHUB_TOKEN": "planted-github-token",
    "MY_API_KEY": "planted-api-key",
}


def test_no_credential_is_on_the_site(tmp_path):
    lay_out(tmp_path / "mine")
    environment = {
        **PLANTED,
        "BEAMBENCH_STORE": sqlite_url(tmp_path / "runs.db"),
        "PYTHONPATH": python_path(tmp_path / "mine" / "hidden"),
        "INFLUXDB_URL": "http://127.0.0.1:9",
        "INFLUXDB_DATABASE": "tests",
        "INFLUXDB_ORG": "us",
    }
    out = tmp_path / "site"
    definition = ["--definitions", str(tmp_path / "mine" / f"{NAME}.yaml")]
    run = ["run", NAME, "--profile", "smoke", "--publish", "influxdb", *definition]
    commands = ((run, 5), (["report", "--out", str(out), "--json"], 0))
    for command, expected in commands:
        with command_line(tmp_path / "cli", *command, **environment) as started:
            assert started.end() == expected, started.errors
    assert json.loads(started.output)["runs"] == 1
    texts = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert any(b"fast-numbers" in text for text in texts.values())
    assert [path.name for path, text in texts.items() if b"planted-" in text] == []
