"""The page "From your model to its first number", followed as a new user would follow it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "first-benchmark.md"
TEMPLATE = ROOT / "src" / "beambench" / "templates" / "pytorch"
RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
ANYTHING = "…"


@dataclass(frozen=True)
class Step:
    """A command of the page and the lines that it is said to print."""

    command: str
    claims: tuple[str, ...]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.M)


def steps() -> list[Step]:
    commands = []
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, *claims = part.splitlines()
            commands.append(Step(command, tuple(claims)))
    return commands


def words(text: str) -> str:
    """Return a text as its words on one line: how lines are folded is no claim."""
    return " ".join(text.split())


def claimed(claim: str, run_id: str | None) -> re.Pattern[str]:
    """Return the pattern of a claimed line; the page's run is the user's own."""
    known = RUN_ID.sub(run_id or "", words(claim))
    return re.compile(".*".join(re.escape(part.strip()) for part in known.split(ANYTHING)))


def test_the_page_has_the_steps_that_it_promises():
    commands = " ".join(step.command for step in steps())
    for part in ("new ", "run ", "--reference loop", "--set ", "history ", "show ", "pytest "):
        assert part in commands
    assert len(steps()) >= 8
    assert all(step.claims for step in steps())


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: words(block)[:40])
def test_the_code_on_the_page_is_that_of_the_template(block):
    module = (TEMPLATE / "my_benchmark.py").read_text("utf-8").replace("MyBenchmark", "MyModel")
    assert block in module


def test_a_claim_is_compared_word_by_word():
    assert claimed("run …: succeeded", None).search("x run 2026: succeeded y")
    assert not claimed("24 in, 24 out", None).search("24 in, 23 out")
    own, other = "20260131T100000Z-00000001", "20260131T100000Z-00000002"
    assert claimed("run 20261122T185837Z-ad090ce3: succeeded", own).search(f"run {own}: succeeded")
    assert not claimed("run 20261122T185837Z-ad090ce3: succeeded", own).search(f"run {other}: suc")


@pytest.mark.real
@pytest.mark.timeout(1500)
def test_the_page_leads_to_a_number(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    binaries = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": os.pathsep.join([binaries, os.environ["PATH"]])}
    run_id: str | None = None

    def follow(command: str) -> str:
        done = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    for step in steps():
        output = follow(RUN_ID.sub(run_id or "", step.command))
        ids = RUN_ID.findall(output)
        run_id = ids[0] if ids else run_id  # what a user would copy from the screen
        for claim in step.claims:
            assert claimed(claim, run_id).search(words(output)), f"{claim}\n{output}"

    history = json.loads(follow("beambench history my-model --json"))
    assert [run["status"] for run in history] == ["succeeded"] * 3
    record = json.loads(follow(f"beambench show {history[-1]['run_id']} --json"))
    assert record["benchmark"] == "my-model"
    assert record["metrics"]["throughput_elements"]["value"] > 0
    assert record["verification"]["passed"]
    small = json.loads(follow(f"beambench show {history[0]['run_id']} --json"))
    assert small["config"]["overrides"] == ["batching.max_batch_size=4"]
    assert small["labels"] == {"try": "small"}
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == [
        "my-model.yaml",
        "my_model.py",
        "my_model_model.py",
        "test_my_model.py",
    ]
