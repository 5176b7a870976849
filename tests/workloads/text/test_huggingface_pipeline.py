"""Beam's Hugging Face pipeline handler with the packaged encoder."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from apache_beam.ml.inference.base import PredictionResult

from beambench.definition.library import Library
from beambench.definition.schema import Definition
from beambench.errors import UsageError
from beambench.workloads.registry import check_workload
from beambench.workloads.text.huggingface_pipeline import HuggingFacePipeline

pytestmark = pytest.mark.real

SENTENCES = [b"A cat sat on the mat.", "Déjà vu, twice.".encode(), b"word " * 700]
UNUSED = Path("unused")


def definition(**changed: Any) -> Definition:
    whole = Library().resolve("huggingface-pipeline-minilm", profile="smoke").definition
    parts = whole.model_dump()
    for section, values in changed.items():
        parts[section] = {**parts[section], **values}
    return Definition.model_validate(parts)


def workload(**parameters: Any) -> HuggingFacePipeline:
    chosen = definition(parameters=parameters)
    return HuggingFacePipeline(chosen, HuggingFacePipeline.fetch_weights(chosen, 0, UNUSED))


def embeddings(**parameters: Any) -> list[list[float]]:
    work = workload(**parameters)
    handler = work.model_handler()
    examples = [work.preprocess(raw) for raw in SENTENCES]
    predictions = handler.run_inference(examples, handler.load_model(), work.inference_args())
    return [list(work.evidence(prediction)) for prediction in predictions]


def cosine(vector: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(vector, other, strict=True)) / (
        math.hypot(*vector) * math.hypot(*other)
    )


def test_tuned_embeddings_are_those_of_stock_and_a_long_line_is_cut():
    stock, tuned = embeddings(), embeddings(batch_size=32, return_tensors=True)
    assert [len(embedding) for embedding in stock] == [384] * 3
    assert [cosine(*pair) for pair in zip(stock, tuned, strict=True)] == pytest.approx([1, 1, 1])
    assert cosine(stock[0], stock[1]) < 0.9


def test_the_label_is_the_greatest_component_of_the_mean():
    tokens = [[[1.0, 5.0, 0.0], [1.0, -5.0, 0.0]]]
    prediction = PredictionResult("text", tokens)
    assert workload().evidence(prediction) == [1.0, 0.0, 0.0]
    assert workload().postprocess(prediction) == 0


def test_a_line_that_is_no_utf8_is_an_error():
    with pytest.raises(ValueError, match=r"^not UTF-8 text \(byte 0xff at column 1\)$"):
        workload().preprocess(b"\xff\xfe")


def test_arguments_of_the_pipeline():
    assert workload().inference_args() == {"truncation": True}
    assert workload(batch_size=8, return_tensors=True).inference_args() == {
        "truncation": True,
        "batch_size": 8,
        "return_tensors": True,
    }


def test_placeholders_are_gone_after_the_import_and_the_record_names_them():
    code = """
import sys
from beambench.workloads.text import huggingface_handler as h
names = h.missing()
assert ("tensorflow" in sys.modules) is ("tensorflow" not in names)
assert hasattr(sys.modules["transformers"], "TFAutoModel") is (
    "transformers.TFAutoModel" not in names
)
print(*names)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False
    )
    assert ran.returncode == 0, ran.stderr
    warnings = HuggingFacePipeline.warnings(definition())
    for name in ran.stdout.split():
        assert name in warnings[0]
    assert bool(warnings) is bool(ran.stdout.split())


def test_a_handler_that_was_pickled_is_found_by_another_process(tmp_path):
    file = tmp_path / "handler.pickle"
    file.write_bytes(pickle.dumps(workload().model_handler()))
    code = f"import pickle; print(type(pickle.load(open({str(file)!r}, 'rb'))).__name__)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False
    )
    assert ran.stdout.split() == ["PipelineModelHandler"], ran.stderr


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"model": {"weights": "random"}}, "`pretrained`"),
        ({"model": {"name": "bert"}}, "only 'all-minilm-l6-v2' is packaged"),
        ({"input": {"type": "rows"}}, "reads sentences"),
        ({"parameters": {"batch_size": 0}}, "greater than or equal to 1"),
    ],
)
def test_a_definition_that_cannot_be_right(changed, words):
    with pytest.raises(UsageError) as caught:
        check_workload(definition(**changed))
    assert words in str(caught.value)


def test_given_weights_need_a_config_beside_them(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    chosen = definition(model={"weights": "file", "path": str(path)})
    with pytest.raises(UsageError, match=r"config\.json is no file"):
        HuggingFacePipeline.fetch_weights(chosen, 0, tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert HuggingFacePipeline.fetch_weights(chosen, 0, tmp_path).path == path.resolve()
