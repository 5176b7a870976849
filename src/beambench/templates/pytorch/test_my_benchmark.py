"""Run with pytest: the functions on one element, then the whole benchmark on a few."""

from __future__ import annotations

import io
from pathlib import Path

import beambench
import pytest
from PIL import Image

from my_benchmark import MyBenchmark

DEFINITION = Path(__file__).with_name("my-benchmark.yaml")


def test_an_element_becomes_an_example(tmp_path: Path) -> None:
    resolved = beambench.Library([DEFINITION]).resolve("my-benchmark", profile="smoke")
    workload = MyBenchmark(resolved.definition, beambench.Weights(None))
    photograph = io.BytesIO()
    Image.new("RGB", (40, 30), "white").save(photograph, "PNG")
    (tmp_path / "white.png").write_bytes(photograph.getvalue())
    example = workload.preprocess(workload.read(str(tmp_path / "white.png")))
    assert example.shape == (3, 64, 64)
    assert example.min() == 1.0


def test_grey_of_16_bits_is_not_taken_for_white() -> None:
    resolved = beambench.Library([DEFINITION]).resolve("my-benchmark", profile="smoke")
    grey = io.BytesIO()
    Image.new("I;16", (40, 30), 1000).save(grey, "PNG")
    with pytest.raises(ValueError, match="mode I;16"):
        MyBenchmark(resolved.definition, beambench.Weights(None)).preprocess(grey.getvalue())


def test_the_benchmark_runs_and_its_work_is_proven() -> None:
    record = beambench.run(str(DEFINITION), profile="smoke")
    assert record.status == "succeeded", record.error
    assert record.verification.passed
    assert record.verification.elements_out == record.verification.elements_in == 24
    assert record.metrics["throughput_elements"].value > 0
