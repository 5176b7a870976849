"""Sentence embedding: real weights, mean pooling, and the same vectors however padded."""

from __future__ import annotations

import hashlib

import pytest

from beambench.errors import UsageError
from beambench.workloads.registry import check_workload
from beambench.workloads.text import base as text
from beambench.workloads.text.embedding import TextEmbedding
from text_benchmarks import LINES, MINILM, make, of_catalog, predicted, shrink

pytestmark = pytest.mark.real

MIB = 1 << 20
PAIRS = [
    "A man is playing a guitar.",
    "Someone plays a musical instrument.",
    "The stock market fell sharply today.",
]


def test_the_packaged_weights_put_like_sentences_together(cache):
    import torch

    definition = of_catalog(MINILM, "stock", "model.weights=pretrained", "model.size_mib=86.7")
    made = make(definition, cache)
    assert made.weights.path is not None
    assert made.weights.path.stat().st_size / MIB == pytest.approx(86.7, rel=0.02)
    music, instrument, market = (
        torch.tensor(made.evidence(prediction)) for prediction in predicted(made, PAIRS)
    )
    assert music.shape == (384,)
    cosine = torch.nn.functional.cosine_similarity
    assert cosine(music, instrument, dim=0) > 0.5
    assert cosine(music, market, dim=0) < 0.2


def test_the_state_dict_is_written_once_and_is_the_same_again(tmp_path):
    definition = of_catalog(MINILM, "stock", "model.weights=pretrained")
    digests = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        path = TextEmbedding.fetch_weights(definition, 0, folder).path
        assert path is not None
        before = path.stat().st_mtime_ns
        assert TextEmbedding.fetch_weights(definition, 0, folder).path == path
        assert path.stat().st_mtime_ns == before
        assert [file.name for file in folder.iterdir()] == [path.name]
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_the_embedding_is_the_mean_over_the_tokens_of_the_sentence_alone(monkeypatch, tmp_path):
    import torch

    shrink(monkeypatch)
    made = make(of_catalog(MINILM), tmp_path)
    model = made.model_handler().load_model()
    for line, prediction in zip(LINES, predicted(made, LINES), strict=True):
        tokens = made._tokenizer(line, return_tensors="pt")  # not padded
        with torch.inference_mode():
            hidden = model(**tokens).last_hidden_state[0]
        expected = hidden.mean(dim=0)
        assert torch.allclose(torch.tensor(made.evidence(prediction)), expected, atol=1e-4)
        assert made.postprocess(prediction) == expected.argmax()


@pytest.mark.parametrize("variant", ["tuned-longest", "tuned-sorted", "tuned"])
def test_variants_give_the_same_vectors(monkeypatch, tmp_path, variant):
    import torch

    shrink(monkeypatch)
    stock, other = (make(of_catalog(MINILM, name), tmp_path) for name in ("stock", variant))
    for prediction, reference in zip(predicted(other, LINES), predicted(stock, LINES), strict=True):
        ours, theirs = (
            torch.tensor(other.evidence(prediction)),
            torch.tensor(stock.evidence(reference)),
        )
        if variant == "tuned":
            assert torch.cosine_similarity(ours, theirs, dim=0) > 0.999
        else:
            assert torch.allclose(ours, theirs, atol=1e-4, rtol=0)


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(text, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(UsageError, match=r"pip install 'beambench\[transformers\]'"):
        check_workload(of_catalog(MINILM))
