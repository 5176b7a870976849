import os
import resource
import socket
import sqlite3
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from beambench.credentials.masking import masked_url
from beambench.errors import StoreError
from beambench.store import RunStore, default_url, sqlite_url, tables


def _refused(url: str) -> str:
    """Return the message with which a store is refused."""
    with pytest.raises(StoreError) as caught:
        RunStore.open(url)
    message = str(caught.value)
    assert message.isprintable()  # so it is one line, too
    return message


def test_missing_folders_are_made(tmp_path):
    RunStore.open(f"sqlite:///{tmp_path}/a/b/runs.db").close()
    assert (tmp_path / "a" / "b" / "runs.db").is_file()


def test_a_relative_path_starts_at_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with RunStore.open("sqlite:///sub/runs.db") as store:
        monkeypatch.chdir("/")  # must not move the store
        store.check_writable()
    assert (tmp_path / "sub" / "runs.db").is_file()


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    RunStore.open("sqlite:///~/runs.db").close()
    assert (tmp_path / "runs.db").is_file()


@pytest.mark.parametrize(
    "name",
    ["a b.db", "100%.db", "%20.db", "%3F?.db", "what?x=1.db", "#1&2.db", "ü🙂.db", "a:b@c.db"],
)
def test_any_character_in_a_path(tmp_path, name):
    url = sqlite_url(tmp_path / name / name)
    RunStore.open(url).close()
    assert [p.name for p in (tmp_path / name).iterdir()] == [name]
    assert masked_url(url) == url


def test_percent_encoding_in_a_url(tmp_path):
    RunStore.open(f"sqlite:///{tmp_path}/a%20b.db").close()
    RunStore.open(f"sqlite:///{tmp_path}/100%.db").close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["100%.db", "a b.db"]


def test_the_default_is_a_file_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "50% ?"))
    RunStore.open(default_url()).close()
    assert (tmp_path / "50% ?" / "beambench" / "runs.db").is_file()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "not a store URL: write sqlite:///relative.db"),
        ("runs.db", "runs.db: not a store URL: write sqlite:///relative.db"),
        ("sqlite://", "sqlite://: not a SQLite file: write sqlite:///relative.db"),
        ("sqlite:///", "not a SQLite file"),
        ("sqlite://runs.db", "not a SQLite file"),
        ("sqlite+aiosqlite:///runs.db", "not a SQLite file"),
        ("sqlite:///:memory:", "runs in memory would be lost"),
        ("sqlite:////tmp/runs.db?mode=ro", "a SQLite store takes no options: write %3F"),
        ("sqlite:////tmp/%00.db", "null character"),
        ("oracle://host/db", "unknown kind of store 'oracle': write sqlite"),
        ("nonsense://host/db", "unknown kind of store 'nonsense': write sqlite"),
        ("postgresql+nonsense://host/db", "postgresql.nonsense"),
        ("sqlite:////tmp/a\nb\x1b[31m.db?x", r"sqlite:////tmp/a\nb\x1b[31m.db?x: "),
    ],
)
def test_a_url_that_cannot_be_used(url, problem):
    assert problem in _refused(url)


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    message = _refused("postgresql+psycopg2://me:secret@host/db")
    assert message.startswith("postgresql+psycopg2://me:***@host/db: ")
    assert "psycopg2" in message
    assert message.endswith("pip install 'beambench[postgresql]'")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("nonsense://me:secret@host:1/db", "nonsense://me:***@host:1/db"),
        ("postgresql://me:sec@ret/1:2@host/db", "postgresql://me:***@host/db"),
        ("postgresql://m@e:secret@host/db", "postgresql://m@e:***@host/db"),
        ("postgresql://:secret@host/db", "postgresql://:***@host/db"),
        ("postgresql://me:sec\nret@host:x/db", "postgresql://me:***@host:x/db"),
        ("me:secret@host/db", "me:***@host/db"),
        ("postgresql://h/db?password=secret&x=1", "postgresql://h/db?password=***&x=1"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("sqlite:////folder/me:x@y.db", "sqlite:////folder/me:x@y.db"),
    ],
)
def test_a_password_is_masked(url, shown):
    assert masked_url(url) == shown


@pytest.mark.parametrize(
    "url", ["nonsense://me:s3cret@host/db", "postgresql://me:s3cret@host:port/db", "me:s3cret@host"]
)
def test_a_password_is_masked_in_errors(url):
    assert "s3cret" not in _refused(url)


