"""What becomes of fresh runs: stored or written to a file, queued, delivered, and what is said."""

from __future__ import annotations

import json

import pytest

from beambench.cancellation import Cancellation
from beambench.errors import StoreError, UsageError
from beambench.experiments.publishing import check_publishers
from beambench.experiments.saving import NotStoredError, RunSaver
from beambench.publishers import outbox
from beambench.store import RunStore, sqlite_url
from published_runs import run_record

ROWS = 11 + 2 + 1  # of Beam's format, of two metrics, of the run
INFLUXDB = ["influxdb"]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with RunStore.open(sqlite_url(tmp_path / "runs.db")) as store:
        yield store


@pytest.fixture
def cancelled() -> Cancellation:
    return Cancellation()


@pytest.fixture
def saver(store, cancelled) -> RunSaver:
    return RunSaver(store, cancelled)


def full(self, record, rows):
    raise StoreError("the disk is full")


def test_a_run_is_stored(saver, store, tmp_path):
    saved = saver.save(run_record(), [])
    assert (saved.is_stored, saved.queued, saved.messages) == (True, 0, [])
    assert store.get(saved.record.run_id) == run_record()
    assert saver.deliver() == []
    assert not list(tmp_path.glob("*.json"))


def test_a_store_that_cannot_be_written_is_found_before_anything_is_run(store, monkeypatch):
    def locked(self):
        raise StoreError("another process writes")

    monkeypatch.setattr(RunStore, "check_writable", locked)
    with pytest.raises(StoreError, match="another process writes"):
        RunSaver(store, Cancellation())


def test_rows_are_queued_with_the_run_and_delivered(saver, store, server):
    saved = saver.save(run_record(), INFLUXDB)
    assert (saved.queued, saved.messages) == (ROWS, [])
    assert store.deliveries.counts()["influxdb"]["queued"] == ROWS
    (attempt,) = saver.deliver()
    assert (attempt.publisher, attempt.delivered, attempt.queued) == ("influxdb", ROWS, 0)
    assert (attempt.parked, attempt.problem, attempt.messages) == (0, None, [])
    assert len(server.requests) == 3


def test_an_attempt_takes_older_rows_along_but_is_about_the_fresh_runs(saver, store, server):
    store.deliveries.add(outbox.rows_of(run_record(9), "influxdb"))
    saver.save(run_record(1), INFLUXDB)
    saver.save(run_record(2), INFLUXDB)
    (attempt,) = saver.deliver()
    assert attempt.delivered == 2 * ROWS
    assert store.deliveries.counts()["influxdb"]["delivered"] == 3 * ROWS


def test_rows_that_are_not_delivered_stay_queued_and_are_said(saver, store, server):
    server.answer = lambda path, body: (503, '{"error": "not today"}')
    saver.save(run_record(), INFLUXDB)
    (attempt,) = saver.deliver()
    assert (attempt.delivered, attempt.queued) == (0, ROWS)
    (line,) = attempt.messages
    assert line.startswith(f"influxdb: {ROWS} rows not delivered, kept in the queue: ")
    assert line.endswith("not today: send them later with `beambench publish --pending`")


def test_rows_that_a_server_refuses_are_said(saver, server):
    server.answer = lambda path, body: (400, '{"error": "unable to parse"}')
    saver.save(run_record(), INFLUXDB)
    (attempt,) = saver.deliver()
    assert (attempt.queued, attempt.parked) == (0, ROWS)
    (line,) = attempt.messages
    assert line.startswith("influxdb: rows refused and set aside: ")
    assert "unable to parse" in line


def test_nothing_is_sent_after_a_cancellation(saver, store, server, cancelled):
    saver.save(run_record(), INFLUXDB)
    cancelled.set()
    (attempt,) = saver.deliver()
    assert (attempt.queued, attempt.problem) == (ROWS, "interrupted")
    assert server.requests == []


def test_a_run_whose_rows_cannot_be_made_is_stored_without(saver, store, monkeypatch):
    def broken(record, publisher):
        raise ZeroDivisionError("of a library")

    monkeypatch.setattr(outbox, "rows_of", broken)
    saved = saver.save(run_record(), INFLUXDB)
    assert saved.is_stored
    assert saved.messages == [
        f"run {run_record().run_id}: its rows could not be made (ZeroDivisionError: of a library)"
    ]
    assert saver.deliver() == []
    assert store.get(saved.record.run_id) is not None


def test_a_run_that_cannot_be_stored_is_written_to_a_file(saver, server, tmp_path, monkeypatch):
    monkeypatch.setattr(RunStore, "add", full)
    saved = saver.save(run_record(), INFLUXDB)
    assert (saved.is_stored, saved.queued, saved.file_error) == (False, 0, None)
    assert saved.messages == [f"the disk is full; the record was saved as {saved.file}"]
    written = json.loads((tmp_path / saved.file).read_text("utf-8"))
    assert written == run_record().model_dump(mode="json")
    assert saver.deliver() == []
    assert server.requests == []
    error = NotStoredError(saved)
    assert (str(error), error.saved.record) == (saved.messages[0], run_record())


def test_a_run_that_can_be_written_nowhere_is_returned_all_the_same(saver, tmp_path, monkeypatch):
    monkeypatch.setattr(RunStore, "add", full)
    (tmp_path / f"beambench-{run_record().run_id}.json").mkdir()
    saved = saver.save(run_record(), [])
    assert saved.record == run_record()
    assert saved.messages == [
        f"the disk is full; saving it as {saved.file} failed too: Is a directory"
    ]


def test_publishers_are_checked_before_a_run(server, monkeypatch):
    section = outbox.publish_section(run_record())
    assert check_publishers(["influxdb", "influxdb"], section, "x") == INFLUXDB
    with pytest.raises(UsageError, match="no publisher 'kafka'"):
        check_publishers(["kafka"], section, "x")
    monkeypatch.delenv("INFLUXDB_URL")
    with pytest.raises(UsageError, match="INFLUXDB_URL"):
        check_publishers(INFLUXDB, section, "x")
