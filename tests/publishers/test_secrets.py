"""Planted credentials, and a search for them everywhere that something is kept or shown."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import psutil
import pytest

from beambench.store import sqlite_url
from fake_server import fake_server
from fast_runs import NAME, command_line, lay_out, python_path
from servers import new_database

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

USER = "planted"
PLANTED = {
    "INFLUXDB_USER_PASSWORD": "planted/influxdb+passwörd",
    "INFLUXDB_TOKEN": "planted/influxdb+token==",
    "PGPASSWORD": "planted/postgresql+password%1",
    "private key": "planted/private+key",
}


def forms(secret: str) -> Iterator[bytes]:
    """Yield all that a secret can look like: itself, and encoded for a header, address or JSON."""
    for text in (secret, f"{USER}:{secret}"):
        for encoded in (text.encode(), text.encode("latin-1")):
            yield base64.b64encode(encoded).rstrip(b"=")
            yield base64.urlsafe_b64encode(encoded).rstrip(b"=")
            yield encoded
        yield from (quote(text).encode(), quote(text, safe="").encode(), quote_plus(text).encode())
        yield json.dumps(text)[1:-1].encode()
        yield repr(text.encode())[2:-1].encode()


FORMS = {name: set(forms(secret)) for name, secret in PLANTED.items()}


def secrets_in(content: bytes) -> set[str]:
    return {name for name, some in FORMS.items() if any(form in content for form in some)}


class Watch:
    """Every command line of every process, and every file of a folder, as long as it lasts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Watch:
        self.command_lines: set[str] = set()
        self.files: set[Path] = set()
        self.leaked: set[tuple[str, str]] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.is_set():
            for process in psutil.process_iter():
                try:
                    self.command_lines.add("\0".join([process.name(), *process.cmdline()]))
                except psutil.Error:
                    continue
            for path in self.folder.rglob("*"):
                try:
                    if path.is_file():
                        self.files.add(path)
                        content = path.read_bytes()
                        self.leaked |= {(str(path), name) for name in secrets_in(content)}
                except OSError:  # gone in the meantime
                    continue
            self._stop.wait(0.2)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def with_planted_password(server: str) -> str:
    """Make a user with the planted password and a database of its own; return its address."""
    import psycopg
    from psycopg import sql

    address = new_database(server)
    database = address.rpartition("/")[2]
    user, password = sql.Identifier(database), sql.Literal(PLANTED["PGPASSWORD"])
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE USER {} PASSWORD {}").format(user, password))
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(user, user))
        connection.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(user))
    place = address.rpartition("@")[2]
    return f"postgresql://{database}:{quote(PLANTED['PGPASSWORD'], safe='')}@{place}"


def dump(address: str) -> dict[str, bytes]:
    """Return every table of a PostgreSQL database as text."""
    import psycopg
    from psycopg import sql

    tables = {}
    with psycopg.connect(address) as connection:
        names = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        for (name,) in names:
            query = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name))
            tables[name] = "\n".join(row for (row,) in connection.execute(query)).encode()
    return tables


def echo(headers: dict[str, str]) -> tuple[int, str]:
    """Refuse, and say in the body all that the request told."""
    told = headers.get("Authorization", "")
    secret = told.removeprefix("Token ")
    if told.startswith("Basic "):
        secret = base64.b64decode(told.removeprefix("Basic ")).decode()
    password = secret.partition(":")[2] or secret
    said = [told, secret, quote(password, safe=""), base64.b64encode(password.encode()).decode()]
    return 401, json.dumps({"error": " is ".join(said)})


