"""CPU time of real process trees, with children that use an amount that is known."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from beambench.machine.tree_cpu import WORKER_PID, TreeCpu

TICKS = 0.03
"""Seconds: the kernel counts in ticks of 10 ms, user and system time apart."""

BURN = """
import sys, time
print(time.process_time(), flush=True)
sys.stdin.readline()
begin = time.process_time()
while time.process_time() - begin < 0.2: pass
print(time.process_time(), flush=True)
sys.stdin.readline()
"""
READ = """
import sys
from beambench.machine.tree_cpu import TreeCpu
print(TreeCpu().read_us(), flush=True)
"""


@contextmanager
def child(code: str = BURN) -> Iterator[subprocess.Popen[str]]:
    """Start a child that burns when it is sent a line, and ends when it is sent another."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True
    ) as program:
        yield program


def said(program: subprocess.Popen[str]) -> float:
    assert program.stdout is not None
    return float(program.stdout.readline())


def tell(program: subprocess.Popen[str]) -> None:
    assert program.stdin is not None
    program.stdin.write("\n")
    program.stdin.flush()


def read(tree: TreeCpu) -> float:
    used_us = tree.read_us()
    assert used_us is not None
    return used_us / 1e6


def test_a_server_is_counted_while_it_runs_and_once_it_has_ended():
    with child() as server:
        before = said(server)
        tree = TreeCpu(os.getpid())
        begin, own = read(tree), os.times()
        tell(server)
        burnt = said(server) - before
        used = read(tree) - begin
        mine = sum(os.times()[:2]) - sum(own[:2])
        assert burnt >= 0.2
        assert used == pytest.approx(burnt + mine, abs=TICKS)
    assert read(TreeCpu(os.getpid())) - begin >= burnt - TICKS  # it is in its parent's time now


def test_any_process_of_the_tree_reads_the_whole_tree(monkeypatch):
    # So the difference of readings by two workers has each process once, the shared model's too.
    monkeypatch.setenv(WORKER_PID, str(os.getpid()))
    with child() as server:
        said(server)
        tell(server)
        said(server)
        here = read(TreeCpu())
        with child(READ) as sibling:
            there = said(sibling) / 1e6
        assert there >= here - TICKS
        assert there <= read(TreeCpu()) + TICKS


@pytest.mark.parametrize("root", ["another", "none", "gone"])
def test_a_tree_that_this_process_is_not_in_is_unknown(root, monkeypatch):
    monkeypatch.delenv(WORKER_PID, raising=False)
    with child() as other:
        pids = {"another": other.pid, "gone": 2**22 + 1}  # above the greatest pid of Linux
        if root in pids:
            monkeypatch.setenv(WORKER_PID, str(pids[root]))
        assert TreeCpu().read_us() is None


def test_readings_cost_a_bounded_share_of_the_time(monkeypatch):
    tree = TreeCpu(os.getpid())
    assert tree.is_due
    tree.read_us()
    assert not tree.is_due
