"""Worker and controller killed while a model server starts, loads and generates: nothing stays.

A tenth of it runs by default; BEAMBENCH_TEST_TORTURE=full runs all. BEAMBENCH_TEST_SEED changes the
moments.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterable

import psutil
import pytest

from fast_runs import CommandLine, wait_until
from vllm_runs import needs_vllm, run

FULL = os.environ.get("BEAMBENCH_TEST_TORTURE") == "full"
SEED = int(os.environ.get("BEAMBENCH_TEST_SEED", "20260101"))
KILLS = 20 if FULL else 3

pytestmark = [
    pytest.mark.real,
    pytest.mark.torture,
    pytest.mark.timeout(7200 if FULL else 900),
    needs_vllm,
]

SECONDS_TO_VANISH = 5.0
SECONDS_TO_BEGIN = 400.0
LONGEST_DELAY = 2.0
PHASES = ("start-up", "load", "generation")
VICTIMS = (("worker", "controller"), ("controller",), ("worker",))


def alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Return those that still run; who inherits a zombie may take its time."""
    running = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                running.append(process)
        except psutil.NoSuchProcess:
            continue
    return running


def tree(cli: CommandLine) -> dict[psutil.Process, str]:
    """Return all descendants of the controller with their command lines.

    A server's processes overwrite their environment with a title, so no mark in it finds them.
    """
    descendants = {}
    try:
        for process in psutil.Process(cli.process.pid).children(recursive=True):
            try:
                descendants[process] = " ".join(process.cmdline())
            except psutil.Error:
                continue
    except psutil.NoSuchProcess:
        pass
    return descendants


def has_begun(phase: str, cli: CommandLine) -> bool:
    assert not cli.has_ended, cli.errors
    if phase == "generation":
        return "reference sample: " in cli.errors
    title = {"start-up": "vllm.entrypoints.openai.api_server", "load": "VLLM::"}[phase]
    return any(title in words for words in tree(cli).values())


def kill(name: str, cli: CommandLine, members: dict[psutil.Process, str]) -> None:
    workers = [member.pid for member, words in members.items() if "-m beambench.worker" in words]
    assert len(workers) == 1, members
    os.kill(cli.process.pid if name == "controller" else workers[0], signal.SIGKILL)


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_run_leaves_no_server(number, tmp_path):
    dice = random.Random(SEED * 1000 + number)
    phase = PHASES[number % len(PHASES)]
    victims = VICTIMS[number // len(PHASES) % len(VICTIMS)] if FULL else VICTIMS[number]
    with run(tmp_path) as cli:
        wait_until(lambda: has_begun(phase, cli), SECONDS_TO_BEGIN)
        try:
            cli.process.wait(dice.uniform(0, LONGEST_DELAY))
        except subprocess.TimeoutExpired:
            pass
        members = tree(cli)
        # The worker's own command line names the interpreter in .venv-vllm: that is no server.
        assert any("api_server" in words or "VLLM::" in words for words in members.values()), (
            members
        )
        try:
            for name in victims:
                kill(name, cli, members)
            began = time.monotonic()
            wait_until(lambda: not alive(members), SECONDS_TO_VANISH)
            seconds = time.monotonic() - began
        finally:
            for process in alive(members):
                process.kill()
        code = cli.end()
        print(f"{phase}: killed {' and '.join(victims)}: {len(members)} gone in {seconds:.1f} s")  # noqa: T201
        assert cli.processes() == {}
        if "controller" not in victims:
            assert code == 3
            assert "the worker was killed by SIGKILL" in cli.errors