@pytest.mark.parametrize(
    ("version", "store"), [(1, "sqlite"), (2, "password in address"), (1, "PGPASSWORD")]
)
def test_credentials_are_nowhere(tmp_path: Path, version: int, store: str, bigquery, request):
    begin = time.time()
    lay_out(tmp_path / "mine")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    key = tmp_path / "key.json"
    account = {
        "type": "service_account",
        "private_key": PLANTED["private key"],
        "client_email": "bench@example.com",
        "token_uri": "http://127.0.0.1:9/token",
    }
    key.write_text(json.dumps(account))
    environment = {
        "INFLUXDB_USER_PASSWORD": PLANTED["INFLUXDB_USER_PASSWORD"],
        "INFLUXDB_USER": USER,
        "INFLUXDB_DATABASE": "tests",
        "INFLUXDB_ORG": "us",
        "GOOGLE_APPLICATION_CREDENTIALS": str(key),
        "PGPASSWORD": PLANTED["PGPASSWORD"],
        "PYTHONPATH": python_path(tmp_path / "mine" / "hidden"),
        "TMPDIR": str(temporary),
    }
    if version == 2:
        environment["INFLUXDB_TOKEN"] = PLANTED["INFLUXDB_TOKEN"]
    if store == "sqlite":
        environment["BEAMBENCH_STORE"] = sqlite_url(tmp_path / "runs.db")
    else:
        address = with_planted_password(request.getfixturevalue("postgresql_server"))
        user, _, rest = address.partition("://")[2].partition(":")
        without = f"postgresql://{user}@{rest.rpartition('@')[2]}"
        environment["BEAMBENCH_STORE"] = without if store == "PGPASSWORD" else address
        if store != "PGPASSWORD":
            del environment["PGPASSWORD"]
    definition = ["--definitions", str(tmp_path / "mine" / f"{NAME}.yaml")]
    everything = ["publish", "--since", "2020-01-01", "--publish"]
    commands = (
        (["run", NAME, "--profile", "smoke", "--publish", "influxdb", *definition], {}, 5),
        (["publish", "--pending"], {}, 5),
        (["publish", "--status"], {}, 0),
        ([*everything, "influxdb", "--verify"], {}, 5),
        ([*everything, "bigquery"], {}, 0),
        ([*everything, "bigquery", "--verify"], {}, 0),
        ([*everything, "bigquery", "--again"], {"BIGQUERY_EMULATOR_HOST": ""}, None),
        (["history", NAME, "--json", *definition], {}, 0),
        *(
            (["export", "--benchmark", NAME, "--format", file_format], {}, 0)
            for file_format in ("json", "csv", "markdown")
        ),
        (["report", "--out", str(tmp_path / "site")], {}, 0),
        (["history", NAME, *definition], {"BEAMBENCH_STORE": "postgresql://x@127.0.0.1:9/x"}, 3),
        (["doctor"], {}, None),
    )
    places: dict[str, bytes] = {}
    with fake_server() as server, Watch(temporary) as watch:
        server.answer = lambda path, body: echo(server.headers[-1])
        environment["INFLUXDB_URL"] = server.url
        for number, (command, changes, expected) in enumerate(commands):
            with command_line(tmp_path / "cli", *command, **{**environment, **changes}) as cli:
                code = cli.end()
                places[f"output {number} of {command[0]}"] = (cli.output + cli.errors).encode()
                assert expected in (None, code), (command, cli.errors)
        told = {header.get("Authorization", "").partition(" ")[0] for header in server.headers}
        assert told == {"Basic" if version == 1 else "Token"}
    assert b"401" in places["output 0 of run"]
    lines = "\n".join(watch.command_lines).encode()
    assert b"beambench" in lines
    assert watch.files
    places["command lines"] = lines
    folders = (tmp_path, Path(os.environ["XDG_CACHE_HOME"]))
    for path in (file for folder in folders for file in folder.rglob("*")):
        if path.is_file() and path != key and path.stat().st_mtime >= begin - 1:
            places[str(path)] = path.read_bytes()
    if store == "sqlite":
        assert b"401" in places[str(tmp_path / "runs.db")] + places.get(
            str(tmp_path / "runs.db-wal"), b""
        )
    else:
        tables = dump(address)
        assert b"401" in tables["deliveries"]
        assert NAME.encode() in tables["runs"]
        places |= tables
    leaked = {(place, name) for place, content in places.items() for name in secrets_in(content)}
    assert leaked | watch.leaked == set()


def test_the_search_finds_what_is_planted():
    for name, secret in PLANTED.items():
        basic = base64.b64encode(f"{USER}:{secret}".encode())
        for said in (secret.encode(), basic, quote(secret, safe="").encode()):
            assert secrets_in(b"a log with " + said + b" in it") == {name}
    assert secrets_in(b"a log without any") == set()
