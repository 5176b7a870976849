"""What `model.precision: auto` comes to, by measurement here and by the machine type elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from beambench.definition.library import Library
from beambench.definition.plan import with_choices
from beambench.definition.schema import Definition
from beambench.record.run_record import Choice
from beambench.workloads.base import Weights
from beambench.workloads.images.classification import ImageClassification
from beambench.workloads.pytorch import choices
from beambench.workloads.pytorch.choices import precision_choices
from image_benchmarks import RESNET
from text_benchmarks import BERT

T4 = RESNET.format("152-t4")


def definition(benchmark: str = BERT, *overrides: str, variant: str = "tuned") -> Definition:
    return Library().resolve(benchmark, variant=variant, overrides=overrides).definition


def precision(made: Definition, *, here: bool) -> Choice:
    [choice] = precision_choices(made, here=here)
    assert choice.setting == "model.precision"
    return choice


# --- elsewhere: the machine type decides


@pytest.mark.parametrize(
    ("machine_type", "expected", "reason"),
    [
        ("n1-standard-2", "float32", "not every CPU that n1-standard-2 may get"),
        ("n2-standard-2", "float32", "not every CPU that n2-standard-2 may get"),
        ("c3-standard-4", "bfloat16", "every CPU of c3-standard-4 has amx_bf16"),
        ("z9-mega-1", "float32", "z9-mega-1 multiplies is not known"),
    ],
)
def test_on_a_cluster_the_machine_type_decides(machine_type, expected, reason):
    choice = precision(definition(BERT, f"cluster.machine_type={machine_type}"), here=False)
    assert choice.value == expected
    assert reason in choice.reason


@pytest.mark.parametrize(
    ("accelerator", "expected"),
    [
        ("nvidia-tesla-t4", "float16"),
        ("nvidia-tesla-p4", "float32"),
        ("nvidia-l4", "bfloat16"),
        ("nvidia-tesla-a100", "bfloat16"),
    ],
)
def test_on_a_cluster_with_gpus_the_accelerator_decides(accelerator, expected):
    made = definition(T4, "model.precision=auto", f"cluster.accelerator.type={accelerator}")
    choice = precision(made, here=False)
    assert (choice.value, accelerator in choice.reason) == (expected, True)


def test_a_precision_that_is_named_is_no_choice():
    for variant in ("stock", "tuned-bf16"):
        made = definition(variant=variant)
        assert precision_choices(made, here=False) == []
        assert with_choices(made, [Choice(setting="model.precision", value="x", reason="")]) == made


# --- here: a product is timed


@pytest.fixture
def timed(monkeypatch):
    """Give the product, or a batch, these seconds in turn instead of running it."""

    def timed(*seconds: float) -> None:
        given = iter(seconds)
        monkeypatch.setattr(choices, "_seconds", lambda _: next(given))

    return timed


@pytest.mark.real
@pytest.mark.parametrize(
    ("float32", "bfloat16", "expected"),
    [
        (0.010, 0.002, "bfloat16"),  # tiles
        (0.010, 0.006, "bfloat16"),  # vectors
        (0.010, 0.009, "float32"),  # too little for what rounding does to the outputs
        (0.010, 0.050, "float32"),  # no instructions for it
    ],
)
def test_bfloat16_is_taken_where_it_multiplies_faster(timed, float32, bfloat16, expected):
    noise = [3.0, 1.0, 2.0, 1.5, 4.0]  # the fastest of five counts
    timed(*(base * factor for factor in noise for base in (float32, bfloat16)))
    choice = precision(definition(), here=True)
    assert choice.value == expected
    assert f"{float32 * 1e3:.3g} ms in float32 and {bfloat16 * 1e3:.3g} ms" in choice.reason


# --- compiled where it pays


def tiny_network(name: str) -> Any:
    import torch

    return torch.nn.Sequential(torch.nn.Conv2d(3, 2, 7, stride=32), torch.nn.Flatten())


@pytest.fixture
def image_choices(monkeypatch, tmp_path):
    """Return what a tuned ResNet leaves open comes to, around a tiny network."""
    import torch

    from beambench.workloads.images import classification

    monkeypatch.setattr(classification, "build_model", tiny_network)
    path = tmp_path / "weights.pth"
    torch.save(tiny_network("").state_dict(), path)
    made = definition(RESNET.format(101), "model.size_mib=null")

    def image_choices() -> list[Choice]:
        return ImageClassification.choices(made, Weights(path), here=True)

    return image_choices


PRODUCTS = [0.010, 0.050] * choices.ROUNDS


@pytest.mark.real
@pytest.mark.parametrize(("compiled", "expected"), [(0.8, 16), (1.2, None)])
def test_a_model_is_compiled_where_that_is_faster(
    image_choices, timed, monkeypatch, compiled, expected
):
    import torch

    monkeypatch.setattr(torch, "compile", lambda model, **_: model)
    timed(*PRODUCTS, 1.0, 1.1, compiled, compiled + 0.1)
    in_precision, in_compiled = image_choices()
    assert in_precision.value == "float32"
    assert in_compiled == Choice(
        setting="parameters.compiled_batch_size",
        value=expected,
        reason=f"a batch of 16 takes 1e+03 ms, compiled {compiled * 1e3:.3g} ms (best of 2)",
    )


@pytest.mark.real
def test_a_model_that_cannot_be_compiled_is_run_as_it_is(image_choices, timed, monkeypatch):
    import torch

    def refuse(model: Any, **_: Any) -> Any:
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nin a list")

    monkeypatch.setattr(torch, "compile", refuse)
    timed(*PRODUCTS, 1.0, 1.1)
    choice = image_choices()[1]
    assert choice.value is None
    assert choice.reason == (
        "it cannot be compiled here: InvalidCxxCompiler: No working C++ compiler found"
    )
