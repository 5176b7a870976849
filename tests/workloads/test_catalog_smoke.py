"""Every benchmark of the catalog as a user runs it: `smoke` succeeds, or refuses with one line."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beambench.definition.library import Library
from beambench.definition.schema import Definition
from beambench.machine.devices import cuda_devices
from beambench.store import sqlite_url
from fast_runs import CommandLine, command_line

# Minutes where another test compiles a model or starts a server beside it.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

LIBRARY = Library()
SWITCHES = {
    "sklearn-digits": ("pandas", "large-model", "model-copies", "per-key", "max-batch-duration"),
    "huggingface-pipeline-minilm": ("tuned-batch-size", "tuned"),
    "remote-endpoint": ("refusing",),
    "pytorch-image-classification-efficientnet-lite0": ("tuned",),
    "pytorch-language-modeling-bert-base": ("tuned",),
    "pytorch-sentiment-distilbert-batch": ("tuned",),
    "pytorch-text-embedding-minilm": ("tuned",),
}
"""Variants that turn another switch of Beam or of the handler than `stock`."""

ELSEWHERE = ("vllm-gemma-2b-batch",)
"""Smoked with questions of its own: in tests/experiments/test_run_vllm.py."""

FEW = 12
"""Elements of the benchmarks whose model takes a second for one."""


def resolved(name: str, variant: str) -> Definition:
    return LIBRARY.resolve(name, variant=variant, profile="smoke").definition


def refusal(definition: Definition) -> str | None:
    """Return what the line must say if this benchmark cannot be run here."""
    if definition.scenario == "streaming":
        return "the streaming scenario cannot be run yet"
    if definition.model.device == "gpu" and not cuda_devices().count:
        return "needs a GPU"
    return None


ALL = [
    *((name, "stock") for name in LIBRARY.names()),
    *((name, variant) for name, variants in SWITCHES.items() for variant in variants),
]
REFUSING = [pair for pair in ALL if refusal(resolved(*pair)) is not None]
RUNNABLE = [pair for pair in ALL if pair not in REFUSING and pair[0] not in ELSEWHERE]


def elements(name: str, variant: str) -> int:
    return FEW if name.startswith("pytorch-") else resolved(name, variant).profiles["smoke"].limit


def smoke(folder: Path, name: str, variant: str) -> tuple[int, CommandLine]:
    arguments = ("run", name, "--profile", "smoke", "--variant", variant, "--json")
    arguments += ("--limit", str(elements(name, variant)))
    url = sqlite_url(folder / "runs.db")
    with command_line(folder / "here", *arguments, "--store", url) as cli:
        code = cli.end(560)
        assert cli.processes() == {}
    return code, cli


Smoked = Callable[[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def smoked(shared_folder: Path) -> Smoked:
    """Return the record of a smoke run that succeeded; each is run once for all processes."""

    def record(name: str, variant: str) -> dict[str, Any]:
        folder = shared_folder / f"smoke-{name}-{variant}"
        folder.mkdir(exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = folder / "record.json"
            if not kept.exists():
                code, cli = smoke(folder, name, variant)
                assert code == 0, cli.errors
                kept.write_text(cli.output)
        record: dict[str, Any] = json.loads(kept.read_text())
        return record

    return record


@pytest.mark.parametrize(("name", "variant"), RUNNABLE)
def test_smoke_succeeds(smoked, name, variant):
    record = smoked(name, variant)
    verification = record["verification"]
    assert (record["status"], verification["passed"]) == ("succeeded", True)
    assert verification["elements_failed"] == 0
    assert verification["elements_out"] == elements(name, variant)
    assert verification["reference_agreement"] >= 0.99
    for repeat in record["repeats"]:
        differences = repeat["cross_check"]["differences"]
        assert [line for line in differences if not line.startswith("batch latency: ")] == []


@pytest.mark.parametrize(("name", "variant"), REFUSING)
def test_what_cannot_run_here_refuses_with_one_line(tmp_path, name, variant):
    code, cli = smoke(tmp_path, name, variant)
    words = refusal(resolved(name, variant))
    assert code == 3
    assert cli.output == ""
    (line,) = cli.errors.splitlines()
    assert words is not None
    assert words in line


LOADS = {"stock": 1, "large-model": 1, "model-copies": 2, "per-key": 2}


@pytest.mark.parametrize("variant", sorted(LOADS))
def test_every_load_of_a_shared_model_is_counted(smoked, variant):
    metrics = smoked("sklearn-digits", variant)["metrics"]
    assert metrics["model_loads"]["value"] == LOADS[variant]
    assert metrics["model_load_latency_mean"]["value"] > 0


def test_models_per_key_see_one_element_at_a_time(smoked):
    record = smoked("sklearn-digits", "per-key")
    assert record["metrics"]["inference_batch_size_mean"]["value"] == 1
    (repeat,) = record["repeats"]
    assert repeat["cross_check"]["reason"].startswith("models per key")
    # Beam's batches are those of a model, and so there are fewer of them.
    batches = repeat["beam_metrics"]["inference_request_batch_size"]
    assert batches["sum"] == 200
    assert batches["count"] < 200


def test_refused_requests_are_tried_again_and_no_element_fails(smoked):
    (repeat,) = smoked("remote-endpoint", "refusing")["repeats"]
    assert repeat["batches_retried"] == 0  # Beam's handler tried again, ours had nothing to do
    # Beam waits 2.5 s at least before it tries again.
    assert repeat["beam_metrics"]["inference_batch_latency_micro_secs"]["max"] >= 2_500_000
