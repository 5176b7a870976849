"""Sentences that are cut to what the model takes are counted, for each workload that cuts."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from beambench.definition.library import Library
from beambench.inputs.manifest import Manifest
from beambench.worker.tasks import input_warnings
from beambench.workloads.registry import load_class
from beambench.workloads.text.embedding import TextEmbedding
from text_benchmarks import BERT, MINILM, SENTIMENT

pytestmark = pytest.mark.real

WORD = b"cat "  # one token
LONG = WORD * 500
LINES = [WORD * 126, WORD * 127, LONG, "é".encode() * 100, b"\xff" * 500, b"short"]
"""Of 128, 129 and 502 tokens, with [CLS] and [SEP]; then fewer tokens than bytes; and no text."""


def warned(
    benchmark: str, lines: list[bytes], variant: str = "stock", *overrides: str
) -> list[str]:
    manifest = Library().resolve(benchmark, variant=variant, profile="local", overrides=overrides)
    return load_class(manifest.definition.workload).input_warnings(manifest.definition, lines)


@pytest.mark.parametrize(
    ("benchmark", "variant"), [(SENTIMENT, "tuned"), (MINILM, "stock"), (MINILM, "tuned-longest")]
)
def test_sentences_that_are_cut_are_counted_with_the_longest(benchmark, variant):
    limit = "parameters.max_length=128"
    assert warned(benchmark, LINES, variant, limit) == [
        "2 of 6 sentences are cut at parameters.max_length (128 tokens; the longest has 502): the "
        "model never sees the rest, which throughput_bytes counts"
    ]
    assert warned(benchmark, LINES[:1], variant, limit) == []


def test_a_workload_that_fails_what_is_too_long_cuts_nothing():
    assert warned(BERT, [LONG * 9], "tuned") == []


def test_a_pipeline_cuts_at_the_length_of_its_tokenizer():
    assert warned("huggingface-pipeline-minilm", [LONG, LONG * 2000, b"short"]) == [
        "1 of 3 sentences are cut at the tokenizer's model_max_length (512 tokens; the longest has "
        "1,000,002): the model never sees the rest, which throughput_bytes counts"
    ]


@pytest.mark.parametrize("benchmark", [SENTIMENT, MINILM, "huggingface-pipeline-minilm"])
def test_short_sentences_load_no_tokenizer(monkeypatch, benchmark):
    for module in ("base", "huggingface_pipeline"):
        monkeypatch.setattr(f"beambench.workloads.text.{module}.load_tokenizer", lambda *_: 1 / 0)
    assert warned(benchmark, [b"short", b"x" * 120]) == []


def test_the_preparation_says_it_of_a_users_file_by_its_name():
    plan = SimpleNamespace(
        definition=Library().resolve(MINILM, variant="stock", profile="local").definition,
        source="mine.txt",
    )
    manifest = Manifest("file", "", ["1", "2"], "", None, "mine.txt", contents=[LONG, b"short"])
    [warning] = input_warnings(TextEmbedding, plan, manifest)
    assert warning.startswith("mine.txt: 1 of 2 sentences are cut at parameters.max_length (128")
    packaged = replace(manifest, kind="derived")
    assert input_warnings(TextEmbedding, plan, packaged) == []
