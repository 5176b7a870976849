"""How often `beambench compare` is right: the same against itself, and a planted slowdown.

    .venv/bin/python benchmarks/live_comparisons.py FOLDER [--same 10] [--planted 10]
        [--schedule interleaved] [--schedule duet]

Each comparison is a command line of its own on `planted-slowdown.yaml`, whose repeats take a few
seconds: `--control` for the same, and busy work in proportion to the time of every batch
(`--slowdown 0.05`) for the planted ones, one of each in turns, and in each
schedule that is named. What is done is kept in FOLDER; with the same FOLDER the rest is done, and a
comparison that was interrupted is resumed. Printed are the
verdicts on throughput with the minimum detectable effects, n and disturbed repeats. On a machine
that is never quiet, `--accept-disturbed` goes to every comparison.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

from beambench.analysis.intervals import median

DEFINITION = Path(__file__).with_name("planted-slowdown.yaml")
METRIC = "throughput_elements"
DETECTABLE = 0.04
"""Minimum detectable effect up to which a planted slowdown of 5 % has to be found."""


def compared(folder: Path, words: list[str]) -> dict[str, Any]:
    """Run one command line and return its document, whatever its status."""
    command = [sys.executable, "-m", "beambench", "compare", *words]
    command += ["--store", f"sqlite:///{folder.absolute()}/runs.db", "--json"]
    began = time.monotonic()
    finished = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if not finished.stdout:
        sys.exit(finished.returncode or 1)
    document: dict[str, Any] = json.loads(finished.stdout)
    return document | {"seconds": time.monotonic() - began}


def summary(document: dict[str, Any]) -> dict[str, Any]:
    """Return what of a comparison is kept."""
    metric = document["metrics"].get(METRIC, {})
    return {
        "comparison_id": document["comparison_id"],
        "status": document["status"],
        "verdict": document["verdict"],
        **{name: metric.get(name) for name in ("ratio", "ci_low", "ci_high", "mde", "n", "noise")},
        "moved": [
            name
            for name, stage in document["stages"].items()
            if stage["verdict"] in ("faster", "slower")
        ],
        "disturbed": document["noise"]["disturbed"],
        "seconds": document["seconds"],
    }


def measure(folder: Path, label: str, done: list[dict[str, Any]], options: list[str]) -> None:
    """Add a comparison to those that are done, or resume the last one."""
    last = done[-1] if done else None
    if last is not None and last["status"] != "succeeded":
        document = compared(folder, ["--resume", last["comparison_id"]])
        done[-1] = summary(document)
    else:
        words = [str(DEFINITION), "--profile", "smoke", "--label", f"kind={label}", *options]
        document = compared(folder, words)
        done.append(summary(document))
    print(f"{label} {len(done)}: {document['sentence']}", flush=True)


def report(label: str, done: list[dict[str, Any]], margin: float) -> None:
    """Print what came of the comparisons of one kind and schedule."""
    kind = label.partition("-")[0]
    verdicts = Counter(one["verdict"] for one in done)
    widths = [(one["ci_high"] - one["ci_low"]) / one["ratio"] / 2 for one in done]
    effects = [one["mde"] for one in done if one["mde"] is not None]
    limit = margin if kind == "same" else DETECTABLE
    clear = [one for one in done if one["mde"] is not None and one["mde"] <= limit]
    right = "same" if kind == "same" else "slower"
    print(f"\n{label}: n = {len(done)}: " + ", ".join(f"{n} {v}" for v, n in verdicts.items()))
    print(f"  {right} in {sum(one['verdict'] == right for one in clear)} of the {len(clear)} whose "
          f"minimum detectable effect is {100 * limit:g} % or less")  # fmt: skip
    if effects:
        print(f"  minimum detectable effect: {100 * min(effects):.2g} to {100 * max(effects):.2g} "
              f"%, median {100 * median(effects):.2g} %")  # fmt: skip
    print(f"  half width of the interval: median {100 * median(widths):.2g} %; noise of a pair: "
          f"median {100 * median([one['noise'] for one in done]):.2g} %")  # fmt: skip
    print(f"  pairs {min(one['n'] for one in done)} to {max(one['n'] for one in done)}; "
          f"{sum(one['disturbed'] for one in done)} of {2 * sum(one['n'] for one in done)} repeats "
          f"disturbed; {max(one['seconds'] for one in done):.0f} s at most")  # fmt: skip
    for one in done:
        ends = [one["ratio"], one["ci_low"], one["ci_high"]]
        shown = " ".join("?" if end is None else f"{100 * (end - 1):+.2f}" for end in ends)
        detectable = "?" if one["mde"] is None else f"{100 * one['mde']:.2f}"
        print(f"    {one['verdict']:13} {shown} %  detectable {detectable} %  n {one['n']}  "
              f"{','.join(one['moved'])}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--same", type=int, default=10)
    parser.add_argument("--planted", type=int, default=10)
    parser.add_argument("--slowdown", type=float, default=0.05)
    parser.add_argument("--max-time", default="5m")
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--margin", type=float, default=0.03)
    parser.add_argument("--schedule", action="append", choices=["interleaved", "duet"])
    parser.add_argument("--limit", type=int, help="elements of a repeat")
    parser.add_argument("--accept-disturbed", action="store_true")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    state = given.folder / "comparisons.json"
    done = json.loads(state.read_text()) if state.exists() else {}
    options = ["--max-time", given.max_time, "--margin", str(given.margin)]
    options += ["--pairs", str(given.pairs)] if given.pairs else []
    options += ["--limit", str(given.limit)] if given.limit else []
    options += ["--accept-disturbed"] if given.accept_disturbed else []
    sides = {
        "same": ["--control"],
        "planted": ["--candidate", f"parameters.slowdown={given.slowdown}"],
    }
    wanted = {"same": given.same, "planted": given.planted}
    for number in range(1, max(wanted.values()) + 1):
        for kind, schedule in product(sides, given.schedule or ["interleaved"]):
            comparisons = done.setdefault(label := f"{kind}-{schedule}", [])
            complete = [one for one in comparisons if one["status"] == "succeeded"]
            if number <= wanted[kind] and len(complete) < number:
                words = [*sides[kind], "--schedule", schedule, *options]
                measure(given.folder, label, comparisons, words)
                state.write_text(json.dumps(done, indent=1))
                if comparisons[-1]["status"] != "succeeded":
                    sys.exit(f"interrupted: give {given.folder} again to go on")
    for label, comparisons in done.items():
        if comparisons:
            report(label, comparisons, given.margin)


if __name__ == "__main__":
    main()
