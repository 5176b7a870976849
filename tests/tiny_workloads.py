"""Workloads of a few lines on numbers, sound ones and broken ones, and plans to run them.

They are importable, as a user's own workload is, so that they pickle and other processes find them.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from beambench.definition.plan import (
    BenchmarkPlan,
    CalibratePlan,
    LoopPlan,
    PipelinePlan,
    Preparation,
    PreparePlan,
    ReferencePlan,
)
from beambench.definition.schema import Definition
from beambench.runners.dataflow.plans import CollectPlan, SubmitPlan, TemplatePlan
from beambench.runners.direct.runner import DIRECT
from beambench.workloads.base import Label, Parameters, Weights, Workload

if TYPE_CHECKING:
    from apache_beam.ml.inference.base import ModelHandler

OUTPUTS = 8
BATCH = 8
"""Every batch but the last has this many elements."""


class TinyParameters(Parameters):
    """What the workload gives, and how its handler is broken.

    `labels`: `class` (arg-max of 8), `number` (one for each element), `two` (classes), `constant`.
    `evidence`: `plain` outputs, `parallel` ones as random weights give them, or `none`.
    `fail_at`: elements that fail, in the stage `stage`.
    """

    labels: Literal["class", "number", "two", "constant"] = "class"
    evidence: Literal["plain", "parallel", "none", "empty"] = "plain"
    fault: str = "none"
    fail_at: tuple[int, ...] = ()
    stage: Literal["read", "preprocess", "inference", "postprocess", "evidence", "quantities"] = (
        "inference"
    )


def outputs_of(number: int, evidence: str) -> list[float]:
    """Return the outputs of a model for a number: different ones for different numbers."""
    source = random.Random(number)
    values = [source.random() for _ in range(OUTPUTS)]
    return [1000 + value for value in values] if evidence == "parallel" else values


class Tiny(Workload):
    """Reads numbers, and classifies them with a handler that may be broken."""

    transform: ClassVar[str] = "TinyRunInference"
    input_types: ClassVar[tuple[str, ...]] = ("numbers",)
    parameters_type: ClassVar[type[Parameters]] = TinyParameters

    def model_handler(self) -> ModelHandler[Any, Any, Any]:
        from tiny_handlers import TinyHandler

        batching = self.definition.batching
        chosen: TinyParameters = self.parameters
        fails = chosen.fail_at if chosen.stage == "inference" else ()
        return TinyHandler(
            chosen.fault,
            chosen.evidence,
            fails,
            min_batch_size=batching.min_batch_size,
            max_batch_size=batching.max_batch_size,
        )

    def _fail(self, stage: str, element: str) -> None:
        chosen: TinyParameters = self.parameters
        if chosen.stage == stage and int(element) in chosen.fail_at:
            raise ValueError(f"{stage} of {element}\nwith a second line")

    def read(self, path: str) -> bytes:
        self._fail("read", path)
        return path.encode()

    def preprocess(self, raw: bytes) -> int:
        self._fail("preprocess", raw.decode())
        return int(raw)

    def postprocess(self, prediction: Any) -> Label:
        self._fail("postprocess", str(prediction.example))
        outputs, kind = prediction.inference, self.parameters.labels
        best = max(range(OUTPUTS), key=outputs.__getitem__)
        labels: dict[str, Label] = {"class": best, "two": best % 2, "constant": 0}
        return labels.get(kind, f"{outputs[0]:.9f}")

    def evidence(self, prediction: Any) -> list[float] | None:
        self._fail("evidence", str(prediction.example))
        kind = self.parameters.evidence
        return None if kind == "none" else [] if kind == "empty" else list(prediction.inference)

    def quantities(self, prediction: Any) -> dict[str, int]:
        self._fail("quantities", str(prediction.example))
        return {"units": int(prediction.example), "nothing": 0}


class Echo(Workload):
    """Gives every id back as its own label, whatever its text."""

    transform: ClassVar[str] = "PyTorchRunInference"
    input_types: ClassVar[tuple[str, ...]] = ("numbers",)

    def model_handler(self) -> ModelHandler[Any, Any, Any]:
        from beambench.workloads.noop_handler import NoopModelHandler

        batching = self.definition.batching
        return NoopModelHandler(
            min_batch_size=batching.min_batch_size, max_batch_size=batching.max_batch_size
        )

    def postprocess(self, prediction: Any) -> Label:
        return f"label of {prediction.inference}"


class Where(Tiny):
    """Labels each element with the process that worked on it, and the threads of torch there."""

    def postprocess(self, prediction: Any) -> Label:
        import torch

        return f"{os.getpid()} {torch.get_num_threads()}"


class OnTorch(Workload):
    """Reads numbers, and gives them to a linear layer through Beam's handler for PyTorch."""

    input_types: ClassVar[tuple[str, ...]] = ("numbers",)

    @classmethod
    def fetch_weights(cls, definition: Definition, seed: int, cache: Path) -> Weights:
        import torch

        cache.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(seed)
        torch.save(torch.nn.Linear(1, OUTPUTS).state_dict(), cache / "linear.pth")
        return Weights(cache / "linear.pth")

    def model_handler(self) -> ModelHandler[Any, Any, Any]:
        import torch
        from apache_beam.ml.inference.pytorch_inference import PytorchModelHandlerTensor

        return PytorchModelHandlerTensor(
            state_dict_path=str(self.weights.path),
            model_class=torch.nn.Linear,
            model_params={"in_features": 1, "out_features": OUTPUTS},
            device=self.definition.model.device.upper(),
            **self.handler_options(),
        )

    def preprocess(self, raw: Any) -> Any:
        import torch

        return torch.tensor([float(raw)])

    def postprocess(self, prediction: Any) -> Label:
        return int(prediction.inference.argmax())

    def evidence(self, prediction: Any) -> list[float]:
        values: list[float] = prediction.inference.tolist()
        return values


