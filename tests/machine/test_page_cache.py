"""What of a file is in memory."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

from beambench.machine import page_cache
from beambench.machine.page_cache import cached_share


def test_what_was_just_written_is_in_memory(tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(b"x" * (3 * mmap.PAGESIZE + 1))
    assert cached_share([file, file]) == 1.0


def test_the_share_is_over_the_pages_of_all_files(tmp_path, monkeypatch):
    pages = {"a": [True] * 3, "b": [False] * 9}
    monkeypatch.setattr(page_cache, "_pages", lambda file: pages[file.name])
    for name in pages:
        (tmp_path / name).touch()
    assert cached_share([tmp_path / "a", tmp_path / "b"]) == 0.25


@pytest.mark.parametrize("files", [[], ["absent"], ["empty"]], ids=str)
def test_without_pages_it_is_unknown(tmp_path, files):
    (tmp_path / "empty").touch()
    assert cached_share([tmp_path / name for name in files]) is None


def test_of_a_file_that_others_own_it_is_unknown(tmp_path, monkeypatch):
    file = tmp_path / "weights"
    file.write_bytes(b"x")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert cached_share([Path(file)]) is None
