"""Planted credentials, and a search for them everywhere that something is kept or shown."""

from __future__ import annotations

import base64
import json
import threading
import time
from pathlib import Path

import psutil
import pytest
from fake_server import fake_server

from beambench.store import sqlite_url
from fast_runs import NAME, command_line, lay_out, python_path

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

PLANTED = {
    "INFLUXDB_USER_PASSWORD": "planted-influxdb-passwörd",
    "INFLUXDB_TOKEN": "planted-influxdb-token",
    "PGPASSWORD": "planted-postgresql-password",
    "GOOGLE_APPLICATION_CREDENTIALS_TEXT": "planted-private-key",
}
FORMS = {
    **{name: value.encode() for name, value in PLANTED.items()},
    "basic": base64.b64encode(f"bench:{PLANTED['INFLUXDB_USER_PASSWORD']}".encode()),
}


class CommandLines:
    """Every command line of every process, as long as the block lasts."""

    def __enter__(self) -> CommandLines:
        self.seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.is_set():
            for process in psutil.process_iter():
                try:
                    self.seen.add("\0".join([process.name(), *process.cmdline()]))
                except psutil.Error:
                    continue
            self._stop.wait(0.2)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.parametrize("version", [1, 2])
def test_credentials_are_nowhere(tmp_path: Path, version: int):
    lay_out(tmp_path / "mine")
    url = sqlite_url(tmp_path / "runs.db")
    key = tmp_path / "key.json"
    key.write_text(
        json.dumps(
            {
                "type": "service_account",
                "private_key": PLANTED["GOOGLE_APPLICATION_CREDENTIALS_TEXT"],
                "client_email": "bench@example.com",
                "token_uri": "http://127.0.0.1:9/token",
            }
        )
    )
    environment = {
        **PLANTED,
        "INFLUXDB_USER": "bench",
        "INFLUXDB_DATABASE": "tests",
        "GOOGLE_APPLICATION_CREDENTIALS": str(key),
        "GOOGLE_CLOUD_PROJECT": "nobody",
        "BIGQUERY_EMULATOR_HOST": "",
        "BEAMBENCH_STORE": url,
        "PYTHONPATH": python_path(tmp_path / "mine" / "hidden"),
    }
    if version == 1:
        del environment["INFLUXDB_TOKEN"]
    shown = []
    with fake_server() as server, CommandLines() as lines:
        # A server that says all that it was told, in the body of its refusal.
        def answer(path: str, body: str) -> tuple[int, str]:
            told = server.headers[-1].get("Authorization", "")
            secret = told.removeprefix("Token ")
            if told.startswith("Basic "):
                secret = base64.b64decode(told.removeprefix("Basic ")).decode()
            return 401, json.dumps({"error": f"{told} is {secret}"})

        server.answer = answer
        environment["INFLUXDB_URL"] = server.url
        commands = (
            ["run", NAME, "--profile", "smoke", "--publish", "influxdb"],
            ["publish", "--pending"],
            ["publish", "--status"],
            ["publish", "--since", "2020-01-01", "--verify", "--publish", "influxdb"],
            ["publish", "--since", "2020-01-01", "--publish", "bigquery"],
            ["history", NAME, "--json"],
            *(["export", "--benchmark", NAME, "--format", one] for one in ("json", "csv")),
            ["export", "--benchmark", NAME, "--format", "markdown"],
            ["history", NAME, "--store", "postgresql://bench@127.0.0.1:9/postgres"],
            ["doctor"],
        )
        for command in commands:
            if command[0] in ("run", "history"):
                command = [*command, "--definitions", str(tmp_path / "mine" / f"{NAME}.yaml")]
            with command_line(tmp_path / "mine", *command, **environment) as cli:
                code = cli.end()
                shown.append((command[0], code, cli.output + cli.errors))
        assert server.requests
        if version == 1:
            assert any("Basic" in one.get("Authorization", "") for one in server.headers)
    codes = [code for _, code, _ in shown]
    assert codes[0] == 5, shown[0]
    assert codes[1] == 5, shown[1]
    places = {f"output of {name}": text.encode() for name, _, text in shown}
    places["command lines"] = "\n".join(lines.seen).encode()
    assert b"beambench" in places["command lines"]
    for path in [*tmp_path.rglob("*"), *_temporary_files()]:
        if path.is_file() and path != key:
            places[str(path)] = path.read_bytes()
    assert any(path.endswith(("runs.db", "runs.db-wal")) for path in places)
    found = [
        (place, name)
        for place, content in places.items()
        for name, secret in FORMS.items()
        if secret in content
    ]
    assert found == []


def _temporary_files() -> list[Path]:
    """Return what runs of the last minutes left in the folder for temporary files."""
    import tempfile

    since = time.time() - 300
    folders = [one for one in Path(tempfile.gettempdir()).glob("beambench-*") if one.is_dir()]
    return [
        path
        for folder in folders
        if folder.stat().st_mtime > since and "postgresql" not in folder.name
        for path in folder.rglob("*")
    ]