def definition(workload: str = "tiny_workloads:Tiny", **changed: Any) -> Definition:
    """Return a definition of a tiny workload, with batches of `BATCH`."""
    parts: dict[str, Any] = {
        "name": "tiny",
        "title": "Tiny",
        "workload": workload,
        "model": {"name": "tiny", "weights": "none"},
        "input": {"type": "numbers", "source": "synthetic"},
        "batching": {"min_batch_size": BATCH, "max_batch_size": BATCH},
        "profiles": {"smoke": {"limit": 8, "repeats": 1, "timeout": 60, "slot_seconds": 1}},
    }
    return Definition.model_validate({**parts, **changed})


JOB = {"job_name": "tiny-job", "variant": "stock", "profile": "smoke"}
PLANS: dict[str, tuple[type[BenchmarkPlan], dict[str, Any]]] = {
    "prepare": (PreparePlan, {}),
    "reference": (ReferencePlan, {}),
    "calibrate": (CalibratePlan, {}),
    "loop": (LoopPlan, {"batch_sizes": []}),
    "pipeline": (PipelinePlan, {"pipeline_function": DIRECT.pipeline}),
    "template": (TemplatePlan, JOB),
    "submit": (SubmitPlan, JOB),
    "collect": (CollectPlan, JOB),
}
"""Class of the plan of each task, and what it says beside what all do."""
NOTHING_PREPARED = {"root": "", "ids_file": "ids.txt", "count": 0, "sample": []}


def make_plan(folder: Path, task: str = "pipeline", /, **changed: Any) -> Any:
    """Return a plan for a tiny workload that works in `folder`."""
    kind, own = PLANS[task]
    parts: dict[str, Any] = {
        "definition": definition(),
        "seed": 0,
        "source": "synthetic",
        "limit": 40,
        "work_dir": str(folder),
        "cache_dir": str(folder / "cache"),
        "project_dir": str(folder),
        "epoch_ns": 0,
        "slot_us": 1_000_000,
    }
    prepared = {} if kind is PreparePlan else {"preparation": NOTHING_PREPARED}
    return kind.model_validate({**parts, **prepared, **own, **changed})


def for_task(plan: BenchmarkPlan, task: str, /, **changed: Any) -> Any:
    """Return a plan of the same benchmark for another task."""
    kind, own = PLANS[task]
    names = kind.model_fields.keys() & type(plan).model_fields.keys() - {"task", "function"}
    same = {name: getattr(plan, name) for name in names}
    prepared = {"preparation": NOTHING_PREPARED} if kind is not PreparePlan else {}
    return kind.model_validate({**prepared, **own, **same, **changed})


def prepared(
    folder: Path, ids: list[str], sample: list[str] | None = None, **changed: Any
) -> Preparation:
    """Write the list of ids, and return the preparation that names it."""
    ids_file = folder / "ids.txt"
    ids_file.write_text("".join(f"{element_id}\n" for element_id in ids), "utf-8")
    parts: dict[str, Any] = {
        "root": "",
        "ids_file": str(ids_file),
        "count": len(ids),
        "sample": list(dict.fromkeys(ids))[:32] if sample is None else sample,
    }
    return Preparation.model_validate({**parts, **changed})
