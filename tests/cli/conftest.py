"""The command line in this process, in a folder of its own, and records for its store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_answer import Answer

from beambench.cli.main import execute
from beambench.record.run_record import RunRecord
from beambench.store.run_store import RunStore

Command = Callable[..., Answer]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    path = tmp_path / "here"
    path.mkdir()
    monkeypatch.chdir(path)
    monkeypatch.delenv("COLUMNS", raising=False)
    return path


@pytest.fixture
def beambench(folder: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run one command line in this process, in the folder."""

    def run(*arguments: str) -> Answer:
        capsys.readouterr()
        code = execute([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return run


MINE = """
name: mine
title: Mine
workload: overhead
model: {name: noop, weights: none}
input: {type: numbers, source: synthetic}
profiles:
  local: {limit: 5, repeats: 1, timeout: 60, slot_seconds: 1}
"""


@pytest.fixture
def mine() -> str:
    """The text of a sound definition."""
    return MINE


@pytest.fixture(scope="session")
def make_record() -> Callable[..., RunRecord]:
    """Return a function that makes a run record."""

    def make(number: int = 1, **changed: Any) -> RunRecord:
        parts: dict[str, Any] = {
            "run_id": f"20260131T10{number:02d}00Z-{number:08x}",
            "benchmark": "overhead-noop",
            "variant": "stock",
            "profile": "smoke",
            "definition_hash": "ab" * 32,
            "beambench_version": "0.1.0",
            "runner": {"requested": "direct", "executed": "direct"},
            "status": "succeeded",
            "started_at": f"2026-01-31T10:{number:02d}:00.000Z",
            "finished_at": f"2026-01-31T10:{number:02d}:09.000Z",
            "input": {"kind": "synthetic", "count": 50, "digest": "cd" * 32, "bytes": 51200},
            "model": {"name": "noop", "weights": "none"},
            "config": {},
            "repeats": [],
            "metrics": {
                "throughput_elements": {
                    "value": 3168.25,
                    "unit": "1/s",
                    "direction": "higher",
                    "n": 1,
                }
            },
            "verification": {
                "elements_in": 50,
                "elements_out": 50,
                "elements_failed": 0,
                "duplicates": 0,
                "digest": "0123456789abcdef" * 2,
                "reference_agreement": 1.0,
                "reference": {"compared": 32, "method": "labels"},
                "passed": True,
            },
            "noise": {},
            "environment": {},
            "command": ["beambench", "run", "overhead-noop"],
        }
        return RunRecord.model_validate({**parts, **changed})

    return make


NOISE = (0.6, -1.2, 0.3, 1.4, -0.5, -0.9, 1.1, -0.2, 0.8, -1.4, 0.1, -0.6, 1.3, -0.8, 0.4, -0.1)


@pytest.fixture
def store(folder: Path, make_record: Callable[..., RunRecord]) -> str:
    """A store whose benchmark became slower at its 31st run."""
    url = f"sqlite:///{folder}/runs.db"
    with RunStore.open(url) as runs:
        for number in range(40):
            rate = (100 if number < 30 else 80) * (1 + NOISE[number % len(NOISE)] / 100)
            record = make_record(number)
            value = record.metrics["throughput_elements"].model_copy(update={"value": rate})
            runs.add(
                record.model_copy(
                    update={
                        "metrics": {"throughput_elements": value},
                        "verification": record.verification.model_copy(update={"passed": True}),
                    }
                )
            )
    return url
