from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from fake_workers import Workers

from beambench.experiments import run as run_module


@pytest.fixture
def workers(monkeypatch) -> Workers:
    """Replace the processes of a run; nothing real is started."""
    workers = Workers()
    monkeypatch.setattr(run_module, "run_task", workers)
    monkeypatch.setattr(run_module, "fingerprint", lambda folder: {"found_in": str(folder)})
    return workers


@pytest.fixture
def scratch(monkeypatch, tmp_path) -> Path:
    """Keep temporary files in a folder of the test's own."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder
