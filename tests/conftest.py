"""What all tests share: a clean environment, and skips that are failures in CI."""

from __future__ import annotations

import gc
import os
import re
import signal
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest

import servers
from fake_server import FakeServer, fake_server
from fake_workers import Workers

Server = TypeVar("Server")

MODULE_MARK = re.compile(r"^pytestmark = \[?\s*pytest\.mark\.(real|torture)\b", re.MULTILINE)
"""What all tests of a module are, by the first mark that it gives them."""

DATA_FOLDER_NUMBER = count()

# A shell starts what goes on in the background with SIGINT ignored, and so would all that we start.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out modules of real parts only where those are not run.

    They import Beam's handlers, and these PyTorch: seconds in each process, and hundreds of loggers
    that pytest looks through three times a test.
    """
    if not collection_path.match("test_*.py"):
        return None
    mark = MODULE_MARK.search(collection_path.read_text("utf-8"))
    return True if mark and f"not {mark[1]}" in config.option.markexpr else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let two processes of pytest-xdist each begin with half of the modules of real parts.

    With `--dist worksteal` each gets half of the list, and takes from the end of the other's half
    once its own is done. With the slow tests first, what is left at the end is small; in the order
    of names, one process had minutes of smoke runs left, and the other nothing.
    """
    modules: dict[str, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.nodeid.partition("::")[0], []).append(item)
    slow = [tests for tests in modules.values() if tests[0].get_closest_marker("real")]
    light = [item for tests in modules.values() if tests not in slow for item in tests]
    halves = [[item for tests in slow[at::2] for item in tests] for at in (0, 1)]
    first_light = max(0, len(items) // 2 - len(halves[0]))
    items[:] = [*halves[0], *light[:first_light], *halves[1], *light[first_light:]]


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays to the end: modules, and some 4,000 tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_environment(_shared_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's store out of the tests, and that of one test out of others.

    The folder is only named: most tests store nothing, and to make and remove one for each of some
    4,000 takes longer than many of them do.
    """
    monkeypatch.setenv(
        "XDG_DATA_HOME", str(_shared_environment / f"data-{next(DATA_FOLDER_NUMBER)}")
    )


@pytest.fixture(scope="session", autouse=True)
def _shared_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the user's settings out, and give the session one cache: weights are made once.

    The processes of pytest-xdist share it: their folders lie in one that the session made.
    Yields the folder of this process.
    """
    own = tmp_path_factory.getbasetemp()
    cache = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "cache"
    cache.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("BEAMBENCH_") and not name.startswith("BEAMBENCH_TEST_"):
                patch.delenv(name)
        patch.delenv("COLUMNS", raising=False)  # that of the terminal pytest runs in
        patch.setenv("XDG_CACHE_HOME", str(cache))
        yield own


@pytest.fixture(scope="session")
def shared_folder(_shared_environment: Path) -> Path:
    """Return a folder that the processes of pytest-xdist share, for what one makes for all."""
    is_shared = "PYTEST_XDIST_WORKER" in os.environ
    folder = (_shared_environment.parent if is_shared else _shared_environment) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Replace the processes of a run; nothing real is started."""
    workers = Workers()
    monkeypatch.setattr("beambench.controller.processes.worker_process.run_task", workers)
    monkeypatch.setattr(
        "beambench.experiments.benchmark.fingerprint", lambda folder: {"found_in": str(folder)}
    )
    return workers


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep temporary files in a folder of the test's own."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server that the environment names as InfluxDB's."""
    with fake_server() as server:
        monkeypatch.setenv("INFLUXDB_URL", server.url)
        monkeypatch.setenv("INFLUXDB_DATABASE", "tests")
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """In CI a skip is a failure: there every real part must be there."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


def _started(server: AbstractContextManager[Server]) -> Iterator[Server]:
    """Yield a server that runs until the tests of this process end, or skip with the reason."""
    try:
        address = server.__enter__()
    except servers.NotInstalledError as error:
        pytest.skip(str(error))
    try:
        yield address
    finally:
        server.__exit__(None, None, None)


@pytest.fixture(scope="session")
def influx_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Influx]:
    yield from _started(servers.influxdb(tmp_path_factory.mktemp("influxdb")))


@pytest.fixture(scope="session")
def influx_2_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from _started(servers.victoria_metrics(tmp_path_factory.mktemp("influxdb-2")))


@pytest.fixture(scope="session")
def bigquery_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.BigQueryEmulator]:
    yield from _started(servers.bigquery(tmp_path_factory.mktemp("bigquery")))


@pytest.fixture(scope="session")
def object_store_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.ObjectStore]:
    yield from _started(servers.object_store(tmp_path_factory.mktemp("object-store")))


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    yield from _started(servers.postgresql())


@pytest.fixture
def influx(influx_server: servers.Influx, monkeypatch: pytest.MonkeyPatch) -> servers.Influx:
    """InfluxDB, and the environment that says where it is."""
    for name, value in influx_server.environment.items():
        monkeypatch.setenv(name, value)
    return influx_server


@pytest.fixture
def bigquery(
    bigquery_server: servers.BigQueryEmulator, monkeypatch: pytest.MonkeyPatch
) -> servers.BigQueryEmulator:
    """The BigQuery emulator, and the environment that says where it is."""
    for name, value in bigquery_server.environment.items():
        monkeypatch.setenv(name, value)
    return bigquery_server


@pytest.fixture
def bucket(object_store_server: servers.ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty bucket, and the environment that says where the store is."""
    for name, value in object_store_server.environment.items():
        monkeypatch.setenv(name, value)
    return object_store_server.new_bucket()


@pytest.fixture
def postgresql(postgresql_server: str) -> str:
    """The address of an empty database of a PostgreSQL server."""
    return servers.new_database(postgresql_server)
