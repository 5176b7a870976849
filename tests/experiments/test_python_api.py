"""`beambench.run`: what a script gets, and what it stores and publishes."""

from __future__ import annotations

import logging

import pytest

import beambench
from beambench.definition.library import Library
from beambench.errors import StoreError, UsageError
from beambench.experiments.python_api import run_benchmark
from beambench.store import RunStore, sqlite_url
from fake_workers import crashed

pytestmark = pytest.mark.usefixtures("workers", "scratch")

MINE = "name: mine\ntitle: Mine\ninherit: overhead-noop\n"


@pytest.fixture
def url(tmp_path, monkeypatch) -> str:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return sqlite_url(folder / "runs.db")


def counts(url):
    with RunStore.open(url) as store:
        return store.deliveries.counts().get("influxdb")


def test_run_benchmark_takes_a_name_or_a_file(workers, tmp_path):
    assert run_benchmark("overhead-noop", profile="smoke").benchmark == "overhead-noop"
    mine = tmp_path / "mine.yaml"
    mine.write_text(MINE)
    assert run_benchmark(str(mine), repeats=2, profile="full").benchmark == "mine"
    assert workers.plans[-1].limit == 50_000
    record = run_benchmark(
        "mine", library=Library([mine]), overrides=["batching.max_batch_size=11"]
    )
    assert record.config["definition"]["batching"]["max_batch_size"] == 11
    assert record.config["overrides"] == ["batching.max_batch_size=11"]
    with pytest.raises(UsageError, match="no benchmark 'overhead-nop' \\(did you mean"):
        run_benchmark("overhead-nop")


def test_it_is_the_run_of_the_package(url):
    assert beambench.run is run_benchmark
    record = beambench.run("overhead-noop", profile="smoke", store=url)
    with beambench.RunStore.open(url) as store:
        assert store.get(record.run_id) == record


def test_without_a_store_nothing_is_stored_or_published(url, server, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"{MINE}publish: {{to: [influxdb]}}\n")
    assert run_benchmark(str(mine), profile="smoke").status == "succeeded"
    assert server.requests == []
    with pytest.raises(UsageError, match="give a store too"):
        run_benchmark("overhead-noop", publish=["influxdb"])


def test_a_run_that_failed_is_stored_too(url, workers):
    workers.script("pipeline", crashed())
    record = run_benchmark("overhead-noop", profile="smoke", store=url)
    assert record.status == "failed"
    with RunStore.open(url) as store:
        assert store.get(record.run_id) == record


def test_rows_are_delivered_to_the_publishers_named(url, server):
    run_benchmark("overhead-noop", profile="smoke", store=url, publish=["influxdb"])
    known = counts(url)
    assert known["delivered"] > 0
    assert (known["queued"], known["parked"]) == (0, 0)


def test_the_definition_names_the_publishers_unless_the_call_does(url, server, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"{MINE}publish: {{to: [influxdb]}}\n")
    run_benchmark(str(mine), profile="smoke", store=url, publish=[])
    assert counts(url) is None
    run_benchmark(str(mine), profile="smoke", store=url)
    assert counts(url)["delivered"] > 0


def test_rows_that_are_not_delivered_are_logged_and_stay_queued(url, monkeypatch, caplog):
    monkeypatch.setenv("INFLUXDB_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("INFLUXDB_DATABASE", "tests")
    with caplog.at_level(logging.WARNING):
        run_benchmark("overhead-noop", profile="smoke", store=url, publish=["influxdb"])
    assert "rows not delivered, kept in the queue: http://127.0.0.1:9" in caplog.text
    assert counts(url)["queued"] > 0


def test_a_publisher_or_a_store_that_is_wrong_is_refused_before_anything_runs(url, workers):
    with pytest.raises(UsageError, match="no publisher 'kafka'"):
        run_benchmark("overhead-noop", store=url, publish=["kafka"])
    with pytest.raises(StoreError):
        run_benchmark("overhead-noop", store="sqlite:////nowhere/at/all/\0/runs.db")
    assert workers.tasks == []


def test_a_store_that_fails_after_the_run_loses_nothing(url, monkeypatch):
    def full(self, record, rows):
        raise StoreError("the disk is full")

    monkeypatch.setattr(RunStore, "add", full)
    with pytest.raises(
        beambench.NotStoredError, match="the disk is full; the record was saved as"
    ) as raised:
        run_benchmark("overhead-noop", profile="smoke", store=url)
    saved = raised.value.saved
    assert saved.record.status == "succeeded"
    assert saved.file.exists()


def test_a_queue_that_fails_after_the_run_is_logged(url, server, monkeypatch, caplog):
    def broken(*_, **__):
        raise StoreError("the disk is full")

    monkeypatch.setattr("beambench.publishers.outbox.deliver", broken)
    with caplog.at_level(logging.WARNING):
        record = run_benchmark("overhead-noop", profile="smoke", store=url, publish=["influxdb"])
    assert f"rows of run {record.run_id} are not delivered: the disk is full" in caplog.text
