"""Real servers for tests: each started once a process on free ports of this machine.

What is not installed is a reason to skip; `.ci/run` installs all of it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
EMULATOR_PYTHON = ROOT / ".venv-bigquery" / "bin" / "python"
EXTENSIONS = ("icu", "ducklake", "spatial", "httpfs", "avro")
USER, PASSWORD = "bench", "plans-for-tomorrow"
DATABASE = "beambench_tests"
START_SECONDS = 60.0


class NotInstalledError(Exception):
    """A server that cannot be started here, and what would install it."""


@dataclass(frozen=True)
class Influx:
    """A real InfluxDB 1.6 with authentication, and an empty database."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "INFLUXDB_URL": self.url,
            "INFLUXDB_DATABASE": DATABASE,
            "INFLUXDB_USER": USER,
            "INFLUXDB_USER_PASSWORD": PASSWORD,
        }


@dataclass(frozen=True)
class BigQueryEmulator:
    """local-bigquery, with an empty project."""

    url: str
    project: str = "local"

    @property
    def environment(self) -> dict[str, str]:
        return {"BIGQUERY_EMULATOR_HOST": self.url, "GOOGLE_CLOUD_PROJECT": self.project}


@dataclass(frozen=True)
class ObjectStore:
    """gcp-storage-emulator, which makes an empty bucket for whoever asks."""

    url: str
    credentials: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "STORAGE_EMULATOR_HOST": self.url,
            "GOOGLE_CLOUD_PROJECT": "local",
            "GOOGLE_APPLICATION_CREDENTIALS": str(self.credentials),
        }

    def new_bucket(self) -> str:
        """Make an empty bucket; return its address, `gs://NAME`."""
        name = f"bucket-{uuid.uuid4().hex}"
        body = json.dumps({"name": name}).encode()
        request = urllib.request.Request(f"{self.url}/storage/v1/b?project=local", body)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10):
            return f"gs://{name}"


@contextlib.contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    program = str(Path(sys.executable).with_name("gcp-storage-emulator"))
    command = [program, "start", "--host", "127.0.0.1", "--port", str(port), "--in-memory"]
    with _running(command, folder, f"{url}/storage/v1/b?project=local"):
        yield ObjectStore(url, google_credentials(folder))


def google_credentials(folder: Path) -> Path:
    """Write credentials whose token never ends: without any, Beam looks for some for 20 s."""
    path = folder / "credentials.json"
    secrets = dict.fromkeys(("client_id", "client_secret", "refresh_token", "token"), PASSWORD)
    content = {"type": "authorized_user", "expiry": "2099-01-01T00:00:00Z", **secrets}
    path.write_text(json.dumps(content))
    return path


@contextlib.contextmanager
def influxdb(folder: Path) -> Iterator[Influx]:
    program = _path_of("influxd", "apt-get install influxdb")
    port, rpc = free_port(), free_port()
    configuration = folder / "influxdb.conf"
    configuration.write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{rpc}"\n'
        f'[meta]\n  dir = "{folder}/meta"\n[data]\n  dir = "{folder}/data"\n'
        f'  wal-dir = "{folder}/wal"\n  max-values-per-tag = 0\n'
        f'[http]\n  bind-address = "127.0.0.1:{port}"\n  auth-enabled = true\n'
        "  log-enabled = false\n[monitor]\n  store-enabled = false\n"
    )
    url = f"http://127.0.0.1:{port}"
    with _running([program, "-config", str(configuration)], folder, f"{url}/ping"):
        # The first request on a server with authentication makes the administrator.
        _post(
            f"{url}/query", f"q=CREATE USER {USER} WITH PASSWORD '{PASSWORD}' WITH ALL PRIVILEGES"
        )
        _post(f"{url}/query", f"q=CREATE DATABASE {DATABASE}", USER, PASSWORD)
        yield Influx(url)


