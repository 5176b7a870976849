import json
import logging
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from comparison_documents import comparison
from pydantic import ValidationError
from sqlalchemy.dialects import postgresql

from beambench.cancellation import Cancellation
from beambench.errors import EXIT_USAGE, StoreError, UsageError
from beambench.record.run_record import (
    InputRecord,
    MetricValue,
    ModelRecord,
    Repeat,
    RunnerRecord,
    RunNoise,
    RunRecord,
    Verification,
)
from beambench.store import RunIdError, RunStore, sqlite_url, tables


def make_record(run_id: str = "20260101-aaaa", **changes: object) -> RunRecord:
    fields: dict[str, object] = {
        "run_id": run_id,
        "benchmark": "image",
        "variant": "stock",
        "profile": "local",
        "definition_hash": "d" * 64,
        "beambench_version": "0.1.0",
        "runner": RunnerRecord(requested="direct", executed="direct"),
        "status": "succeeded",
        "started_at": "2026-01-01T00:00:00Z",
        "finished_at": "2026-01-01T00:01:00Z",
        "input": InputRecord(kind="synthetic", count=4, digest=None),
        "model": ModelRecord(name="tiny", weights="random"),
        "config": {"text": "naïve 🙂 \u0000 '; DROP TABLE runs; --"},
        "repeats": [],
        "metrics": {"throughput": _metric(10.0)},
        "verification": Verification(
            elements_in=4, elements_out=4, elements_failed=0, duplicates=0
        ),
        "noise": {},
        "environment": {},
        "command": ["beambench", "run"],
    }
    return RunRecord.model_validate(fields | changes)


def _metric(value: float) -> MetricValue:
    return MetricValue(value=value, unit="1/s", direction="higher", n=1)


def _unchecked(value: float) -> MetricValue:
    fields = _metric(1.0).model_dump() | {"value": value}
    return MetricValue.model_construct(**fields)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "runs.db")


@pytest.fixture
def store(url: str):
    with RunStore.open(url) as opened:
        yield opened


def _execute(url: str, statement: str, *values: object) -> list[tuple]:
    with sqlite3.connect(tables.sqlite_path(url)) as connection:
        return connection.execute(statement, values).fetchall()


def test_a_run_comes_back_as_it_was(store, url):
    record = make_record()
    store.add(record)
    assert store.get(record.run_id) == record
    assert _execute(url, "SELECT document FROM runs") == [(record.model_dump_json(),)]


def test_a_run_is_there_when_the_store_is_opened_again(url):
    with RunStore.open(url) as first:
        first.add(make_record())
    with RunStore.open(url) as second:
        assert second.get("20260101-aaaa") == make_record()


def test_a_run_id_cannot_be_stored_twice(store):
    store.add(make_record())
    with pytest.raises(StoreError, match="run 20260101-aaaa: is stored already"):
        store.add(make_record(benchmark="other"))
    assert store.get("20260101-aaaa") == make_record()


def test_an_unknown_run_is_none(store):
    assert store.get("20260101-aaaa") is None


def test_a_unique_prefix_is_enough(store):
    store.add(make_record("abcd-1"))
    store.add(make_record("abce-2"))
    assert store.get("abcd").run_id == "abcd-1"
    assert store.get("ABCD") is None
    assert store.get("ab%%") is None
    assert store.get("ab__") is None


def test_a_whole_id_wins_over_those_it_begins(store):
    store.add(make_record("abcd"))
    store.add(make_record("abcd-2"))
    assert store.get("abcd").run_id == "abcd"


def test_an_ambiguous_prefix_lists_the_newest_five(store):
    for day in range(1, 8):
        store.add(make_record(f"abcd-{day}", started_at=f"2026-01-0{day}T00:00:00Z"))
    with pytest.raises(RunIdError) as caught:
        store.get("abcd")
    assert str(caught.value) == (
        "run 'abcd': 7 runs begin so: abcd-7, abcd-6, abcd-5, abcd-4, abcd-3 and 2 more: "
        "give more characters"
    )
    assert isinstance(caught.value, UsageError)
    assert caught.value.exit_code == EXIT_USAGE


@pytest.mark.parametrize("prefix", ["", "a", "abc"])
def test_a_short_prefix_is_refused(store, prefix):
    store.add(make_record("abcd"))
    with pytest.raises(RunIdError, match="at least 4 characters"):
        store.get(prefix)


def test_history_is_newest_first_whatever_the_time_zone(store):
    times = {
        "oldest": "2026-01-01T12:00:00+02:00",
        "newest": "2026-01-01T09:00:00.500-03:00",
        "middle": "2026-01-01T12:00:00Z",
        "second": "2026-01-01T10:00:00.000001",
    }
    for run_id, moment in times.items():
        store.add(make_record(run_id, started_at=moment))
    assert [r.run_id for r in store.history("image")] == ["newest", "middle", "second", "oldest"]
    assert store.get("oldest").started_at == times["oldest"]


