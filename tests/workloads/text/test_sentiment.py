"""Sentiment: the tokens and labels of Beam's example, and the same logits however batched."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest

from beambench.workloads.text.base import packaged_encoder
from text_benchmarks import LINES, SENTIMENT, make, of_catalog, predicted, shrink, without_weights

pytestmark = pytest.mark.real

LONG = " ".join(["word"] * 200)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    shrink(monkeypatch)


@pytest.fixture
def example(monkeypatch) -> ModuleType:
    """Beam's example, which imports a client of Pub/Sub that only its streaming needs."""
    importlib.import_module("apache_beam")  # which looks for parts of google that are there
    try:
        import google.cloud.pubsub_v1  # noqa: F401
    except ImportError:
        cloud = ModuleType("google.cloud")
        monkeypatch.setattr(cloud, "pubsub_v1", None, raising=False)
        monkeypatch.setitem(sys.modules, "google.cloud", cloud)
    return importlib.import_module("apache_beam.examples.inference.pytorch_sentiment")


@pytest.mark.parametrize("text", [*LINES, LONG, "..."])
def test_tokens_are_those_of_beams_example(example, text):
    import torch

    theirs = example.TokenizeTextDoFn(str(packaged_encoder()))
    theirs.setup()
    [(_, expected)] = theirs.process(text)
    tokens = without_weights(of_catalog(SENTIMENT)).preprocess(text.encode())
    assert set(tokens) == set(expected) == {"input_ids", "attention_mask"}
    assert tokens["input_ids"].shape == (128,)
    for key, value in tokens.items():
        assert torch.equal(value, expected[key]), key


def test_labels_are_those_of_beams_example(example, tmp_path):
    made = make(of_catalog(SENTIMENT), tmp_path)
    for text, prediction in zip(LINES, predicted(made, LINES), strict=True):
        [row] = example.SentimentPostProcessor().process((text, prediction))
        assert made.postprocess(prediction) == row["sentiment"]


def test_both_labels_can_come_out():
    import torch

    made = without_weights(of_catalog(SENTIMENT))

    class Prediction:
        def __init__(self, *logits: float) -> None:
            self.inference = {"logits": torch.tensor(logits)}

    assert made.postprocess(Prediction(0.1, 0.9)) == "POSITIVE"
    assert made.postprocess(Prediction(0.9, 0.1)) == "NEGATIVE"
    assert made.evidence(Prediction(0.25, 0.75)) == [0.25, 0.75]


def test_the_stock_handler_is_beams_own_in_its_default_batches(tmp_path):
    from apache_beam.ml.inference.pytorch_inference import PytorchModelHandlerKeyedTensor

    made = make(of_catalog(SENTIMENT), tmp_path)
    handler = made.model_handler()
    assert type(handler) is PytorchModelHandlerKeyedTensor
    assert handler.batch_elements_kwargs() == {}
    assert (made.transform, made.preprocess_transform, made.postprocess_transform) == (
        "RunInference",
        "Tokenize",
        "PostProcess",
    )


@pytest.mark.parametrize("variant", ["tuned-longest", "tuned-sorted"])
def test_padding_to_the_longest_changes_nothing(tmp_path, variant):
    import torch

    stock, other = (make(of_catalog(SENTIMENT, name), tmp_path) for name in ("stock", variant))
    for prediction, reference in zip(predicted(other, LINES), predicted(stock, LINES), strict=True):
        ours, theirs = (
            torch.tensor(other.evidence(prediction)),
            torch.tensor(stock.evidence(reference)),
        )
        assert torch.allclose(ours, theirs, atol=1e-4, rtol=0)


def test_a_workload_that_padded_leaves_no_padding_to_another():
    stock, longest = (without_weights(of_catalog(SENTIMENT, name)) for name in ("stock", "tuned"))
    before = longest.preprocess(b"Good morning")["input_ids"].tolist()
    stock.preprocess(b"Good morning")
    assert longest.preprocess(b"Good morning")["input_ids"].tolist() == before
    assert len(before) == 4  # [CLS] good morning [SEP]


def test_a_sentence_longer_than_the_model_takes_is_cut_as_stock_cuts_it():
    stock, longest = (without_weights(of_catalog(SENTIMENT, name)) for name in ("stock", "tuned"))
    cut = stock.preprocess(LONG.encode())["input_ids"].tolist()
    assert len(cut) == 128
    assert longest.preprocess(LONG.encode())["input_ids"].tolist() == cut
