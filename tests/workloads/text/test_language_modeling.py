"""Masked language modeling: the work of Beam's example, and the same outputs however batched."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beambench.controller.proof.verification import verification
from beambench.definition.plan import PipelinePlan, Preparation
from beambench.definition.schema import Definition
from beambench.errors import UsageError
from beambench.worker.tasks import prepare, run_pipeline, run_reference
from beambench.workloads.registry import check_workload
from beambench.workloads.text.language_modeling import masked
from property_checks import CHECKED
from text_benchmarks import BERT, LINES, make, of_catalog, predicted, shrink, without_weights
from tiny_workloads import for_task, make_plan

pytestmark = pytest.mark.real

EXACT = ("tuned-batched", "tuned-sorted", "tuned-mask-only", "tuned-buckets")


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    shrink(monkeypatch)


# --- the stock work


@CHECKED
@given(st.text().filter(lambda text: bool(text.split())))
def test_the_word_before_the_last_is_masked_as_beams_example_does(text):
    from apache_beam.examples.inference.pytorch_language_modeling import add_mask_to_last_word

    assert masked(text, "[MASK]") == add_mask_to_last_word(text)[1]


def test_a_line_of_nothing_but_unicode_white_space_has_no_word():
    with pytest.raises(ValueError, match="the sentence holds no word"):
        masked("\u2003\u3000", "[MASK]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("word", "[MASK] word"),
        ("two words", "[MASK] words"),
        ("one two three", "one [MASK] three"),
        ("  a \t b   c ", "a [MASK] c"),
        ("says [MASK] of it", "says [MASK] [MASK] it"),
    ],
)
def test_what_is_masked(text, expected):
    from apache_beam.examples.inference.pytorch_language_modeling import add_mask_to_last_word

    assert masked(text, "[MASK]") == expected == add_mask_to_last_word(text)[1]


def test_tokens_and_words_are_those_of_beams_example(tmp_path):
    import torch
    from apache_beam.examples.inference import pytorch_language_modeling as example

    made = make(of_catalog(BERT), tmp_path)
    post = example.PostProcessor(made._tokenizer)
    words = set()
    for text, prediction in zip(LINES, predicted(made, LINES, batch_size=1), strict=True):
        _, tokens = example.tokenize_sentence(example.add_mask_to_last_word(text), made._tokenizer)
        assert set(prediction.example) == set(tokens)
        assert all(torch.equal(prediction.example[key], tokens[key]) for key in tokens)
        [line] = post.process((text, prediction))
        word = made.postprocess(prediction)
        assert line == f"{text};{word}"
        words.add(word)
    assert len(words) > 2  # the comparison is of different words


def test_the_stock_handler_is_beams_own_with_one_sentence_a_batch(tmp_path):
    from apache_beam.ml.inference.pytorch_inference import PytorchModelHandlerKeyedTensor

    made = make(of_catalog(BERT), tmp_path)
    handler = made.model_handler()
    assert type(handler) is PytorchModelHandlerKeyedTensor
    assert handler.batch_elements_kwargs() == {"max_batch_size": 1}
    assert handler._load_model_args == {"weights_only": True}
    assert (made.transform, made.preprocess_transform, made.postprocess_transform) == (
        "PyTorchRunInference",
        "TokenizeSentence",
        "ProcessOutput",
    )


def test_no_logit_stands_twice_in_the_evidence():
    import torch

    made = without_weights(of_catalog(BERT))
    example = made.preprocess(b"a masked word")
    logits = torch.zeros(len(example["input_ids"]), 30522)
    at_mask = torch.linspace(0.0, 1.0, 30522)
    at_mask[64], at_mask[65] = 9.0, 7.0  # the greatest is one that the stride keeps
    logits[example["input_ids"] == made._tokenizer.mask_token_id] = at_mask

    evidence = made.evidence(SimpleNamespace(example=example, inference={"logits": logits}))
    assert sorted(evidence)[-2:] == [7.0, 9.0]
    assert evidence.count(9.0) == 1
    assert len(evidence) == 30522 // 32 + 1 + 2


# --- the variants compute the same


@pytest.mark.parametrize("variant", EXACT)
def test_padding_sorting_and_the_mask_alone_change_nothing(tmp_path, variant):
    import torch

    stock, other = (make(of_catalog(BERT, name), tmp_path) for name in ("stock", variant))
    expected = predicted(stock, LINES, batch_size=1)
    predictions = predicted(other, LINES)
    assert [prediction.example["input_ids"].tolist() for prediction in predictions] == [
        prediction.example["input_ids"].tolist() for prediction in expected
    ]  # in the order in which they came
    for predicted_line, reference in zip(predictions, expected, strict=True):
        ours, theirs = (
            torch.tensor(list(e))
            for e in (other.evidence(predicted_line), stock.evidence(reference))
        )
        assert torch.allclose(ours, theirs, atol=1e-4, rtol=0)
        assert other.postprocess(predicted_line) == stock.postprocess(reference)


def test_sorted_batches_smaller_than_the_sample_keep_its_order(tmp_path):
    import torch

    stock = make(of_catalog(BERT), tmp_path)
    other = make(of_catalog(BERT, "tuned-sorted", "parameters.sorted_batch_size=3"), tmp_path)
    for prediction, reference in zip(
        predicted(other, LINES), predicted(stock, LINES, batch_size=1), strict=True
    ):
        ours, theirs = (
            torch.tensor(other.evidence(prediction)),
            torch.tensor(stock.evidence(reference)),
        )
        assert torch.allclose(ours, theirs, atol=1e-4, rtol=0)


def test_half_precision_points_the_same_way(tmp_path):
    import torch

    stock, tuned = (make(of_catalog(BERT, name), tmp_path) for name in ("stock", "tuned"))
    handler = tuned.model_handler()
    assert {parameter.dtype for parameter in handler.load_model().parameters()} == {torch.bfloat16}
    for prediction, reference in zip(
        predicted(tuned, LINES), predicted(stock, LINES, batch_size=1), strict=True
    ):
        ours, theirs = (
            torch.tensor(tuned.evidence(prediction)),
            torch.tensor(stock.evidence(reference)),
        )
        assert torch.cosine_similarity(ours, theirs, dim=0) > 0.999


def test_the_mask_alone_needs_padded_batches():
    definition = of_catalog(BERT, "stock", "parameters.mask_only=true")
    with pytest.raises(UsageError, match="mask_only goes with padding: longest"):
        check_workload(definition)


# --- through the pipeline

TEXT = b"""The first line is fine.

   \t