def test_a_password_is_masked_in_what_the_driver_says():
    url = "postgresql://me:p%40ss@host/db"
    with pytest.raises(StoreError) as caught, tables.store_errors(url):
        raise sa.exc.DBAPIError("SELECT", {}, RuntimeError("no login\n with 'p@ss' or 'p%40ss'"))
    assert str(caught.value) == "postgresql://me:***@host/db: no login with '***' or '***'"


def test_a_folder_is_no_store(tmp_path):
    assert "is a folder: name a file" in _refused(f"sqlite:///{tmp_path}")


def test_a_path_under_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    assert f"{tmp_path}/file" in _refused(f"sqlite:///{tmp_path}/file/runs.db")
    assert "is a file, not a folder: name another store" in _refused(
        f"sqlite:///{tmp_path}/file/folder/runs.db"
    )


def test_a_folder_that_takes_no_files():
    # Also for root, who may write into any read-only folder of a real file system.
    assert "cannot be opened: check the path" in _refused("sqlite:////proc/runs.db")
    assert "/proc/folder" in _refused("sqlite:////proc/folder/runs.db")


def test_a_device_or_a_pipe_is_no_store(tmp_path):
    assert "is not a regular file" in _refused("sqlite:////dev/null")
    os.mkfifo(tmp_path / "pipe")  # opening it would block
    assert "is not a regular file" in _refused(f"sqlite:///{tmp_path}/pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        assert "is not a regular file" in _refused(f"sqlite:///{tmp_path}/socket")


def test_a_name_that_is_too_long(tmp_path):
    assert "File name too long" in _refused(f"sqlite:///{tmp_path}/{'x' * 300}/runs.db")


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "runs.db").write_bytes(b"garbage " * 1000)
    url = sqlite_url(tmp_path / "runs.db")
    assert _refused(url) == f"{url}: is not a SQLite database: name another store with --store"
    assert (tmp_path / "runs.db").read_bytes() == b"garbage " * 1000


def test_a_damaged_database(tmp_path):
    url = sqlite_url(tmp_path / "runs.db")
    RunStore.open(url).close()
    content = (tmp_path / "runs.db").read_bytes()
    (tmp_path / "runs.db").write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    assert "is damaged: restore it" in _refused(url)


def test_a_newer_schema_is_refused(tmp_path):
    url = sqlite_url(tmp_path / "runs.db")
    RunStore.open(url).close()
    with sqlite3.connect(tmp_path / "runs.db") as connection:
        connection.execute("UPDATE beambench_schema SET version = 7")
    assert _refused(url) == (
        f"{url}: schema 7 is newer than this beambench knows (4): "
        "upgrade beambench or name another store with --store"
    )


def test_a_store_without_a_version_is_refused(tmp_path):
    url = sqlite_url(tmp_path / "runs.db")
    RunStore.open(url).close()
    with sqlite3.connect(tmp_path / "runs.db") as connection:
        connection.execute("DELETE FROM beambench_schema")
    assert "holds no schema version" in _refused(url)


def test_a_database_of_another_program_is_not_touched(tmp_path):
    with sqlite3.connect(tmp_path / "mlruns.db") as connection:
        connection.execute("CREATE TABLE runs (run_uuid TEXT)")
    before = (tmp_path / "mlruns.db").read_bytes()
    assert "'runs' that is not beambench's" in _refused(sqlite_url(tmp_path / "mlruns.db"))
    assert (tmp_path / "mlruns.db").read_bytes() == before


def _probed(url: str, size: int) -> list[str]:
    """Open a store and probe it with a limit on the size of files; return what happened.

    The limit stands in for a full disk: it also holds for root.
    """
    happened = []
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        with RunStore.open(url) as store:
            happened.append("opened")
            store.check_writable()
    except StoreError as error:
        happened += str(error).splitlines()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    return happened


@pytest.mark.parametrize(("limit", "opened"), [(0, False), (1000, False), (2**20, True)])
def test_a_full_disk_is_seen_before_the_run(tmp_path, capfd, limit, opened):
    url = sqlite_url(tmp_path / "runs.db")
    if opened:
        RunStore.open(url).close()
    lines = _probed(url, limit)
    assert lines[:-1] == (["opened"] if opened else [])
    assert "(disk I/O error): check the disk and its quota" in lines[-1]
    assert capfd.readouterr() == ("", "")
    with RunStore.open(url) as store:  # nothing is broken by it
        store.check_writable()
    assert _integrity(tmp_path / "runs.db") == "ok"


def _integrity(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        return connection.execute("PRAGMA integrity_check").fetchone()[0]
