"""Check the new run of each benchmark against its baseline, and renew baselines.

BENCHMARKS is their JSON list, RUNS the ids of the new runs, STORE the URL of the store. The
baseline of a benchmark is called BASELINE-BENCHMARK. A run that cannot be compared with it (another
machine, definition or profile) is inconclusive. GATE is `report-only`, `fail` or `strict`
(inconclusive fails too), MAX_SLOWDOWN what is allowed. With RENEW=true, on the default branch, the
newest 5 runs are the baseline from now on. Writes gate.md, and `code=...` to GITHUB_OUTPUT.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

from beambench.cli.main import execute
from beambench.errors import EXIT_INCONCLUSIVE, EXIT_OK, EXIT_USAGE
from beambench.presentation.markdown import cell
from beambench.store.run_store import RunStore

RUNS = 5
MODES = {"report-only": ["--report-only"], "fail": [], "strict": ["--strict"]}

store, mode = os.environ["STORE"], os.environ["GATE"]
if mode not in MODES:
    sys.exit(f"::error::gate {mode!r}: write {', '.join(MODES)}")
benchmarks = {
    name: f"{os.environ['BASELINE']}-{name}" for name in json.loads(os.environ["BENCHMARKS"])
}
with RunStore.open(store) as runs:
    kept = {name for name, baseline in benchmarks.items() if runs.baselines.get(baseline)}
    new = {run.benchmark: run.run_id for run in map(runs.get, os.environ["RUNS"].split()) if run}
parts, worst = [], 0
for name, baseline in benchmarks.items():
    if name not in kept:
        parts.append(f"- {cell(name)}: no baseline yet\n")
        continue
    if name not in new:
        parts.append(f"- {cell(name)}: no new run to check\n")
        continue
    out, said = io.StringIO(), io.StringIO()
    command = ["check", name, "--against", baseline, "--store", store, "--format", "markdown"]
    command += ["--run", new[name], f"--max-slowdown={os.environ['MAX_SLOWDOWN']}", *MODES[mode]]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
        code = execute(command)
    if code == EXIT_USAGE:
        parts.append(f"- {cell(name)}: not compared: {cell(said.getvalue())}\n")
        code = EXIT_INCONCLUSIVE if mode == "strict" else EXIT_OK
    else:
        parts.append(out.getvalue())
    worst = max(worst, code)
Path("gate.md").write_text("\n".join(parts), "utf-8")
print("\n".join(parts))
if os.environ["RENEW"] == "true":
    for name, baseline in benchmarks.items():  # with fewer than 3 runs it says so, and none is kept
        newest = ["--benchmark", name, "--last", str(RUNS)]
        execute(["baseline", "save", baseline, *newest, "--replace", "--store", store])
with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as output:
    output.write(f"code={worst}\n")
