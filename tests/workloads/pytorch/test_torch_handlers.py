"""The tuned handlers: the pixels of stock, and a compiled model whatever the size of the batch."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from beambench.workloads.base import Weights
from beambench.workloads.images import classification
from beambench.workloads.images.classification import ImageClassification
from beambench.workloads.pytorch.handlers import TunedImageHandler, pad
from image_benchmarks import EFFICIENTNET, RESNET
from text_benchmarks import BERT, of_catalog
from text_benchmarks import without_weights as text_without_weights

pytestmark = pytest.mark.real

FILES = ("china.jpg", "flower.jpg")


def tiny_network(name: str) -> Any:
    """A convolution that stands in for a ResNet: it is loaded and compiled in seconds."""
    import torch

    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 7, stride=16),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(4),
        torch.nn.Flatten(),
        torch.nn.Linear(64, 10),
    )


@pytest.fixture
def make(monkeypatch, tmp_path):
    """Make a workload of a variant around the tiny network."""
    monkeypatch.setattr(classification, "build_model", tiny_network)

    def make(variant: str, *overrides: str) -> ImageClassification:
        definition = of_catalog(RESNET.format(101), variant, *overrides)
        made = ImageClassification(
            definition, ImageClassification.fetch_weights(definition, 0, tmp_path)
        )
        made.set_up()
        return made

    return make


def predicted(made: ImageClassification, paths: list[Path]) -> list[Any]:
    handler = made.model_handler()
    model = handler.load_model()
    examples = [made.preprocess(made.read(str(path))) for path in paths]
    return list(handler.run_inference(examples, model))


# --- pixels


@pytest.mark.parametrize("benchmark_name", [EFFICIENTNET, RESNET.format(101)])
@pytest.mark.parametrize("variant", ["tuned-batched", "tuned-decode"])
def test_pixels_are_those_of_stock_to_a_millionth(photographs, benchmark_name, variant):
    import torch

    seen: list[Any] = []

    class Seeing(torch.nn.Module):
        def forward(self, images: Any) -> Any:
            seen.append(images)
            return images.flatten(1)[:, :10]

    stock, other = (
        ImageClassification(of_catalog(benchmark_name, name), Weights(None))
        for name in ("stock", variant)
    )
    raw = [other.read(str(photographs / name)) for name in FILES]
    handler = other.model_handler()
    results = list(handler.run_inference([other.preprocess(output) for output in raw], Seeing()))
    assert len(results) == len(FILES)
    expected = torch.stack([stock.preprocess(output) for output in raw])
    assert seen[0].dtype == expected.dtype == torch.float32
    assert (seen[0] - expected).abs().max() <= 1e-6


def test_pixels_in_the_order_of_the_batch_whichever_thread_was_first(make, photographs):
    import torch

    paths = [photographs / FILES[index % 3 % 2] for index in range(12)]
    expected = predicted(make("stock"), paths)
    predictions = predicted(make("tuned-decode"), paths)
    for prediction, reference in zip(predictions, expected, strict=True):
        assert torch.allclose(prediction.inference, reference.inference, atol=1e-5)
    assert not torch.allclose(expected[0].inference, expected[1].inference, atol=1e-3)


def test_an_image_that_cannot_be_decoded_fails_alone(make, photographs):
    from beambench.instrumentation.failures import ElementFailure
    from beambench.instrumentation.handler import InstrumentedModelHandler
    from beambench.instrumentation.recorder import PlanClock

    made = make("tuned-decode")
    handler = InstrumentedModelHandler(made.model_handler(), PlanClock(0, 1_000_000))
    raw = made.read(str(photographs / FILES[0]))
    results = list(handler.run_inference([raw, raw[:50], raw], handler.load_model()))
    assert [type(result.inference) is ElementFailure for result in results] == [False, True, False]


# --- the model


def test_a_compiled_model_fills_up_a_smaller_batch(make, photographs):
    import torch

    overrides = ["parameters.compiled_batch_size=4", "batching.max_batch_size=4"]
    overrides.append("batching.min_batch_size=4")
    for count in (2, 4):
        paths = [photographs / FILES[index % 2] for index in range(count)]
        expected = predicted(make("stock"), paths)
        predictions = predicted(make("tuned-compiled", *overrides), paths)
        assert len(predictions) == count
        for prediction, reference in zip(predictions, expected, strict=True):
            assert torch.allclose(prediction.inference, reference.inference, atol=1e-4)


@pytest.mark.parametrize(
    ("variant", "dtype", "channels_last"),
    [
        ("tuned-bf16", "bfloat16", False),
        ("tuned-channels-last", "float32", True),
        ("tuned-batched", "float32", False),
    ],
)
def test_precision_and_memory_format_are_those_that_were_asked_for(
    make, photographs, variant, dtype, channels_last
):
    import torch

    made = make(variant)
    assert type(made.model_handler()) is TunedImageHandler
    model = made.model_handler().load_model()
    assert {str(parameter.dtype) for parameter in model.parameters()} == {f"torch.{dtype}"}
    kernel = model[0].weight
    assert kernel.is_contiguous(memory_format=torch.channels_last) is channels_last
    assert kernel.is_contiguous() is not channels_last
    paths = [photographs / name for name in FILES]
    for prediction, reference in zip(
        predicted(made, paths), predicted(make("stock"), paths), strict=True
    ):
        assert prediction.inference.dtype == torch.float32
        assert torch.cosine_similarity(prediction.inference, reference.inference, dim=0) > 0.999


@pytest.mark.parametrize("variant", ["stock", "tuned-fixed-batch", "tuned-one-thread"])
def test_a_variant_that_computes_the_same_uses_beams_own_handler(make, variant):
    from apache_beam.ml.inference.pytorch_inference import PytorchModelHandlerTensor

    assert type(make(variant).model_handler()) is PytorchModelHandlerTensor


def test_a_tuned_handler_travels_to_a_worker(make, photographs):
    handler = pickle.loads(pickle.dumps(make("tuned-decode").model_handler()))
    raw = (photographs / FILES[0]).read_bytes()
    [result] = handler.run_inference([raw], tiny_network(""))
    assert result.inference.shape == (10,)


def test_the_size_of_a_batch_is_that_of_what_it_holds(make, photographs):
    raw = (photographs / FILES[0]).read_bytes()
    decoding, batched = make("tuned-decode"), make("tuned-batched")
    assert decoding.model_handler().get_num_bytes([decoding.preprocess(raw)] * 2) == 2 * len(raw)
    assert batched.model_handler().get_num_bytes([batched.preprocess(raw)]) == 224 * 224 * 3


# --- options of Beam's handlers


@pytest.mark.parametrize("variant", ["stock", "tuned"])
def test_one_copy_for_all_processes_and_several_copies_reach_the_handler(make, variant):
    large = make(variant, "model.large=true").model_handler()
    assert large.share_model_across_processes() is True
    copies = make(variant, "model.copies=3").model_handler()
    assert copies.model_copies() == 3
    assert copies.share_model_across_processes() is True  # as Beam decides
    neither = make(variant).model_handler()
    assert (neither.share_model_across_processes(), neither.model_copies()) == (False, 1)


@pytest.mark.parametrize("variant", ["stock", "tuned"])
def test_the_same_options_reach_the_handler_of_sentences(variant):
    made = text_without_weights(of_catalog(BERT, variant, "model.large=true", "model.copies=2"))
    handler = made.model_handler()
    assert (handler.share_model_across_processes(), handler.model_copies()) == (True, 2)


def test_batching_by_length_reaches_beam_and_measures_tokens():
    made = text_without_weights(of_catalog(BERT, "tuned-buckets"))
    options = dict(made.model_handler().batch_elements_kwargs())
    length_fn = options.pop("length_fn")
    assert options == {
        "min_batch_size": 16,
        "max_batch_size": 16,
        "max_batch_duration_secs": 60,
        "bucket_boundaries": [8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 128],
    }
    assert length_fn(("1", made.preprocess(b"Good morning"))) == 4  # [CLS] [MASK] morning [SEP]


def test_padding_is_zero_and_masked():
    import torch

    short, long = torch.tensor([5, 6]), torch.tensor([7, 8, 9])
    padded = pad(
        [{"input_ids": text, "attention_mask": torch.ones_like(text)} for text in (short, long)]
    )
    assert padded["input_ids"].tolist() == [[5, 6, 0], [7, 8, 9]]
    assert padded["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
