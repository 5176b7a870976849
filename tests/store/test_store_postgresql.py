"""The store in a real PostgreSQL: what SQLite does, it does too."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from comparison_documents import comparison

from beambench.errors import StoreError
from beambench.store import RunIdError, RunStore, tables
from published_runs import run_record
from servers import PASSWORD, free_port

pytestmark = pytest.mark.real


@pytest.fixture
def store(postgresql):
    with RunStore.open(postgresql) as opened:
        yield opened


def test_a_run_comes_back_as_it_was_stored(store):
    record = run_record(1, labels={"text": "naïve 🙂 \\u0000 '; DROP TABLE runs; --"})
    store.add(record)
    assert store.get(record.run_id) == record
    assert store.get(record.run_id[:18]) == record
    assert store.get("nothing-like-it") is None


def test_a_run_never_changes(store):
    store.add(run_record(1))
    with pytest.raises(StoreError, match="is stored already, and a run record never changes"):
        store.add(run_record(1, status="failed"))
    record = store.get(run_record(1).run_id)
    assert record is not None
    assert record.status == "succeeded"


def test_runs_are_listed_newest_first(store):
    for number in (2, 3, 1):
        store.add(run_record(number))
    ids = [run_record(number).run_id for number in (3, 2, 1)]
    assert [record.run_id for record in store.history("published-tests")] == ids
    assert [summary.run_id for summary in store.summaries("published-tests", limit=2)] == ids[:2]
    assert [record.run_id for record in store.since("2026-01-31T10:00:02Z")] == ids[1::-1]
    assert store.benchmarks() == ["published-tests"]
    with pytest.raises(RunIdError, match="3 runs begin so"):
        store.get("2026")


def test_documents_and_the_version_of_the_store(store):
    empty = store.version()
    for number in (2, 3, 1):
        store.add(run_record(number))
    ids = [run_record(number).run_id for number in (1, 2, 3)]
    assert store.run_ids("published-tests") == ids
    assert store.run_ids("published-tests", "2026-01-31T10:00:02Z") == ids[1:]
    read = list(store.documents("published-tests", "2026-01-31T10:00:02Z"))
    assert [run.run_id for run, _ in read] == ids[1:]
    assert [document for _, document in read] == [
        run_record(number).model_dump_json() for number in (2, 3)
    ]
    with_runs = store.version()
    store.comparisons.add(comparison(1))
    assert len({empty, with_runs, store.version()}) == 3
    assert store.comparisons.benchmarks() == ["overhead-noop"]


def test_comparisons(store):
    store.comparisons.add(comparison(1))
    store.comparisons.add(comparison(2))
    assert store.comparisons.get(comparison(1).comparison_id) == comparison(1)
    assert store.comparisons.newest("overhead-noop", 1) == [comparison(2)]
    with pytest.raises(StoreError, match="is stored already, and a comparison never changes"):
        store.comparisons.add(comparison(1))


def test_a_bulk_of_runs_is_kept_once(store):
    records = [run_record(number) for number in range(1200)]
    store.add(records[7])
    assert store.add_missing(records) == 1199
    assert store.add_missing(records) == 0
    assert len(store.summaries("published-tests")) == 1200


def test_the_probe_leaves_nothing_behind(store):
    store.check_writable()
    assert store.benchmarks() == []


def test_a_newer_schema_is_refused(postgresql):
    with RunStore.open(postgresql):
        pass
    engine = tables.create_engine(postgresql)
    with engine.begin() as connection:
        connection.execute(tables.schema.update().values(version=tables.SCHEMA_VERSION + 1))
    engine.dispose()
    with pytest.raises(StoreError, match="is newer than this beambench knows") as caught:
        RunStore.open(postgresql)
    assert PASSWORD not in str(caught.value)


def test_a_store_of_version_1_is_migrated(postgresql):
    engine = tables.create_engine(postgresql)
    with engine.begin() as connection:
        tables.metadata.create_all(connection, [tables.schema, tables.runs])
        connection.execute(tables.schema.insert().values(id=1, version=1))
    with RunStore.open(postgresql) as store:
        store.add(run_record(1))
        assert store.deliveries.counts() == {}
    with engine.connect() as connection:
        assert connection.scalar(sa.select(tables.schema.c.version)) == tables.SCHEMA_VERSION
    engine.dispose()


def test_somebody_elses_table_is_left_alone(postgresql):
    engine = tables.create_engine(postgresql)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE runs (mine text)"))
    with pytest.raises(StoreError, match="has a table 'runs' that is not beambench's"):
        RunStore.open(postgresql)
    engine.dispose()


def test_a_server_that_is_down_and_a_wrong_password_are_said_without_the_password(postgresql):
    away = f"postgresql://bench:planted-secret@127.0.0.1:{free_port()}/postgres"
    with pytest.raises(StoreError, match="refused") as caught:
        RunStore.open(away)
    assert "planted-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    start, _, end = postgresql.rpartition("@")
    wrong = f"{start.rpartition(':')[0]}:planted-wrong@{end}"
    with pytest.raises(StoreError, match="password authentication failed") as caught:
        RunStore.open(wrong)
    assert "planted-wrong" not in str(caught.value)


def test_a_connection_that_the_server_closed_is_opened_again(store, postgresql):
    store.add(run_record(1))
    engine = tables.create_engine(postgresql)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    engine.dispose()
    store.add(run_record(2))
    assert len(store.history("published-tests")) == 2


def test_a_publisher_is_held_by_one_process(store, postgresql):
    import time

    with RunStore.open(postgresql) as other:
        with store.deliveries.lock("influxdb", time.monotonic()) as first:
            with other.deliveries.lock("influxdb", time.monotonic()) as second:
                assert (first(), second()) == (True, False)
            with other.deliveries.lock("bigquery", time.monotonic()) as third:
                assert third()
        with other.deliveries.lock("influxdb", time.monotonic()) as fourth:
            assert fourth()