def test_history_filters_and_limits(store):
    for number in range(6):
        store.add(
            make_record(
                f"run-{number}",
                started_at=f"2026-01-01T00:00:0{number}Z",
                variant=["stock", "tuned"][number % 2],
                profile=["local", "smoke"][number // 3],
                benchmark="other" if number == 5 else "image",
            )
        )
    ids = lambda **filters: [r.run_id[-1] for r in store.history("image", **filters)]  # noqa: E731
    assert ids() == ["4", "3", "2", "1", "0"]
    assert ids(variant="stock") == ["4", "2", "0"]
    assert ids(variant="stock", profile="local") == ["2", "0"]
    assert ids(limit=2) == ["4", "3"]
    assert ids(variant="none") == []
    assert store.history("missing") == []
    assert store.benchmarks() == ["image", "other"]
    with pytest.raises(UsageError, match="limit 0"):
        store.history("image", limit=0)


def test_summaries_are_the_records_without_their_repeats(store):
    repeat = Repeat(index=0, arm="pipeline", status="succeeded", started_at="", finished_at="")
    record = make_record(repeats=[repeat], labels={"team": "a"}, error="x", warnings=["w"])
    store.add(record)
    (summary,) = store.summaries("image", limit=1, variant="stock", profile="local")
    assert not hasattr(summary, "repeats")
    for name in set(type(summary).model_fields) - {"verification", "noise"}:
        assert getattr(summary, name) == getattr(record, name), name
    assert summary.noise is None
    assert "noise" not in summary.model_dump()
    assert summary.verification.passed == record.verification.passed
    assert summary.verification.unverified == record.verification.unverified


def test_a_summary_says_how_many_repeats_were_disturbed_if_its_record_does(store):
    noise = {"repeats": 4, "disturbed_repeats": [1, 3], "counted_repeats": 3}
    store.add(make_record("says", noise=RunNoise(**noise, counted_disturbed=2)))
    store.add(make_record("earlier", noise=RunNoise(**noise)))
    summaries = {summary.run_id: summary for summary in store.summaries("image")}
    assert summaries["says"].model_dump()["noise"] == {"counted_repeats": 3, "counted_disturbed": 2}
    assert summaries["earlier"].noise is None


def _damage(url: str, run_id: str, **changes: object) -> None:
    [(document,)] = _execute(url, "SELECT document FROM runs WHERE run_id = ?", run_id)
    damaged = json.dumps(json.loads(document) | changes) if changes else document[:100]
    _execute(url, "UPDATE runs SET document = ? WHERE run_id = ?", damaged, run_id)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, "its document cannot be read: "),
        ({"status": "fine"}, "its document cannot be read: status: "),
        ({"schema_version": 3}, "record schema 3 is newer than this beambench knows (2): upgrade"),
        (
            {"schema_version": 4, "repeats": {}, "metrics": 1},
            "record schema 4 is newer than this beambench knows (2): upgrade beambench",
        ),
    ],
)
def test_a_document_that_cannot_be_read(store, url, caplog, changes, problem):
    for number in range(3):
        store.add(make_record(f"run-{number}", started_at=f"2026-01-01T00:00:0{number}Z"))
    _damage(url, "run-1", **changes)
    with pytest.raises(StoreError) as caught:
        store.get("run-1")
    assert f"runs.db: run run-1: {problem}" in str(caught.value)
    assert "\n" not in str(caught.value)
    for read in (store.history, store.summaries):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert [r.run_id for r in read("image", limit=2)] == ["run-2", "run-0"]
        assert f"run run-1: {problem}" in caplog.text


@pytest.mark.parametrize("field", ["value", "ci_low", "ci_high"])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_metric_is_a_finite_number(field, number):
    with pytest.raises(ValidationError, match="finite number") as caught:
        MetricValue(**{**_metric(1.0).model_dump(), field: number})
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        # What the schema refuses, smuggled past it: JSON would turn it into null.
        ({"metrics": {"m": _unchecked(float("nan"))}}, "metrics.m.value"),
        ({"command": ["\udcff"]}, "surrogates"),
        ({"started_at": "yesterday"}, "'yesterday'"),
        ({"started_at": "0001-01-01T00:00:00+10:00"}, ""),
    ],
)
def test_a_record_that_could_not_be_read_back_is_refused(store, changes, problem):
    with pytest.raises(StoreError, match="run 20260101-aaaa: cannot be stored.*" + problem):
        store.add(make_record(**changes))
    assert store.benchmarks() == []


def test_check_writable_leaves_nothing_behind(store, url):
    store.check_writable()
    assert _execute(url, "SELECT count(*) FROM runs") == [(0,)]


def test_a_lock_that_is_never_released_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "BUSY_TIMEOUT_S", 0.1)
    url = sqlite_url(tmp_path / "runs.db")
    with RunStore.open(url) as store:
        holder = sqlite3.connect(tmp_path / "runs.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process held it"):
            store.add(make_record())
        assert store.history("image") == []  # readers do not wait for writers
        holder.close()
        store.add(make_record())


def test_a_run_that_was_cancelled_does_not_wait_long_for_another_process(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "CANCELLED_TIMEOUT_S", 0.1)
    monkeypatch.setattr(tables, "BUSY_STEP_S", 0.01)
    cancelled = Cancellation()
    with RunStore.open(sqlite_url(tmp_path / "runs.db")) as store:
        store.hurry_when(cancelled)
        holder = sqlite3.connect(
            tmp_path / "runs.db", isolation_level=None, check_same_thread=False
        )
        holder.execute("BEGIN IMMEDIATE")
        # It is cancelled while it waits.
        threading.Timer(0.1, cancelled.set).start()
        began = time.monotonic()
        with pytest.raises(StoreError, match="another process held it too long"):
            store.add(make_record())
        assert time.monotonic() - began < tables.BUSY_TIMEOUT_S / 2
        holder.close()
        store.add(make_record())  # and the next one is as patient as ever
        assert len(store.history("image")) == 1


def test_the_file_is_safe_against_crashes(store, url):
    assert _execute(url, "PRAGMA journal_mode") == [("wal",)]
    with store._writer.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_many_threads_create_one_store(tmp_path):
    def open_and_add(number: int) -> None:
        with RunStore.open(sqlite_url(tmp_path / "new" / "runs.db")) as store:
            store.add(make_record(f"run-{number}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_and_add, range(8)))
    with RunStore.open(sqlite_url(tmp_path / "new" / "runs.db")) as store:
        assert len(store.history("image")) == 8


def test_a_file_that_others_switch_to_wal_as_well_is_waited_for():
    answers = ["delete", sqlite3.OperationalError("database is locked"), "delete", "wal"]

    class Connection:
        def raw_connection(self):
            return self

        cursor = raw_connection

        def execute(self, _statement):
            if isinstance(answers[0], Exception):
                raise answers.pop(0)
            return self

        def fetchone(self):
            return [answers.pop(0)]

        def close(self):
            answers.append("closed")

    tables._switch_to_wal(Connection())
    assert answers == ["wal", "closed"]


def test_a_complete_store_is_opened_without_writing(store, url):
    _execute(url, "PRAGMA wal_checkpoint(TRUNCATE)")
    holder = sqlite3.connect(tables.sqlite_path(url), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")  # would block a write for 30 s
    with RunStore.open(url) as second:
        assert second.benchmarks() == []
    holder.close()


def test_history_needs_no_sorting(store):
    with store._reader.connect() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT document FROM runs WHERE benchmark = 'image' "
            "AND variant = 'stock' ORDER BY started_at DESC, run_id DESC"
        ).fetchall()
    assert [row.detail for row in plan] == ["SEARCH runs USING INDEX runs_by_time (benchmark=?)"]


def test_the_tables_are_not_special_to_sqlite():
    for table in tables.metadata.sorted_tables:
        ddl = str(sa.schema.CreateTable(table).compile(dialect=postgresql.dialect()))
        assert "CREATE TABLE" in ddl


def test_documents_come_whole_with_what_a_history_reads(store):
    whole = [
        make_record(f"run-{day}", started_at=f"2026-01-0{day}T10:00:00.000Z") for day in (1, 2)
    ]
    for record in reversed(whole):
        store.add(record)
    read = list(store.documents(whole[0].benchmark))
    assert [document for _, document in read] == [record.model_dump_json() for record in whole]
    assert [(run.environment, run.command, run.config) for run, _ in read] == [
        (record.environment, record.command, record.config) for record in whole
    ]
    assert store.run_ids(whole[0].benchmark) == [record.run_id for record in whole]
    assert store.run_ids("another") == []


def test_a_document_that_cannot_be_read_is_passed_over(store, url, caplog):
    store.add(make_record("run-1"))
    store.add(make_record("run-2"))
    _execute(url, "UPDATE runs SET document = '{}' WHERE run_id = ?", "run-1")
    read = list(store.documents(make_record().benchmark))
    assert [run.run_id for run, _ in read] == ["run-2"]
    assert "skipped" in caplog.text


def test_what_is_added_changes_the_version_of_the_store(store):
    versions = [store.version()]
    store.add(make_record("run-1"))
    versions.append(store.version())
    assert store.version() == versions[-1]
    store.comparisons.add(comparison(1))
    versions.append(store.version())
    store.comparisons.put(comparison(1).model_copy(update={"sentence": "another"}))
    versions.append(store.version())
    assert len(set(versions)) == len(versions)
