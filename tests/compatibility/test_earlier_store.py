"""A store that an earlier version wrote opens, prints, exports, is priced and published the same.

`stored.sql` is that store. What is expected lies beside it; a change that is meant to change it
writes it anew: BEAMBENCH_TEST_WRITE_OUTPUTS=1. The store itself is never written anew.
"""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from beambench.cli.main import execute
from beambench.cost.prices.sheet import Sheet
from beambench.definition.library import Library
from beambench.publishers import outbox
from beambench.store.run_store import RunStore

HERE = Path(__file__).parent / "0.1.0"
WRITE = "BEAMBENCH_TEST_WRITE_OUTPUTS"
NUMBERS = "published-tests"
RESNET = "pytorch-image-classification-resnet101"
COMMANDS = {
    "history-numbers.txt": ("history", NUMBERS),
    "history-resnet.txt": ("history", RESNET),
    "history.json": ("history", NUMBERS, "--json"),
    "show-local.txt": ("show", "20260131T100300Z-00000003"),
    "show-dataflow.txt": ("show", "20260131T100400Z-00000004"),
    "show-failed.txt": ("show", "20260131T100002Z-00000002"),
    "export.csv": ("export", "--since", "2026-01-01", "--format", "csv"),
    "export.md": ("export", "--since", "2026-01-01", "--format", "markdown"),
    "export.json": ("export", "--since", "2026-01-01"),
    "cost-local.txt": ("cost", "20260131T100300Z-00000003"),
    "cost-dataflow.txt": ("cost", "20260131T100400Z-00000004"),
    "status.txt": ("publish", "--status"),
}


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A copy of the store, in an empty current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(Sheet, "age_days", lambda sheet, today: 60)
    connection = sqlite3.connect("runs.db")
    connection.executescript((HERE / "stored.sql").read_text("utf-8"))
    connection.close()
    return "sqlite:///runs.db"


def check(name: str, content: str) -> None:
    path = HERE / name
    if os.environ.get(WRITE):
        path.write_text(content, "utf-8")
    assert content == path.read_text("utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_print_the_same(name, url, capsys):
    code = execute([*COMMANDS[name], "--store", url])
    printed = capsys.readouterr()
    assert (code, printed.err) == (0, "")
    check(name, printed.out)


@pytest.mark.parametrize("publisher", ["influxdb", "bigquery"])
def test_rows_are_published_the_same(publisher, url):
    with RunStore.open(url) as store:
        records = store.since("2026-01-01")
        rows: list[Any] = [
            [row.row_id, row.target, row.position, row.content]
            for record in records
            for row in outbox.rows_of(record, publisher)
        ]
    assert len(rows) == 20
    check(f"{publisher}.json", json.dumps(rows, indent=1, sort_keys=True) + "\n")


def test_rows_that_waited_are_still_to_be_sent(url):
    with RunStore.open(url) as store:
        ((row_id,),) = store.deliveries.queued("influxdb", 10, due=True, runs=None)
        (row,) = store.deliveries.load([row_id])
    assert (row.publisher, row.state, row.attempts) == ("influxdb", "queued", 0)


def test_hashes_of_the_catalog_are_the_same():
    library = Library()
    hashes = {
        f"{name} {variant}": library.resolve(name, variant=variant).definition_hash
        for name in sorted(library.names())
        for variant in sorted(library.raw(name)[1])
    }
    assert len(hashes) > 50
    check("hashes.json", json.dumps(hashes, indent=1) + "\n")
