"""What Beam's barrier after every batch costs: pipelines and direct clients of vLLM, in turns.

    .venv/bin/python benchmarks/vllm_barrier.py [--pairs 6] [--model gemma-2b] [--limit 96]

Each round runs A B C D or D C B A, every one in a process of its own: A the pipeline with variant
`batch32`, B an asynchronous client that waits for 32 prompts before it sends the next 32, C the
pipeline with variant `stock`, D a client that sends all prompts at once. Each starts a server of
its own, as the benchmark's handler does; with `--one-server` all talk to one, which is asked for
all prompts once before the first round and keeps no prefixes.
Printed are output tokens and requests a second from the first prompt read to the last answer, and
the ratios of the same round, with median and order-statistic interval. A round in which anything
else used more of the machine than `machine/noise.py` allows is marked; not with `--one-server`,
where the server itself is no process of the arm.

With the 2B shape on two cores a round takes about ten minutes, most of it four server starts;
with `--one-server` about four.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from beambench.analysis.intervals import median, median_interval
from beambench.cancellation import Cancellation
from beambench.controller.metric_values import window_seconds
from beambench.controller.processes.interpreter import find_interpreter
from beambench.controller.processes.supervisor import supervise
from beambench.controller.processes.worker_process import run_task
from beambench.definition.library import Library
from beambench.definition.plan import LoopPlan, PipelinePlan, Preparation, PreparePlan
from beambench.machine.noise import NoiseMonitor
from beambench.machine.processes import ProcessTreeSampler
from beambench.runners.direct.runner import DIRECT
from beambench.workloads.base import Parameters
from beambench.workloads.vllm.text_generation import GenerationParameters, TextGeneration

NAME = "vllm-gemma-2b-batch"
BARRIER = 32
ARM_SECONDS = 1800.0
ARMS = ("batch32", "client32", "stock", "client")
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


class SharedServer:
    """Stands for a server that runs already."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get_server_port(self) -> int:
        return self._port

    def check_connectivity(self) -> None:
        """Nothing to restart: a request that fails is an error of the benchmark."""


class SharedParameters(GenerationParameters):
    """The benchmark's, and the port of the server."""

    port: int


class SharedTextGeneration(TextGeneration):
    """The benchmark's workload, on a server that runs already."""

    parameters_type: ClassVar[type[Parameters]] = SharedParameters

    def model_handler(self) -> Any:
        from apache_beam.ml.inference.vllm_inference import VLLMCompletionsModelHandler

        port: int = self.parameters.port

        class Handler(VLLMCompletionsModelHandler):
            def load_model(self) -> Any:
                return SharedServer(port)

        return Handler(str(self.weights.path), **self.handler_options())


