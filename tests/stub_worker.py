"""A worker that takes milliseconds: the interpreter of a definition, without Beam and torch.

It answers as `python -m beambench.worker` does, with the results of `fake_workers`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from beambench.version import __version__
from fake_workers import COUNT, DEFAULTS

NAME = "stubbed"
DEFINITION = f"""
name: {NAME}
title: Numbers that nobody computes
workload: overhead
interpreter: stub
model: {{name: noop, weights: none}}
input: {{type: numbers, source: synthetic}}
profiles:
  smoke: {{limit: {COUNT}, repeats: 2, timeout: 60, slot_seconds: 1}}
"""
STUB = """#!{python} -IS
import os, shutil, sys
if sys.argv[1] == "-c":
    print({versions!r})
else:
    with open(sys.argv[3]) as plan:
        task = plan.read().partition('"task":"')[2].partition('"')[0]
    shutil.copy(os.path.join({folder!r}, task + ".json"), sys.argv[4] + ".new")
    os.replace(sys.argv[4] + ".new", sys.argv[4])
"""


def lay_out(folder: Path) -> Path:
    """Write definition, interpreter and results into a folder; return the definition."""
    folder.mkdir()
    for task, result in DEFAULTS.items():
        observation = result().observation
        assert observation is not None
        (folder / f"{task}.json").write_text(observation.model_dump_json())
    versions = json.dumps([[3, 11], __version__, "2.77.0"])
    stub = folder / "stub"
    stub.write_text(STUB.format(python=sys.executable, versions=versions, folder=str(folder)))
    stub.chmod(0o755)
    definition = folder / f"{NAME}.yaml"
    definition.write_text(DEFINITION)
    return definition
