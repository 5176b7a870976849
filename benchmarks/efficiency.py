"""Pipeline, bare loop and Beam's own example pipeline on the same photographs, in turns.

    .venv/bin/python benchmarks/efficiency.py DIRECTORY [--name NAME] [--pairs 6]

Each pair runs A B C or C B A, every one in a process of its own: A beambench's pipeline, B the
bare loop at A's batch sizes, C `apache_beam.examples.inference.pytorch_image_classification` as it
ships, on Beam's DirectRunner. Printed are the throughputs and the ratios to the loop of the same
pair, with median and order-statistic interval. C is timed from outside: from the first call of the
example's `read_image` to the last arg-max of its postprocessing. A pair in which anything else used
more of the machine than `machine/noise.py` allows is measured again, and counted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from beambench.analysis.intervals import median, median_interval
from beambench.controller.metric_values import window_seconds
from beambench.controller.worker_process import run_task
from beambench.definition.library import Library
from beambench.definition.plan import Plan, Preparation
from beambench.machine.noise import NoiseMonitor

MAX_AGAIN = 20
TIMES: dict[str, float] = {"count": 0}


def read_image(image_file_name: str, path_to_dir: str | None = None) -> Any:
    """Note when the example reads its first image."""
    TIMES.setdefault("first", time.time())
    return ORIGINALS["read_image"](image_file_name, path_to_dir)


def argmax(*args: Any, **kwargs: Any) -> Any:
    """Note when the example's postprocessing makes its last label."""
    TIMES["last"] = time.time()
    TIMES["count"] += 1
    return ORIGINALS["argmax"](*args, **kwargs)


ORIGINALS: dict[str, Any] = {}


def stock_example(ids: str, root: str, weights: str, name: str, output: str) -> None:
    """Run Beam's example as it ships in this process; print its times as JSON.

    The two functions that note times live in this module, so that they pickle by reference.
    """
    import torch
    from apache_beam.examples.inference import pytorch_image_classification as example

    from beambench.workloads.image_classification import build_model

    ORIGINALS.update(read_image=example.read_image, argmax=torch.argmax)
    example.read_image, torch.argmax = read_image, argmax
    paths = ["--input", ids, "--output", output, "--images_dir", root]
    result = example.run(
        [*paths, "--model_state_dict_path", weights, "--runner", "DirectRunner"],
        model_class=build_model,
        model_params={"name": name},
        save_main_session=False,
    )
    print(json.dumps({**TIMES, "runner": type(result).__module__}))


class Arms:
    """One prepared input and model, and the three ways to run it."""

    def __init__(self, name: str, source: str, work_dir: str) -> None:
        resolved = Library().resolve(name)
        self._definition = resolved.definition
        self._slot_us = int(resolved.profile.slot_seconds * 1e6)
        self._source, self._work_dir = source, work_dir
        self._preparation: Preparation | None = None
        self.disturbed = False
        prepared = self._task("prepare", []).prepared
        self._preparation = Preparation.model_validate(prepared.preparation)
        self.sizes: list[int] = []

    def _task(self, task: str, sizes: list[int]):  # type: ignore[no-untyped-def]
        plan = Plan(
            task=task,
            definition=self._definition,
            runner="direct",
            seed=0,
            source=self._source,
            limit=None,
            work_dir=self._work_dir,
            cache_dir=os.path.join(self._work_dir, "cache"),
            project_dir=os.getcwd(),
            epoch_ns=time.time_ns(),
            slot_us=self._slot_us,
            preparation=self._preparation,
            batch_sizes=sizes,
        )
        result = run_task(plan, deadline=time.monotonic() + 3600, cancelled=threading.Event())
        if result.status != "succeeded":
            raise SystemExit(f"{task}: {result.error}")
        self.disturbed |= bool(result.noise["disturbed"])
        return result.observation

    def pipeline(self) -> float:
        measured = self._task("pipeline", []).measured
        counts = measured.batch_sizes
        self.sizes = [size for size in sorted(counts) for _ in range(counts[size])]
        return float(measured.elements / window_seconds(measured))

    def loop(self) -> float:
        measured = self._task("loop", self.sizes).measured
        return float(measured.elements / window_seconds(measured))

    def stock(self) -> float:
        prepared = self._preparation
        assert prepared is not None
        output = os.path.join(self._work_dir, "stock.txt")
        model = self._definition.model.name
        arguments = (prepared.ids_file, prepared.root, prepared.weights_path, model, output)
        noise, before = NoiseMonitor(), resource.getrusage(resource.RUSAGE_CHILDREN)
        noise.start()
        done = subprocess.run(
            [sys.executable, "-c", f"import efficiency; efficiency.stock_example{arguments!r}"],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parent,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.disturbed |= bool(noise.stop(own)["disturbed"])
        times = json.loads(done.stdout.splitlines()[-1])
        assert times["count"] == prepared.count, times
        return float(times["count"] / (times["last"] - times["first"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--name", default="pytorch-image-classification-resnet101")
    parser.add_argument("--pairs", type=int, default=6)
    options = parser.parse_args()
    rates: dict[str, list[float]] = {"pipeline": [], "loop": [], "stock": []}
    with tempfile.TemporaryDirectory() as work_dir:
        arms = Arms(options.name, str(options.directory.resolve()), work_dir)
        again = 0
        while (pair := len(rates["loop"])) < options.pairs and again <= MAX_AGAIN:
            order = list(rates) if pair % 2 == 0 or not arms.sizes else list(rates)[::-1]
            arms.disturbed = False
            seen = {arm: getattr(arms, arm)() for arm in order}
            row = "  ".join(f"{arm} {seen[arm]:.3f}/s" for arm in rates)
            mark = "  disturbed, measured again" if arms.disturbed else ""
            print(f"pair {pair + 1}: {row}  sizes {arms.sizes}{mark}", flush=True)
            again += arms.disturbed
            if not arms.disturbed:
                for arm, rate in seen.items():
                    rates[arm].append(rate)
    print(f"{again} pairs were disturbed and measured again")
    for arm in ("pipeline", "stock"):
        ratios = [one / loop for one, loop in zip(rates[arm], rates["loop"], strict=True)]
        print(
            f"{arm} ÷ loop: median {median(ratios):.3f}, interval {median_interval(ratios)}, "
            f"n = {len(ratios)}: {', '.join(f'{ratio:.3f}' for ratio in ratios)}"
        )


if __name__ == "__main__":
    main()