%s
second of the good lines
\xff\xfe is no text
Another good line, the last.
""" % b" ".join([b"word"] * 10_000)
LONG, NO_TEXT, GOOD = "4", "6", ["1", "5", "7"]


def planned(folder: Path, definition: Definition) -> PipelinePlan:
    (folder / "lines.txt").write_bytes(TEXT)
    plan = make_plan(
        folder, "prepare", definition=definition, source=str(folder / "lines.txt"), limit=None
    )
    prepared = prepare(plan).prepared
    assert prepared is not None
    assert (prepared.input_kind, prepared.input_bytes) == (
        "file",
        sum(map(len, TEXT.split(b"\n"))) - 4,
    )
    preparation = Preparation.model_validate(prepared.preparation)
    return for_task(plan, "pipeline", preparation=preparation)


@pytest.mark.parametrize("variant", ["stock", "tuned", "tuned-buckets"])
def test_lines_that_are_no_sentence_fail_by_number_and_the_others_come_out(tmp_path, variant):
    plan = planned(tmp_path, of_catalog(BERT, variant))
    assert plan.preparation.count == 5  # an empty line is no element
    observation = run_pipeline(plan)
    failed = {failure.id: (failure.stage, failure.error) for failure in observation.failed}
    assert set(failed) == {LONG, NO_TEXT}
    assert failed[LONG] == ("preprocess", "ValueError: 10002 tokens, the model takes 512")
    not_text = "ValueError: not UTF-8 text (byte 0xff at column 1)"
    assert failed[NO_TEXT] == ("preprocess", not_text)
    assert (
        sorted(prediction.id for prediction in observation.sample if prediction.error is None)
        == GOOD
    )
    rounded = plan.decided_definition().model.precision != "float32"
    proven = verification(observation, run_reference(for_task(plan, "reference")), rounded=rounded)
    assert proven is not None
    assert proven.problems == []
    assert (proven.elements_in, proven.elements_out, proven.elements_failed) == (5, 3, 2)
    assert proven.reference_agreement == 1.0


@pytest.mark.parametrize("masks", [[1, 1, 1], [0, 1, 2], [0, 0, 0], [9, 1, 0]], ids=str)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_logits_at_the_mask_alone_are_those_of_the_whole_model(masks, precision):
    import torch
    from transformers import BertConfig, BertForMaskedLM

    from beambench.workloads.pytorch.handlers import MaskOnly, pad

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=200,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
    )
    model = BertForMaskedLM(config).eval().to(getattr(torch, precision))
    lengths = (12, 7, 10)
    sentences = []
    for count, length in zip(masks, lengths, strict=True):
        ids = torch.randint(110, 200, (length,))
        ids[torch.arange(count) + 1] = 103
        sentences.append({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    padded = pad(sentences)
    with torch.inference_mode():
        whole = model(**padded).logits.float()
        alone = MaskOnly(103)(model, padded)["logits"]
    is_mask = padded["input_ids"] == 103
    assert [len(prediction) for prediction in alone] == masks
    tolerance = 1e-5 if precision == "float32" else 2e-2
    for index, scores in enumerate(alone):
        assert torch.allclose(scores, whole[index][is_mask[index]], atol=tolerance)
