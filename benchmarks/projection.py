"""Hold a projection against a measurement: from one process of this machine to several.

Runs a benchmark in one process and in several, each with one thread, in mirrored order; projects
every run of one process to so many on this very machine, and prints both::

    python benchmarks/projection.py pytorch-image-classification-resnet101 --limit 120
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import psutil

ORDER = ("one", "several", "several", "one")


def beambench(*words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "beambench.cli.main", *words, "--json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def own_sheet(folder: Path, processes: int) -> Path:
    """Write a price sheet whose only machine is this one. Its price plays no part."""
    gb = psutil.virtual_memory().total / 2**30
    logical, physical = psutil.cpu_count(), psutil.cpu_count(logical=False)
    cores = f", threads_per_core: {logical // physical}" if logical and physical else ""
    shape = f"{{vcpus: {processes}, memory_gb: {gb:.1f}, per_hour: 1{cores}}}"
    path = folder / "this.yaml"
    path.write_text(
        "name: this machine\nservice: none\nregion: here\ncurrency: USD\nsource: made up\n"
        f"date: 2026-01-01\nmachines:\n  this: {shape}\n"
    )
    return path


def measured(name: str, processes: int, args: argparse.Namespace, store: str) -> dict[str, Any]:
    return beambench(
        *("run", name, "--set", "threads=1", "--set", f"runner.processes={processes}"),
        *("--limit", str(args.limit), "--repeats", str(args.repeats), "--store", store),
    )


def throughputs(record: dict[str, Any]) -> list[float]:
    return [repeat["metrics"]["throughput_elements"]["value"] for repeat in record["repeats"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--limit", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/runs.db"
        sheet = own_sheet(Path(folder), args.processes)
        found: dict[str, list[float]] = {"one": [], "several": []}
        projected: list[dict[str, float]] = []
        for arm in ORDER:
            processes = 1 if arm == "one" else args.processes
            record = measured(args.name, processes, args, store)
            found[arm] += throughputs(record)
            print(arm, [round(value, 2) for value in throughputs(record)], flush=True)
            if arm == "one":
                report = beambench(
                    *("cost", record["run_id"], "--store", store, "--sheet", str(sheet)),
                    *("--machine-type", "this", "--workers", "1", "--scale", "1"),
                    *("--worker-start", "0", "--elements", str(args.limit)),
                )
                projected.append(report["projection"]["throughput_elements"])
                print("projected to", args.processes, projected[-1], flush=True)
    middle = {arm: median(values) for arm, values in found.items()}
    print(f"one process: median {middle['one']:.3g} 1/s, n = {len(found['one'])}")
    print(f"{args.processes} processes: median {middle['several']:.3g} 1/s, {found['several']}")
    print(f"ratio {middle['several'] / middle['one']:.3f}")
    for one in projected:
        inside = [one["low"] <= value <= one["high"] for value in found["several"]]
        off = middle["several"] / one["expected"] - 1
        print(
            f"projected {one['expected']:.3g} ({one['low']:.3g} – {one['high']:.3g}): "
            f"{sum(inside)} of {len(inside)} measured inside, median {off:+.1%} off"
        )


if __name__ == "__main__":
    main()
