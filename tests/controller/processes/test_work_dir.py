"""Scratch folders: gone after their run, and swept if the run was killed."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from beambench.controller.processes import work_dir as module
from beambench.controller.processes.work_dir import LOCK, PREFIX, UNLOCKED_SECONDS, sweep, work_dir
from beambench.errors import RunError

OWNER = """
import sys
from beambench.controller.processes.work_dir import work_dir

with work_dir() as folder:
    (folder / "predictions.jsonl").write_text("x")
    print(folder, flush=True)
    sys.stdin.readline()
"""


def abandoned(scratch: Path, name: str = "old", *, locked: bool = True, age: float = 0) -> Path:
    """Make a folder as a killed run leaves it."""
    folder = scratch / f"{PREFIX}{name}"
    folder.mkdir()
    (folder / "predictions.jsonl").write_text("x")
    if locked:
        (folder / LOCK).touch()
    then = folder.stat().st_mtime - age
    os.utime(folder, (then, then))
    return folder


def test_the_folder_is_there_for_the_run_and_for_us_only(scratch):
    with work_dir() as folder:
        assert folder.parent == scratch
        assert folder.name.startswith(PREFIX)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "file").touch()
    assert list(scratch.iterdir()) == []


def test_the_folder_is_removed_after_an_error(scratch):
    with pytest.raises(ZeroDivisionError), work_dir():
        _ = 1 / 0
    assert list(scratch.iterdir()) == []


def test_no_descriptor_is_left_open(scratch):
    abandoned(scratch)
    with work_dir():
        pass
    links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    assert not [link for link in links if str(scratch) in str(link.readlink())]


def test_folders_of_killed_runs_are_swept_and_those_of_others_are_not(scratch):
    dead = abandoned(scratch)
    (scratch / "other").mkdir()
    (scratch / f"{PREFIX}file").touch()
    with work_dir() as first, work_dir() as second:
        assert not dead.exists()
        assert first.is_dir()
        assert second.is_dir()
    assert sorted(path.name for path in scratch.iterdir()) == [f"{PREFIX}file", "other"]


@pytest.mark.parametrize(
    ("age", "stays"), [(0, True), (UNLOCKED_SECONDS / 2, True), (UNLOCKED_SECONDS * 2, False)]
)
def test_a_folder_without_a_lock_gets_the_time_to_lock_it(scratch, age, stays):
    folder = abandoned(scratch, locked=False, age=age)
    sweep(scratch)
    assert folder.exists() is stays


def test_a_link_is_not_followed(scratch, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    (tmp_path / "mine" / LOCK).touch()
    (scratch / f"{PREFIX}link").symlink_to(tmp_path / "mine")
    sweep(scratch)
    assert (tmp_path / "mine" / "file").exists()


def test_a_folder_of_another_user_stays(scratch, monkeypatch):
    folder = abandoned(scratch)
    monkeypatch.setattr(module.os, "getuid", lambda: os.geteuid() + 1)
    sweep(scratch)
    assert folder.exists()


def test_no_room_is_one_line_and_leaves_nothing(scratch, monkeypatch):
    def full(path: Path) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_lock", full)
    with pytest.raises(RunError, match=r"\(No space left on device\): make room, or set TMPDIR"):
        work_dir().__enter__()
    assert list(scratch.iterdir()) == []


def test_the_next_run_sweeps_what_a_killed_process_left(scratch):
    pipe = subprocess.PIPE
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdin=pipe, stdout=pipe, text=True)
    with owner:
        folder = Path(owner.stdout.readline().strip())
        sweep(scratch)
        assert (folder / "predictions.jsonl").exists()
        owner.send_signal(signal.SIGKILL)
        owner.wait(10)
        assert folder.exists()
        sweep(scratch)
    assert list(scratch.iterdir()) == []