@contextlib.contextmanager
def victoria_metrics(folder: Path) -> Iterator[str]:
    """Start a server with the write API of InfluxDB 2; yield its address."""
    program = _path_of("victoria-metrics", "apt-get install victoria-metrics")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [program, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder}/vm"]
    command.append("-search.latencyOffset=0s")
    with _running(command, folder, f"{url}/health"):
        yield url


@contextlib.contextmanager
def bigquery(folder: Path, store: ObjectStore | None = None) -> Iterator[BigQueryEmulator]:
    """Start an emulator, whose load jobs read from `store`."""
    if not EMULATOR_PYTHON.is_file():
        raise NotInstalledError("no BigQuery emulator: make setup-bigquery")
    # DuckDB's extensions are looked for at home, and a home of the user's would hide missing ones.
    home = folder / "home"
    home.mkdir()
    imports = "".join(f"duckdb_extensions.import_extension({name!r});" for name in EXTENSIONS)
    environment = {**os.environ, "HOME": str(home)}
    if store is not None:
        environment["STORAGE_EMULATOR_HOST"] = store.url
    subprocess.run(
        [EMULATOR_PYTHON, "-c", f"import duckdb_extensions;{imports}"], env=environment, check=True
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        *(str(EMULATOR_PYTHON.with_name("local-bigquery")), "--host", "127.0.0.1"),
        *("--port", str(port), "--grpc-port", str(free_port()), "--project", "local"),
        *("--data-dir", str(folder / "bigquery"), "serve"),
    ]
    ready = f"{url}/bigquery/v2/projects/local/datasets"
    with _running(command, folder, ready, environment):
        yield BigQueryEmulator(url)


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """Start a server with a password; yield the address of an empty database."""
    programs = [Path(path) for path in (shutil.which("initdb"), shutil.which("postgres")) if path]
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if len(programs) < 2 and not installed:
        raise NotInstalledError("no PostgreSQL: apt-get install postgresql")
    where = installed[-1].parent if installed else programs[0].parent
    # The server refuses to run as root, and its user cannot enter the folders of a test.
    folder = Path(tempfile.mkdtemp(prefix="beambench-postgresql-"))
    user: dict[str, str] = {}
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        user = {"user": "postgres"}
    port = free_port()
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    try:
        subprocess.run(
            [
                *(where / "initdb", "--pgdata", folder / "data", "--username", USER),
                *("--auth=scram-sha-256", "--pwfile", password, "--encoding=UTF8", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            **user,  # type: ignore[call-overload]
        )
        command = [
            *(str(where / "postgres"), "-D", str(folder / "data"), "-p", str(port), "-h"),
            *("127.0.0.1", "-k", str(folder), "-c", "max_connections=200", "-c", "fsync=off"),
        ]
        with _running(command, folder, port, user=user.get("user")):
            quoted = urllib.parse.quote(PASSWORD)
            yield f"postgresql://{USER}:{quoted}@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _running(
    command: list[str],
    folder: Path,
    ready: str | int,
    environment: dict[str, str] | None = None,
    user: str | None = None,
) -> Iterator[None]:
    """Keep a server running; it has begun when an address answers or a port is listened to."""
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=folder,
            user=user,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + START_SECONDS
        while not _answers(ready):
            if process.poll() is not None or time.monotonic() > end:
                sys.stderr.write(log.read_text(errors="replace")[-3000:])
                raise RuntimeError(f"{command[0]} did not start")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(ready: str | int) -> bool:
    if isinstance(ready, int):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", ready), 1):
            return True
        return False
    try:
        with urllib.request.urlopen(ready, timeout=2):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def _post(url: str, form: str, user: str | None = None, password: str = "") -> None:
    request = urllib.request.Request(url, urllib.parse.quote(form, safe="=& ").encode())
    if user is not None:
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {basic}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read().decode()
    assert "error" not in text, text


def _path_of(program: str, advice: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise NotInstalledError(f"no {program}: {advice}")
    return path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def new_database(url: str) -> str:
    """Make a database on a PostgreSQL server; return its address."""
    import psycopg

    name = f"tests_{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{url.rpartition('/')[0]}/{name}"