class Arms:
    """One prepared input and model, and the four ways to run it."""

    def __init__(self, options: argparse.Namespace, work_dir: str) -> None:
        self._options, self._work_dir = options, work_dir
        self._library = Library()
        self._preparation: Preparation | None = None
        self._port: int | None = None
        prepared = self._run("prepare", "stock").observation.prepared
        self._preparation = Preparation.model_validate(prepared.preparation)

    def _plan(self, task: str, variant: str) -> tuple[Any, str]:
        options = self._options
        overrides = [
            f"model.name={options.model}",
            "model.weights=random",
            "parameters.server.no-enable-prefix-caching=true",
        ]
        if options.output_tokens is not None:
            overrides.append(f"parameters.output_tokens={options.output_tokens}")
        if self._port is not None:
            overrides += [
                "workload=vllm_barrier:SharedTextGeneration",
                f"parameters.port={self._port}",
            ]
        resolved = self._library.resolve(NAME, variant=variant, overrides=overrides)
        named = options.interpreter or resolved.definition.interpreter
        kind, own = {
            "prepare": (PreparePlan, {}),
            "loop": (LoopPlan, {"batch_sizes": []}),
            "pipeline": (PipelinePlan, {"pipeline_function": DIRECT.pipeline}),
        }[task]
        if task != "prepare":
            own = {**own, "preparation": self._preparation}
        plan = kind(
            **own,
            definition=resolved.definition,
            seed=0,
            source="packaged",
            limit=options.limit,
            work_dir=self._work_dir,
            cache_dir=os.path.join(self._work_dir, "cache"),
            project_dir=os.getcwd(),
            epoch_ns=time.time_ns(),
            slot_us=int(resolved.profile.slot_seconds * 1e6),
        )
        return plan, find_interpreter(named, resolved.path)

    def _run(self, task: str, variant: str) -> Any:
        plan, interpreter = self._plan(task, variant)
        result = run_task(
            plan,
            deadline=time.monotonic() + ARM_SECONDS,
            cancelled=Cancellation(),
            interpreter=interpreter,
            search_path=[str(Path(__file__).parent)],
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
            cancelled=Cancellation(),
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

    @contextlib.contextmanager
    def one_server(self) -> Iterator[None]:
        """Serve all arms by one server until the block ends."""
        plan, interpreter = self._plan("loop", "stock")
        file = Path(self._work_dir) / "server.json"
        file.write_text(plan.model_dump_json())
        with subprocess.Popen(
            [interpreter, __file__, "serve", str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            assert server.stdout is not None
            assert server.stdin is not None
            try:
                self._port = int(server.stdout.readline())
                self.client(self._options.limit)
                yield
            finally:
                server.stdin.close()

    @property
    def is_shared(self) -> bool:
        """Tell whether all arms talk to one server."""
        return self._port is not None

    def run(self, arm: str) -> Rate:
        if arm in ("batch32", "stock"):
            return self.pipeline(arm)
        return self.client(BARRIER if arm == "client32" else self._options.limit)


def client(plan_file: str, answer_file: str, barrier: int) -> None:
    """Start a server as the handler does and ask for all prompts, in this process."""
    from apache_beam.ml.inference.base import PredictionResult
    from apache_beam.ml.inference.vllm_inference import getAsyncVLLMClient

    from beambench.worker.tasks import make_workload, read_elements

    plan = LoopPlan.model_validate_json(Path(plan_file).read_text())
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


def serve(plan_file: str) -> None:
    """Start a server as the handler does, print its port, and end it when the input closes."""
    from beambench.worker.tasks import make_workload

    plan = LoopPlan.model_validate_json(Path(plan_file).read_text())
    server = make_workload(plan).model_handler().load_model()
    print(server.get_server_port(), flush=True)
    sys.stdin.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=6, help="rounds of all four arms")
    parser.add_argument("--model", default="gemma-2b", help="gemma-2b or gemma-tiny")
    parser.add_argument("--limit", type=int, default=96, help="prompts")
    parser.add_argument("--output-tokens", type=int, help="default: the server's")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS, help="default: all")
    parser.add_argument("--one-server", action="store_true", help="one for all arms and rounds")
    parser.add_argument("--interpreter", help="default: the definition's")
    options = parser.parse_args()
    rates: dict[str, list[Rate]] = {arm: [] for arm in options.arms}
    with tempfile.TemporaryDirectory() as work_dir:
        arms = Arms(options, work_dir)
        with arms.one_server() if options.one_server else contextlib.nullcontext():
            for number in range(options.pairs):
                run_round(number, arms, rates)
    for arm, of in rates.items():
        values = [rate.tokens for rate in of]
        print(
            f"{arm}: median {median(values):.2f} output tokens/s, "
            f"{median([rate.requests for rate in of]):.3f} requests/s, n = {len(of)}"
        )
    for over, under in RATIOS:
        if over not in rates or under not in rates:
            continue
        ratios = [a.tokens / b.tokens for a, b in zip(rates[over], rates[under], strict=True)]
        print(
            f"{over} ÷ {under}: median {median(ratios):.3f}, interval {median_interval(ratios)}, "
            f"n = {len(ratios)}: {', '.join(f'{ratio:.3f}' for ratio in ratios)}"
        )


def run_round(number: int, arms: Arms, rates: dict[str, list[Rate]]) -> None:
    """Run every arm once, forwards or backwards in turn, and print what it did."""
    for arm in list(rates)[:: 1 if number % 2 == 0 else -1]:
        rates[arm].append(arms.run(arm))
    row = "  ".join(
        f"{arm} {of[-1].tokens:.2f} tok/s {of[-1].requests:.3f} req/s" for arm, of in rates.items()
    )
    disturbed = not arms.is_shared and any(of[-1].disturbed for of in rates.values())
    mark = "  disturbed" if disturbed else ""
    print(f"round {number + 1}: {row}{mark}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    elif sys.argv[1:2] == ["client"]:
        client(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
