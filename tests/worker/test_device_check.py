"""A benchmark for a GPU on this CPU, to which Beam only logs that it switches: the run ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from beambench.machine.tree_cpu import WORKER_PID
from beambench.record.observation import Observation
from beambench.worker import __main__ as worker
from beambench.worker import loop, tasks
from beambench.workloads.base import Weights
from tiny_workloads import OnTorch, definition, make_plan, prepared

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU"),
]

IDS = [str(number) for number in range(24)]
LINE = "model.device gpu: after the load the model is on cpu ("


def plan(folder: Path, task: str, **model: Any) -> Any:
    whole = definition(
        "tiny_workloads:OnTorch", model={"name": "linear", "weights": "random", **model}
    )
    weights = OnTorch.fetch_weights(whole, 0, folder / "cache")
    chosen = prepared(folder, IDS, sample=IDS[:8], weights_path=str(weights.path))
    sizes = {"batch_sizes": [8]} if task == "loop" else {}
    return make_plan(folder, task, definition=whole, preparation=chosen, **sizes)


@pytest.mark.parametrize(
    ("task", "large"),
    [
        ("reference", False),
        ("loop", False),
        ("calibrate", False),
        ("pipeline", False),
        ("pipeline", True),  # the model is loaded in a process of its own
    ],
)
def test_every_task_that_loads_the_model_ends_with_one_line(tmp_path, monkeypatch, task, large):
    monkeypatch.setenv(WORKER_PID, "")  # main sets it, and it is gone after the test
    told = plan(tmp_path, task, device="gpu", large=large)
    (tmp_path / "plan.json").write_text(told.model_dump_json())
    assert worker.main(str(tmp_path / "plan.json"), str(tmp_path / "result.json")) == 1
    observation = Observation.model_validate_json((tmp_path / "result.json").read_text())
    assert observation.error is not None
    assert observation.error.kind == "run"
    assert observation.error.message.startswith(LINE)
    assert observation.error.message.endswith("--set model.device=cpu")


@pytest.mark.parametrize("task", ["loop", "pipeline"])
def test_the_device_of_a_run_on_the_cpu_is_recorded_and_nothing_is_launched(tmp_path, task):
    run = {"loop": tasks.run_loop, "pipeline": tasks.run_pipeline}[task]
    measured = run(plan(tmp_path, task)).measured
    assert measured is not None
    [device] = measured.devices
    assert (device.device, device.reason, device.loads) == ("cpu", None, 1)
    assert measured.launch_latency is None


def test_the_loop_waits_for_the_device_and_keeps_the_launch(tmp_path, monkeypatch):
    waited: list[int] = []
    monkeypatch.setattr(loop, "synchronise", lambda: waited.append(1) or True)
    measured = tasks.run_loop(plan(tmp_path, "loop")).measured
    assert measured is not None
    assert measured.launch_latency is not None
    assert measured.batch_latency is not None
    assert measured.launch_latency.count == measured.batch_latency.count == 3
    assert measured.launch_latency.sum <= measured.batch_latency.sum
    assert len(waited) == 1 + 2 * 3  # after the load, and around each batch


def test_a_retried_element_is_waited_for_too(tmp_path, monkeypatch):
    waited: list[int] = []
    monkeypatch.setattr(loop, "synchronise", lambda: waited.append(1) or True)
    run = OnTorch.model_handler

    def failing(self: OnTorch) -> Any:
        handler = run(self)
        infer = handler.run_inference

        def alone(batch: Any, *rest: Any) -> Any:
            if len(batch) > 1:
                raise ValueError("too many")
            return infer(batch, *rest)

        handler.run_inference = alone
        return handler

    monkeypatch.setattr(OnTorch, "model_handler", failing)
    measured = tasks.run_loop(plan(tmp_path, "loop")).measured
    assert measured is not None
    assert (measured.retried_batches, measured.launch_latency) == (3, None)
    assert len(waited) == 1 + 3 + len(IDS)


def test_a_model_that_is_elsewhere_or_served_is_held_against_a_gpu_alone(monkeypatch):
    for runs, asked, checked in [
        ("in_worker", "cpu", "cpu"),
        ("in_worker", "gpu", "gpu"),
        ("server", "cpu", None),
        ("server", "gpu", "gpu"),
        ("elsewhere", "cpu", None),
    ]:
        monkeypatch.setattr(OnTorch, "model_runs", runs)
        model = {"name": "linear", "weights": "random", "device": asked}
        made = OnTorch(definition("tiny_workloads:OnTorch", model=model), Weights(None))
        assert made.checked_device() == checked
