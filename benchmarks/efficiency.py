"""Pipeline, bare loop and Beam's own example pipeline on the same input, in turns.

    .venv/bin/python benchmarks/efficiency.py NAME INPUT [--variant tuned] [--pairs 6]

Each round runs, in mirrored order and every one in a process of its own: the pipeline and the bare
loop of `stock`, those of the other variants asked for, and the example that Beam ships for the same
work, on Beam's DirectRunner (`beam_examples.py`). All read the same elements and load the same
weights; `--more` gives the variants that many times the elements, so that a fast one is measured as
long as a slow one. Printed are the throughputs, their ratios within a round with median and
order-statistic interval, and how many labels of a variant are those of `stock`. With
`--pipelines-only` there are no loops and no example: variants against `stock`. A round in which
anything else used more of the machine than `machine/noise.py` allows is counted and measured again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from beam_examples import EXAMPLES

from beambench.analysis.intervals import median, median_interval
from beambench.cancellation import Cancellation
from beambench.controller.metric_values import window_seconds
from beambench.controller.processes.worker_process import run_task
from beambench.definition.library import Library
from beambench.definition.plan import (
    CalibratePlan,
    LoopPlan,
    PipelinePlan,
    Preparation,
    PreparePlan,
)
from beambench.inputs.elements import parsed
from beambench.machine.noise import NoiseMonitor
from beambench.runners.direct.runner import DIRECT
from beambench.workloads.text.base import packaged_encoder

MAX_AGAIN = 20
EXAMPLE = "Beam's example"


class Arms:
    """One input and model, and the ways to run them."""

    def __init__(self, options: argparse.Namespace, work_dir: str) -> None:
        library = Library()
        self._resolved = {
            variant: library.resolve(options.name, variant=variant, overrides=options.set)
            for variant in ["stock", *options.variant]
        }
        self._work_dir, self._source = work_dir, str(options.input)
        self._pipelines_only = options.pipelines_only
        self._limits = {
            variant: options.limit * (options.more if variant != "stock" else 1)
            for variant in self._resolved
        }
        self._prepared: dict[str, Preparation] = {}
        self.disturbed = False
        self.sizes: dict[str, list[int]] = {}
        self.labels: dict[str, dict[str, Any]] = {}
        self.peaks: dict[str, int] = {}
        for variant in self._resolved:
            prepared = self._task(variant, "prepare", []).prepared
            self._prepared[variant] = Preparation.model_validate(prepared.preparation)
            for choice in self._prepared[variant].choices:
                print(f"{variant}: {choice.setting} {choice.value}, because {choice.reason}")

    def names(self) -> list[str]:
        kinds = ("pipeline",) if self._pipelines_only else ("pipeline", "loop")
        arms = [f"{variant} {kind}" for variant in self._resolved for kind in kinds]
        has_example = self._resolved["stock"].definition.workload in EXAMPLES
        return [*arms, EXAMPLE] if has_example and not self._pipelines_only else arms

    def run(self, arm: str) -> float:
        """Return the throughput of one execution in elements/s."""
        if arm == EXAMPLE:
            return self._example()
        variant, _, kind = arm.partition(" ")
        sizes = self.sizes.get(variant, []) if kind == "loop" else []
        measured = self._task(variant, kind, sizes).measured
        if kind == "pipeline":
            counts = measured.batch_sizes
            self.sizes[variant] = [size for size in sorted(counts) for _ in range(counts[size])]
            self._keep_labels(variant)
        seconds = window_seconds(measured)
        assert seconds is not None
        return float(measured.elements / seconds)

    def _keep_labels(self, variant: str) -> None:
        with (Path(self._folder(variant)) / "predictions.jsonl").open(encoding="utf-8") as lines:
            self.labels[variant] = {one[0]: one[1] for one in map(json.loads, lines)}

    def _folder(self, variant: str) -> str:
        folder = Path(self._work_dir) / variant
        folder.mkdir(exist_ok=True)
        return str(folder)

    def _task(self, variant: str, task: str, sizes: list[int]):  # type: ignore[no-untyped-def]
        resolved = self._resolved[variant]
        kind, own = {
            "prepare": (PreparePlan, {}),
            "calibrate": (CalibratePlan, {}),
            "loop": (LoopPlan, {"batch_sizes": sizes}),
            "pipeline": (PipelinePlan, {"pipeline_function": DIRECT.pipeline}),
        }[task]
        if task != "prepare":
            own = {**own, "preparation": self._prepared[variant]}
        plan = kind(
            **own,
            definition=resolved.definition,
            seed=0,
            source=self._source,
            limit=self._limits[variant],
            work_dir=self._folder(variant),
            cache_dir=os.path.join(self._work_dir, "cache"),
            project_dir=os.getcwd(),
            epoch_ns=time.time_ns(),
            slot_us=int(resolved.profile.slot_seconds * 1e6),
        )
        result = run_task(plan, deadline=time.monotonic() + 3600, cancelled=Cancellation())
        if result.status != "succeeded":
            raise SystemExit(f"{variant} {task}: {result.error}")
        self.disturbed |= bool(result.noise["disturbed"])
        proof = result.observation.proof
        assert proof is None or proof.failed == 0, proof
        if task == "pipeline" and result.peak_rss is not None:
            self.peaks[variant] = max(result.peak_rss, self.peaks.get(variant, 0))
        return result.observation

    def _example(self) -> float:
        prepared, definition = self._prepared["stock"], self._resolved["stock"].definition
        root: str = prepared.root or str(packaged_encoder())
        elements = Path(prepared.ids_file)
        if prepared.root is None:
            contents = [
                parsed(line, None).source for line in elements.read_text("utf-8").splitlines()
            ]
            elements = Path(self._work_dir) / "lines.txt"
            elements.write_bytes(b"".join(bytes(line) + b"\n" for line in contents))  # type: ignore[arg-type]
        output = os.path.join(self._work_dir, "example.txt")
        arguments = (str(elements), root, prepared.weights_path, definition.model.name, output)
        name = EXAMPLES[definition.workload].__name__
        noise, before = NoiseMonitor(), resource.getrusage(resource.RUSAGE_CHILDREN)
        noise.start()
        done = subprocess.run(
            [sys.executable, "-c", f"import beam_examples; beam_examples.{name}{arguments!r}"],
            check=False,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parent,
        )
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.disturbed |= bool(noise.stop(own)["disturbed"])
        times = json.loads(done.stdout.splitlines()[-1])
        assert times["count"] == prepared.count, times
        return float(times["count"] / (times["last"] - times["first"]))


def ratio(name: str, over: list[float], under: list[float]) -> str:
    """Return a line with the ratios of the rounds."""
    ratios = [one / other for one, other in zip(over, under, strict=True)]
    shown = ", ".join(f"{one:.3f}" for one in ratios)
    interval = median_interval(ratios)
    between = f"{interval[0]:.3f}-{interval[1]:.3f}" if interval else "n too small"
    return f"{name}: median {median(ratios):.3f}, interval {between}, n = {len(ratios)}: {shown}"


def parsed_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("input", type=Path)
    parser.add_argument("--variant", action="append", default=[])
    parser.add_argument("--set", action="append", default=[], metavar="KEY.SUBKEY=VALUE")
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--more", type=int, default=4)
    parser.add_argument("--pipelines-only", action="store_true")
    options = parser.parse_args()
    options.input = options.input.resolve()
    return options


def main() -> None:
    options = parsed_options()
    with tempfile.TemporaryDirectory() as work_dir:
        arms = Arms(options, work_dir)
        rates: dict[str, list[float]] = {name: [] for name in arms.names()}
        again = kept_disturbed = 0
        while min(map(len, rates.values())) < options.pairs:
            done = min(map(len, rates.values()))
            order = list(rates) if done % 2 == 0 or not arms.sizes else list(rates)[::-1]
            arms.disturbed = False
            seen = {name: arms.run(name) for name in order}
            again += arms.disturbed
            kept = not arms.disturbed or again > MAX_AGAIN
            mark = (
                ""
                if not arms.disturbed
                else "  disturbed, " + ("kept" if kept else "measured again")
            )
            kept_disturbed += kept and arms.disturbed
            shown = "  ".join(f"{name} {seen[name]:.2f}/s" for name in rates)
            print(f"round {done + 1}: {shown}{mark}", flush=True)
            for name, rate in seen.items() if kept else ():
                rates[name].append(rate)
    print(f"{again} rounds were disturbed, {kept_disturbed} of them kept")
    for variant in ["stock", *options.variant]:
        pipeline = rates[f"{variant} pipeline"]
        if variant != "stock":
            print(ratio(f"{variant} pipeline ÷ stock's", pipeline, rates["stock pipeline"]))
        if f"{variant} loop" in rates:
            print(ratio(f"{variant} pipeline ÷ its loop", pipeline, rates[f"{variant} loop"]))
        if EXAMPLE in rates:
            print(ratio(f"{variant} pipeline ÷ {EXAMPLE}", pipeline, rates[EXAMPLE]))
        ours, stock = arms.labels[variant], arms.labels["stock"]
        same = sum(ours[one] == stock[one] for one in stock)
        print(
            f"{variant}: sizes {sorted(set(arms.sizes[variant]))}, peak RSS "
            f"{arms.peaks[variant] / 1e6:.0f} MB, {same} of {len(stock)} labels as stock"
        )
    assert all(math.isfinite(rate) for found in rates.values() for rate in found)


if __name__ == "__main__":
    main()
