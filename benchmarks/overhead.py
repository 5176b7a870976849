"""What measuring costs: overhead-noop with and without beambench's instrumentation, in turns.

    .venv/bin/python benchmarks/overhead.py [--elements 20000] [--rounds 6]

Every execution is a process of its own. `with` is the pipeline that `beambench run` runs, `without`
the same pipeline with the plain handler and plain functions in place of the instrumented ones; both
are timed from the first element read to the last output. At a batch size of 1 the difference is the
cost per element plus the cost per batch, at 100 the cost per element plus a hundredth of the other.
Also printed: Beam's own cost per element, and peak memory at a quarter of the elements and at all.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from beambench.analysis.intervals import median, median_interval

TIMES: dict[str, float] = {}


class Begin:
    """Notes when the first element is read."""

    def __init__(self, inner: Callable[[str], Any]) -> None:
        self._inner = inner

    def __call__(self, element_id: str) -> Any:
        TIMES.setdefault("first", time.perf_counter())
        return self._inner(element_id)


class End:
    """Notes when the last output is made."""

    def __init__(self, inner: Callable[[Any], Any]) -> None:
        self._inner = inner

    def __call__(self, keyed: Any) -> Any:
        output = self._inner(keyed)
        TIMES["last"] = time.perf_counter()
        return output


def plain_preprocess(element_id: str) -> tuple[str, str]:
    return element_id, element_id


def plain_postprocess(keyed: Any) -> tuple[str, str, None, None]:
    return keyed[0], str(keyed[1].inference), None, None


def child(kind: str, count: int, size: int) -> None:
    """Run one execution in this process and print its window and its peak memory as JSON."""
    from apache_beam.ml.inference.base import KeyedModelHandler

    from beambench.definition.library import Library
    from beambench.definition.plan import PipelinePlan, Preparation
    from beambench.runners.direct.beam import pipeline as direct
    from beambench.runners.direct.runner import DIRECT
    from beambench.workloads.base import Weights
    from beambench.workloads.pipeline import body
    from beambench.workloads.pipeline.outputs import Outputs
    from beambench.workloads.registry import load_class

    folder = tempfile.mkdtemp()
    ids = Path(folder) / "ids.txt"
    ids.write_text("".join(f"{number}\n" for number in range(count)))
    limits = [f"batching.{end}_batch_size={size}" for end in ("min", "max")]
    definition = Library().resolve("overhead-noop", overrides=limits).definition
    plan = PipelinePlan(
        definition=definition,
        pipeline_function=str(DIRECT.pipeline),
        seed=0,
        source="synthetic",
        limit=count,
        work_dir=folder,
        cache_dir=folder,
        project_dir=folder,
        epoch_ns=time.time_ns(),
        slot_us=100_000,
        preparation=Preparation(root="", ids_file=str(ids), count=count, sample=[]),
    )
    workload = load_class(definition.workload)(definition, Weights(None))
    instrumented = body.instrumented

    def assembled(*arguments: Any) -> Any:
        if kind == "without":
            keyed = KeyedModelHandler(workload.model_handler())
            return keyed.with_preprocess_fn(Begin(plain_preprocess)).with_postprocess_fn(
                End(plain_postprocess)
            )
        handler = instrumented(*arguments)
        (before,), (after,) = handler.get_preprocess_fns(), handler.get_postprocess_fns()
        keyed = handler._base._base
        return keyed.with_preprocess_fn(Begin(before)).with_postprocess_fn(End(after))

    body.instrumented = assembled
    direct.IN_PROCESS = "not checked: without instrumentation no batch is counted"
    direct.run(workload, plan, Outputs.within(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"window": TIMES["last"] - TIMES["first"], "peak": peak}))


def execute(kind: str, count: int, size: int) -> dict[str, float]:
    code = f"import overhead; overhead.child({kind!r}, {count}, {size})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    seen: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--elements", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    n = options.elements
    costs: dict[int, list[float]] = {1: [], 100: []}
    floor: dict[int, list[float]] = {1: [], 100: []}
    for number in range(options.rounds):
        for size in costs:
            order = ("with", "without") if number % 2 == 0 else ("without", "with")
            seen = {kind: execute(kind, n, size) for kind in order}
            costs[size].append((seen["with"]["window"] - seen["without"]["window"]) / n * 1e6)
            floor[size].append(seen["without"]["window"] / n * 1e6)
    for size, values in floor.items():
        _print(f"Beam alone, batches of {size}: µs per element", values)
    for size, values in costs.items():
        _print(f"instrumentation, batches of {size}: µs per element", values)
    per_batch = [(one - many) * 100 / 99 for one, many in zip(costs[1], costs[100], strict=True)]
    _print("instrumentation: µs per batch", per_batch)
    _print(
        "instrumentation: µs per element without its batch",
        [one - batch for one, batch in zip(costs[1], per_batch, strict=True)],
    )
    quarter, whole = execute("with", n // 4, 100)["peak"], execute("with", n, 100)["peak"]
    print(
        f"peak memory: {quarter / 1e6:.1f} MB at {n // 4} elements, {whole / 1e6:.1f} MB at {n} "
        f"({whole / quarter - 1:+.1%})"
    )


def _print(what: str, values: list[float]) -> None:
    interval = median_interval(values)
    shown = f"{interval[0]:.2f} – {interval[1]:.2f}" if interval else "none below n = 6"
    print(f"{what}: median {median(values):.2f}, interval {shown}, n = {len(values)}")


if __name__ == "__main__":
    main()
