"""A site on a server of this machine, and one that is rebuilt when the store changes."""

from __future__ import annotations

import http.client
from pathlib import Path

import pytest

from beambench.errors import UsageError
from beambench.site.serving import EVERY_S, served, watch
from beambench.store.run_store import RunStore
from fake_clock import START, FakeClock
from published_runs import run_record


@pytest.fixture
def address(tmp_path: Path):
    (tmp_path / "index.html").write_text("the start")
    with served(tmp_path) as url:
        yield url.removeprefix("http://").rstrip("/")


def asked(address: str, path: str = "/", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, timeout=5)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_the_start_page_is_served(address):
    assert asked(address) == (200, "the start")
    assert asked(address, Host=f"localhost:{address.rpartition(':')[2]}")[0] == 200


def test_a_browser_leaves_out_the_port_that_is_usual(address):
    assert asked(address, Host="127.0.0.1")[0] == 200


def test_a_run_that_came_while_the_site_was_built_is_in_the_next_one():
    built = list[float]()
    clock = FakeClock(interrupted_at=START + 2 * EVERY_S)
    watch(clock, lambda: 2, lambda: built.append(clock.now() - START), 1)
    assert built == [EVERY_S]


def test_a_name_of_somebody_else_that_leads_here_is_refused(address):
    assert asked(address, Host="evil.example:80")[0] == 403


def test_nothing_above_the_folder_is_served(address):
    assert asked(address, "/../../../etc/passwd")[0] == 404


def test_a_port_that_is_taken_is_named(address, tmp_path):
    port = int(address.rpartition(":")[2])
    with pytest.raises(UsageError, match=f"--port {port}: "), served(tmp_path, port):
        pass


def test_a_store_that_changes_is_built_again_once():
    versions, built = iter([0, 1, 1, 1, 2]), list[float]()
    clock = FakeClock(interrupted_at=START + 6 * EVERY_S)
    watch(clock, lambda: next(versions), lambda: built.append(clock.now() - START), 0)
    assert built == [2 * EVERY_S, 5 * EVERY_S]


def test_a_run_changes_the_version_of_a_store(tmp_path):
    with RunStore.open(f"sqlite:///{tmp_path}/runs.db") as store:
        before = store.version()
        assert store.version() == before
        store.add(run_record(1))
        assert store.version() != before
