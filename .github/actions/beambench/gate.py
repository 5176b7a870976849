"""Check the newest run of each benchmark against its baseline, and renew baselines.

BENCHMARKS is their JSON list, STORE the URL of the store. The baseline of a benchmark is called
BASELINE-BENCHMARK. GATE is `report-only`, `fail` or `strict` (inconclusive fails too), MAX_SLOWDOWN
what is allowed. With RENEW=true, on the default branch, the newest 5 runs are the baseline from now
on. Writes gate.md, and `code=...` to GITHUB_OUTPUT.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

from beambench.cli.main import execute
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
parts, worst = [], 0
for name, baseline in benchmarks.items():
    if name not in kept:
        parts.append(f"- {cell(name)}: no baseline yet\n")
        continue
    out = io.StringIO()
    command = ["check", name, "--against", baseline, "--store", store, "--format", "markdown"]
    with contextlib.redirect_stdout(out):
        code = execute([*command, f"--max-slowdown={os.environ['MAX_SLOWDOWN']}", *MODES[mode]])
    parts.append(out.getvalue() or f"- {cell(name)}: not checked, see the log\n")
    worst = max(worst, code)
Path("gate.md").write_text("\n".join(parts), "utf-8")
print("\n".join(parts))
if os.environ["RENEW"] == "true":
    for name, baseline in benchmarks.items():  # with fewer than 3 runs it says so, and none is kept
        newest = ["--benchmark", name, "--last", str(RUNS)]
        execute(["baseline", "save", baseline, *newest, "--replace", "--store", store])
with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as output:
    output.write(f"code={worst}\n")
