"""Loading one copy of the weights: the model takes the file's tensors over, all of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from beambench.workloads.images import classification
from beambench.workloads.pytorch.handlers import Optimisation
from beambench.workloads.pytorch.models import adopting, save_state_dict, uninitialised
from beambench.workloads.text import base as text
from text_benchmarks import tiny_bert, tiny_bert_for_masked_lm, tiny_distilbert

pytestmark = pytest.mark.real


def resnet18() -> Any:
    return classification.build_model("resnet18")


def built_resnet18() -> Any:
    return classification.built("resnet18")


def sentence() -> dict[str, Any]:
    import torch

    tokens = torch.tensor([[101, 2204, 103, 2851, 102]])
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}


def photograph() -> dict[str, Any]:
    import torch

    return {"x": torch.linspace(-2, 2, 3 * 64 * 64).view(1, 3, 64, 64)}


MODELS: list[tuple[Callable[[], Any], Callable[[], Any], Callable[[], dict[str, Any]]]] = [
    *(
        (build, lambda build=build: text.built(build), sentence)
        for build in (tiny_bert_for_masked_lm, tiny_bert, tiny_distilbert)
    ),
    (resnet18, built_resnet18, photograph),
]


@pytest.mark.parametrize(
    ("build", "built", "example"), MODELS, ids=["masked-lm", "bert", "distilbert", "resnet18"]
)
def test_a_model_that_took_over_is_the_one_that_copied(tmp_path, build, built, example):
    import torch

    torch.manual_seed(0)
    original = build().eval()
    save_state_dict(original.state_dict(), tmp_path / "w.pth")
    state_dict = torch.load(tmp_path / "w.pth", weights_only=True)
    model = built()
    model.load_state_dict(state_dict)
    model.eval()
    own = model.state_dict()
    assert set(own) == set(state_dict)
    assert {key for key in own if own[key].data_ptr() != state_dict[key].data_ptr()} == set()
    buffers = dict(original.named_buffers())  # those that are not in the file too
    assert {
        key for key, buffer in model.named_buffers() if not torch.equal(buffer, buffers[key])
    } == set()
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    with torch.inference_mode():
        outputs, expected = model(**example()), original(**example())
    for tensor, other in zip(_tensors(outputs), _tensors(expected), strict=True):
        assert torch.equal(tensor, other)


def _tensors(output: Any) -> list[Any]:
    return list(output.values()) if isinstance(output, dict) else [output]


def test_tied_weights_stay_tied_and_are_cast_once():
    import torch

    model = text.built(tiny_bert_for_masked_lm)
    model.load_state_dict(tiny_bert_for_masked_lm().state_dict())
    cast = Optimisation(dtype=torch.bfloat16).applied(model)
    embedding: Any = cast.bert.embeddings.word_embeddings.weight
    decoder: Any = cast.cls.predictions.decoder.weight
    assert decoder.data_ptr() == embedding.data_ptr()
    assert decoder.dtype == embedding.dtype == torch.bfloat16
    assert {parameter.dtype for parameter in cast.parameters()} == {torch.bfloat16}


def test_a_file_in_half_precision_is_computed_in_the_precision_that_is_recorded():
    import torch

    model = built_resnet18()
    model.load_state_dict(resnet18().half().state_dict())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_weights_of_another_model_are_refused():
    with pytest.raises(RuntimeError, match="Missing key"):
        built_resnet18().load_state_dict({})


def test_initialisation_is_back_afterwards_even_if_building_fails():
    import torch

    before = dict(vars(torch.nn.init))
    with uninitialised():
        assert torch.nn.init.normal_ is not before["normal_"]
    assert dict(vars(torch.nn.init)) == before
    with pytest.raises(KeyError), uninitialised():
        raise KeyError
    assert dict(vars(torch.nn.init)) == before


LOAD = """
import sys
from pathlib import Path

import torch
from beambench.workloads.pytorch.models import adopting, uninitialised

def peak():
    # Not getrusage: what it reports goes back to before exec, so to the test's own process.
    [line] = [l for l in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in l]
    return int(line.split()[1]) // 1024

torch.ones(4) @ torch.ones(4)
before = peak()
with uninitialised():
    model = torch.nn.Sequential(*(torch.nn.Linear(2560, 2560, bias=False) for _ in range(16)))
if sys.argv[2] == "adopting":
    model = adopting(model)
model.load_state_dict(torch.load(sys.argv[1], weights_only=True))
print(peak() - before)
"""


def test_while_a_model_loads_there_is_one_copy_of_its_weights(tmp_path):
    import torch

    weight = torch.ones(2560, 2560)
    size_mib = 16 * weight.nbytes / (1 << 20)  # 400 MiB
    path = tmp_path / "w.pth"
    save_state_dict({f"{index}.weight": weight.clone() for index in range(16)}, path)

    def peak(how: str) -> int:
        command = [sys.executable, "-c", LOAD, str(path), how]
        return int(subprocess.run(command, check=True, capture_output=True).stdout)

    assert peak("adopting") < 1.5 * size_mib
    assert peak("copying") > 1.5 * size_mib  # what the measurement would see otherwise


def test_an_adopting_model_is_the_one_that_was_given():
    model = resnet18()
    assert adopting(model) is model
