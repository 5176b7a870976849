"""Bring records into the store, and see that each benchmark has a new run that did its work.

BENCHMARKS is their JSON list, RECORDS the folder of their records, STORE the URL of the store.
Writes `runs=...`, ids separated by spaces, to GITHUB_OUTPUT.
"""

import json
import os
import sys
from pathlib import Path

from beambench.cli.main import execute
from beambench.printable import printable
from beambench.store.run_store import RunStore

store = os.environ["STORE"]
files = sorted(Path(os.environ["RECORDS"]).glob("**/*.json"))
records = [record for path in files for record in json.loads(path.read_text("utf-8"))]
with RunStore.open(store) as runs:
    before = {record["run_id"] for record in records if runs.get(record["run_id"]) is not None}
if files and execute(["import", "--store", store, *map(str, files)]):
    sys.exit(1)

problems, arrived = [], []
with RunStore.open(store) as runs:
    for benchmark in json.loads(os.environ["BENCHMARKS"]):
        its = [record["run_id"] for record in records if record["benchmark"] == benchmark]
        stored = [run for run_id in its if run_id not in before and (run := runs.get(run_id))]
        arrived += [run.run_id for run in stored]
        if not stored:
            problems.append(f"{benchmark}: no new run arrived")
        problems += [
            f"{benchmark}: run {run.run_id} {run.status.replace('_', ' ')}"
            for run in stored
            if run.status != "succeeded"
        ]
with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as output:
    output.write(f"runs={' '.join(arrived)}\n")
for problem in problems:
    print(f"::error::{printable(problem)}")
sys.exit(1 if problems else 0)
