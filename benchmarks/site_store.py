"""Fills a store with made-up runs, through the real schema, to try the site and histories at size.

    python benchmarks/site_store.py runs.db --benchmarks 20 --runs 1000
    /usr/bin/time -v beambench report --store sqlite:///runs.db --out site
    python benchmarks/site_store.py runs.db --benchmarks 1 --runs 1 --first 1000   # one run more

Each benchmark has two kinds of runs in turns, nightly, with noise of 2 % a run, a step of some
percent in the last quarter, and a package that changed with it. A record is of the size of a real
one: some 40 KB.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np

from beambench.definition.library import Library
from beambench.metrics.registry import BUILT_IN
from beambench.record.run_record import RunRecord
from beambench.store.run_store import RunStore
from beambench.store.tables import sqlite_url

DEFINED = "pytorch-image-classification-resnet101"
BEGIN = datetime(2023, 3, 1, 2, tzinfo=timezone.utc)
NOISE = 0.02
REPEATS = 6
SAVED_AT_ONCE = 100
PROVEN = {
    "elements_in": 200,
    "elements_out": 200,
    "elements_failed": 0,
    "duplicates": 0,
    "passed": True,
}
METRICS = [metric for metric in BUILT_IN if metric.name != "throughput_inferred"]
LEVELS = {"1/s": 40.0, "B/s": 4e6, "s": 0.025, "B": 1.5e9, "1": 0.5}
PACKAGES = {f"package-{number}": f"1.{number}.0" for number in range(60)}


def values(scale: float, chance: np.random.Generator, n: int, interval: bool) -> dict[str, Any]:
    """Return a value of every metric: times grow with the scale, rates fall."""
    made = {}
    for metric in METRICS:
        power = {"lower": 1, "higher": -1, "neither": 0}[metric.direction]
        level = 0 if metric.name == "elements_failed" else LEVELS[metric.unit]
        value = level * scale**power * float(np.exp(chance.normal(0, NOISE)))
        made[metric.name] = {
            "value": value,
            "unit": metric.unit,
            "direction": metric.direction,
            "n": n,
            **({"ci_low": value * 0.97, "ci_high": value * 1.03} if interval else {}),
        }
    return made


def record(benchmark: int, number: int, runs: int, definition: dict[str, Any]) -> RunRecord:
    """Return a run."""
    chance = np.random.default_rng((benchmark, number))
    is_late = number >= runs * (3 + benchmark % 5 / 5) / 4
    scale = 1 + (benchmark % 7 - 2) / 50 if is_late else 1.0
    begin = BEGIN + timedelta(days=number, minutes=benchmark)
    times = {
        "started_at": begin.isoformat().replace("+00:00", "Z"),
        "finished_at": (begin + timedelta(minutes=2)).isoformat().replace("+00:00", "Z"),
    }
    weights = "random" if number % 10 == 9 else "pretrained"
    repeats = [
        {
            "index": index,
            "arm": "pipeline",
            "status": "succeeded",
            **times,
            "metrics": values(scale, chance, 200, interval=False),
            "verification": PROVEN,
            "batch_sizes": [10, 20],
            "noise": {"disturbed": False, "steal": 0.0, "load": 0.5},
            "runner": {"executed": "direct"},
        }
        for index in range(REPEATS)
    ]
    packages = PACKAGES | {
        "apache-beam": f"2.{77 - (runs - number) // 100}.0",
        "torch": "2.14.0" if is_late else "2.13.0",
    }
    machine = {
        "cpu_model": "Xeon",
        "cores": {"logical": 2, "physical": 2},
        "instructions": {"avx2": True, "avx512f": True},
    }
    return RunRecord.model_validate(
        {
            "run_id": f"{begin:%Y%m%dT%H%M%SZ}-{benchmark:04x}{number:04x}",
            "benchmark": f"made-up-{benchmark:02d}",
            "variant": "stock",
            "profile": "local",
            "definition_hash": "ab" * 32,
            "beambench_version": "0.1.0",
            "runner": {"requested": "direct", "executed": "direct"},
            "status": "failed" if number % 97 == 50 else "succeeded",
            **times,
            "input": {"kind": "photographs", "count": 200, "digest": "cd" * 32, "bytes": 10**7},
            "model": {"name": "resnet101", "weights": weights, "size_mib": 170.0},
            "config": {"definition": definition, "overrides": [], "beam_flags": []},
            "repeats": repeats,
            "metrics": values(scale, chance, REPEATS, interval=True),
            "verification": PROVEN,
            "noise": {"repeats": REPEATS, "counted_repeats": REPEATS, "counted_disturbed": 0},
            "environment": {
                "machine": machine,
                "python": {"version": "3.11.7"},
                "packages": packages,
                "torch": {"threads": 1},
                "git": {"project": {"commit": f"{number:040x}"}},
                "machine_digest": "m" * 64,
                "fingerprint_digest": f"{number:064x}",
            },
            "labels": {"demo": "made up"},
            "command": ["beambench", "run", f"made-up-{benchmark:02d}", "--set", "threads=1"],
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--benchmarks", type=int, default=20)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="Number of the first run.")
    chosen = parser.parse_args()
    resolved = Library().resolve(DEFINED, overrides=["threads=1"], profile="local")
    definition = json.loads(resolved.definition.model_dump_json())
    last = chosen.first + chosen.runs
    with RunStore.open(sqlite_url(chosen.store)) as store:
        for benchmark in range(chosen.benchmarks):
            for start in range(chosen.first, last, SAVED_AT_ONCE):
                numbers = range(start, min(start + SAVED_AT_ONCE, last))
                store.add_missing(
                    record(benchmark, number, max(last, 1000), definition) for number in numbers
                )
            print(f"{benchmark + 1} of {chosen.benchmarks}", file=sys.stderr)


if __name__ == "__main__":
    main()
