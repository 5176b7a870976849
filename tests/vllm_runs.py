"""Real runs of the text-generation benchmark, in the environment that `make setup-vllm` builds."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from beambench.store import sqlite_url
from fast_runs import CommandLine, command_line

NAME = "vllm-gemma-2b-batch"
INTERPRETER = Path(__file__).parents[1] / ".venv-vllm" / "bin" / "python"

needs_vllm = pytest.mark.skipif(
    not INTERPRETER.exists(), reason="the environment of vLLM is missing: make setup-vllm"
)


def run(folder: Path, *options: str) -> AbstractContextManager[CommandLine]:
    """Start the benchmark with the tiny model."""
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    return command_line(
        folder / "here",
        *("run", NAME, "--profile", "smoke", "--set", f"interpreter={INTERPRETER}"),
        *("--store", sqlite_url(folder / "runs.db"), *options),
        TMPDIR=str(temporary),
    )
