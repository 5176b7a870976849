"""Comparisons in a store: kept for good, found by the beginning of their id."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from comparison_documents import comparison

from beambench.errors import EXIT_USAGE, StoreError
from beambench.store import RunStore, sqlite_url, tables


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.fixture
def comparisons(path):
    with RunStore.open(sqlite_url(path)) as store:
        yield store.comparisons


def test_a_comparison_comes_back_as_it_was(comparisons):
    comparisons.add(comparison(1))
    assert comparisons.get(comparison(1).comparison_id) == comparison(1)
    assert comparisons.get("compare-2026") == comparison(1)
    assert comparisons.get("compare-2027") is None


def test_a_comparison_never_changes(comparisons):
    comparisons.add(comparison(1))
    with pytest.raises(StoreError, match="is stored already, and a comparison never changes"):
        comparisons.add(comparison(1, verdict="same"))


def test_an_ambiguous_beginning_names_the_newest(comparisons):
    for number in range(1, 4):
        comparisons.add(comparison(number))
    with pytest.raises(StoreError, match="3 comparisons begin so: compare-20260131T1003") as caught:
        comparisons.get("compare-2026")
    assert caught.value.exit_code == EXIT_USAGE


def test_the_newest_of_a_benchmark(comparisons):
    for number in (2, 3, 1):
        comparisons.add(comparison(number))
    comparisons.add(comparison(4, benchmark="other"))
    assert comparisons.newest("overhead-noop", 2) == [comparison(3), comparison(2)]


def test_a_document_of_a_later_version(comparisons, path, caplog):
    comparisons.add(comparison(1))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE comparisons SET document = '{\"schema_version\": 2}'")
    with pytest.raises(StoreError, match="upgrade beambench if it is newer"):
        comparisons.get("compare-2026")
    assert comparisons.newest("overhead-noop", 10) == []
    assert "skipped" in caplog.text


def test_a_store_of_version_2_is_migrated(path):
    engine = tables.create_engine(sqlite_url(path))
    with engine.execution_options(**tables.WRITES).begin() as connection:
        tables.metadata.create_all(connection, [tables.schema, tables.runs, tables.deliveries])
        connection.execute(tables.schema.insert().values(id=1, version=2))
    engine.dispose()
    with RunStore.open(sqlite_url(path)) as store:
        store.comparisons.add(comparison(1))
    engine = tables.create_engine(sqlite_url(path))
    with engine.connect() as connection:
        assert connection.scalar(sa.select(tables.schema.c.version)) == tables.SCHEMA_VERSION
    engine.dispose()
