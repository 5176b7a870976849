"""Which cores work is kept to, and how they are shared out."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from beambench.machine.cores import equal_parts, kept_to, usable_cores

CORES_OF_A_CHILD = "import os; print(sorted(os.sched_getaffinity(0)))"

linux = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="a process can be kept to cores on Linux only"
)


def machine(folder: Path, *siblings: str) -> Path:
    """Make a /sys of cores with these siblings, as the kernel lists them."""
    for core, text in enumerate(siblings):
        path = folder / f"devices/system/cpu/cpu{core}/topology/thread_siblings_list"
        path.parent.mkdir(parents=True)
        path.write_text(f"{text}\n")
    return folder


def test_parts_are_equal_and_leave_out_what_is_left_over(tmp_path):
    assert equal_parts(frozenset(range(4)), 2, tmp_path) == [{0, 1}, {2, 3}]
    assert equal_parts(frozenset({2, 5, 7}), 2, tmp_path) == [{2}, {5}]
    assert equal_parts(frozenset({3}), 2, tmp_path) == []


def test_hyperthreads_of_a_core_are_in_one_part_if_there_are_enough(tmp_path):
    far = machine(tmp_path / "far", "0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7")
    assert equal_parts(frozenset(range(8)), 2, far) == [{0, 4, 1, 5}, {2, 6, 3, 7}]
    three = machine(tmp_path / "three", "0,3", "1,4", "2,5", "0,3", "1,4", "2,5")
    assert equal_parts(frozenset(range(6)), 2, three) == [{0, 3}, {1, 4}]
    uneven = machine(tmp_path / "uneven", "0-1", "0-1", "2-3", "2-3", "4-5", "4-5")
    assert equal_parts(frozenset({0, 2, 3, 4, 5}), 2, uneven) == [{2, 3}, {4, 5}]
    single = machine(tmp_path / "single", "0-1", "0-1")
    assert equal_parts(frozenset(range(2)), 2, single) == [{0}, {1}]


@linux
def test_a_thread_and_its_children_are_kept_to_cores_and_others_are_not():
    before = usable_cores()
    assert before
    core = frozenset({min(before)})
    seen: dict[str, object] = {}

    def work() -> None:
        with kept_to(core):
            seen["thread"] = usable_cores()
            child = subprocess.run([sys.executable, "-c", CORES_OF_A_CHILD], capture_output=True)
            seen["child"] = child.stdout.decode().strip()
        seen["after"] = usable_cores()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == {"thread": core, "child": str(sorted(core)), "after": before}
    assert usable_cores() == before


@linux
def test_all_cores_come_back_after_an_error():
    before = usable_cores()
    assert before
    with pytest.raises(ZeroDivisionError), kept_to(frozenset({min(before)})):
        raise ZeroDivisionError
    assert usable_cores() == before


def test_no_cores_are_all_of_them(monkeypatch):
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    with kept_to(None):
        pass
