"""What Beam's barrier after every batch costs: pipelines and direct clients of vLLM, in turns.

    .venv/bin/python benchmarks/vllm_barrier.py [--pairs 6] [--model gemma-2b] [--limit 96]

Each round runs A B C D or D C B A, every one in a process of its own that starts a server of its
own, as the benchmark's handler does: A the pipeline with variant `batch32`, B an asynchronous
client that waits for 32 prompts before it sends the next 32, C the pipeline with variant `stock`,
D a client that sends all prompts at once. No server is warmed up, and none sees a prompt twice.
Printed are output tokens and requests a second from the first prompt read to the last answer, and
the ratios of the same round, with median and order-statistic interval. A round in which anything
else used more of the machine than `machine/noise.py` allows is marked.

With the 2B shape on two cores a round takes about ten minutes, most of it four server starts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from beambench.analysis.intervals import median, median_interval
from beambench.controller.metric_values import window_seconds
from beambench.controller.supervisor import supervise
from beambench.controller.worker_process import run_task
from beambench.definition.library import Library
from beambench.definition.plan import Plan, Preparation
from beambench.experiments.interpreter import find_interpreter
from beambench.machine.noise import NoiseMonitor
from beambench.machine.processes import ProcessTreeSampler

NAME = "vllm-gemma-2b-batch"
BARRIER = 32
ARM_SECONDS = 1800.0
RATIOS = (
    ("batch32", "client32"),
    ("stock", "client"),
    ("batch32", "client"),
    ("client32", "client"),
)


class Rate(NamedTuple):
    """Of one arm in one round."""

    tokens: float
    requests: float
    disturbed: bool


class Arms:
    """One prepared input and model, and the four ways to run it."""

    def __init__(self, options: argparse.Namespace, work_dir: str) -> None:
        self._options, self._work_dir = options, work_dir
        self._library = Library()
        self._preparation: Preparation | None = None
        prepared = self._run("prepare", "stock").observation.prepared
        self._preparation = Preparation.model_validate(prepared.preparation)

    def _plan(self, task: str, variant: str) -> tuple[Plan, str]:
        options = self._options
        overrides = [f"model.name={options.model}", "model.weights=random"]
        if options.output_tokens is not None:
            overrides.append(f"parameters.output_tokens={options.output_tokens}")
        resolved = self._library.resolve(NAME, variant=variant, overrides=overrides)
        named = options.interpreter or resolved.definition.interpreter
        plan = Plan(
            task=task,
            definition=resolved.definition,
            runner="direct",
            seed=0,
            source="packaged",
            limit=options.limit,
            work_dir=self._work_dir,
            cache_dir=os.path.join(self._work_dir, "cache"),
            project_dir=os.getcwd(),
            epoch_ns=time.time_ns(),
            slot_us=int(resolved.profile.slot_seconds * 1e6),
            preparation=self._preparation,
        )
        return plan, find_interpreter(named, resolved.path)

    def _run(self, task: str, variant: str) -> Any:
        plan, interpreter = self._plan(task, variant)
        result = run_task(
            plan,
            deadline=time.monotonic() + ARM_SECONDS,
            cancelled=threading.Event(),
            interpreter=interpreter,
        )
        if result.status != "succeeded":
            raise SystemExit(f"{task} {variant}: {result.error}")
        return result

    def pipeline(self, variant: str) -> Rate:
        result = self._run("pipeline", variant)
        measured, proof = result.observation.measured, result.observation.proof
        assert (proof.count, proof.failed) == (self._options.limit, 0), proof
        seconds = window_seconds(measured)
        return Rate(
            measured.quantities["output_tokens"] / seconds,
            measured.elements / seconds,
            bool(result.noise["disturbed"]),
        )

    def client(self, barrier: int) -> Rate:
        plan, interpreter = self._plan("loop", "stock")
        files = [Path(self._work_dir) / name for name in ("client.json", "answer.json")]
        files[0].write_text(plan.model_dump_json())
        files[1].unlink(missing_ok=True)
        noise, samplers = NoiseMonitor(), list[ProcessTreeSampler]()

        def watch(pid: int) -> None:
            samplers.append(ProcessTreeSampler(pid, exclude_root=True))
            samplers[0].start()

        noise.start()
        outcome = supervise(
            [interpreter, __file__, "client", *map(str, files), str(barrier)],
            log_path=Path(self._work_dir) / "client.log",
            env=dict(os.environ),
            deadline=time.monotonic() + ARM_SECONDS,
            cancelled=threading.Event(),
            on_start=watch,
        )
        samplers[0].stop()
        if not files[1].is_file():
            raise SystemExit(f"client: {outcome.kind}: {outcome.stderr_tail}")
        found = json.loads(files[1].read_text())
        assert found["requests"] == self._options.limit, found
        disturbed = bool(noise.stop(samplers[0].cpu_seconds)["disturbed"])
        tokens, requests, seconds = (found[key] for key in ("tokens", "requests", "seconds"))
        return Rate(tokens / seconds, requests / seconds, disturbed)

    def run(self, arm: str) -> Rate:
        if arm in ("batch32", "stock"):
            return self.pipeline(arm)
        return self.client(BARRIER if arm == "client32" else self._options.limit)


def client(plan_file: str, answer_file: str, barrier: int) -> None:
    """Start a server as the handler does and ask for all prompts, in this process."""
    from apache_beam.ml.inference.base import PredictionResult
    from apache_beam.ml.inference.vllm_inference import getAsyncVLLMClient

    from beambench.worker.tasks import make_workload, read_elements

    plan = Plan.model_validate_json(Path(plan_file).read_text())
    workload, elements = make_workload(plan), read_elements(plan)
    handler = workload.model_handler()
    server = handler.load_model()

    async def ask() -> list[Any]:
        responses: list[Any] = []
        async with getAsyncVLLMClient(server.get_server_port()) as connection:
            for start in range(0, len(elements), barrier):
                some = elements[start : start + barrier]
                prompts = [workload.preprocess(workload.read(one.source)) for one in some]
                responses += await asyncio.gather(
                    *(
                        connection.completions.create(
                            model=str(workload.weights.path),
                            prompt=prompt,
                            **(workload.inference_args() or {}),
                        )
                        for prompt in prompts
                    )
                )
        return responses

    begin = time.perf_counter()
    predictions = [PredictionResult(None, response) for response in asyncio.run(ask())]
    for prediction in predictions:
        workload.postprocess(prediction)  # raises for an output of another length
    seconds = time.perf_counter() - begin
    tokens = sum(workload.quantities(one)["output_tokens"] for one in predictions)
    found = {"tokens": tokens, "requests": len(predictions), "seconds": seconds}
    partial = Path(answer_file).with_suffix(".partial")
    partial.write_text(json.dumps(found))
    partial.replace(answer_file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=6, help="rounds of all four arms")
    parser.add_argument("--model", default="gemma-2b", help="gemma-2b or gemma-tiny")
    parser.add_argument("--limit", type=int, default=96, help="prompts")
    parser.add_argument("--output-tokens", type=int, help="default: the server's")
    parser.add_argument("--interpreter", help="default: the definition's")
    options = parser.parse_args()
    rates: dict[str, list[Rate]] = {"batch32": [], "client32": [], "stock": [], "client": []}
    with tempfile.TemporaryDirectory() as work_dir:
        arms = Arms(options, work_dir)
        for number in range(options.pairs):
            for arm in list(rates)[:: 1 if number % 2 == 0 else -1]:
                rates[arm].append(arms.run(arm))
            row = "  ".join(
                f"{arm} {of[-1].tokens:.2f} tok/s {of[-1].requests:.3f} req/s"
                for arm, of in rates.items()
            )
            mark = "  disturbed" if any(of[-1].disturbed for of in rates.values()) else ""
            print(f"round {number + 1}: {row}{mark}", flush=True)
    for arm, of in rates.items():
        values = [rate.tokens for rate in of]
        print(
            f"{arm}: median {median(values):.2f} output tokens/s, "
            f"{median([rate.requests for rate in of]):.3f} requests/s, n = {len(of)}"
        )
    for over, under in RATIOS:
        ratios = [a.tokens / b.tokens for a, b in zip(rates[over], rates[under], strict=True)]
        print(
            f"{over} ÷ {under}: median {median(ratios):.3f}, interval {median_interval(ratios)}, "
            f"n = {len(ratios)}: {', '.join(f'{ratio:.3f}' for ratio in ratios)}"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        client(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
