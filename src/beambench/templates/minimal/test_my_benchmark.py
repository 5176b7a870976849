"""Run with pytest: the functions on one element, then the whole benchmark on a few."""

from __future__ import annotations

from pathlib import Path

import beambench

from my_benchmark import MyBenchmark

DEFINITION = Path(__file__).with_name("my-benchmark.yaml")


def test_an_element_becomes_an_example() -> None:
    resolved = beambench.Library([DEFINITION]).resolve("my-benchmark", profile="smoke")
    workload = MyBenchmark(resolved.definition, beambench.Weights(None))
    assert workload.preprocess(workload.read("3")) == 3.0


def test_the_benchmark_runs_and_its_work_is_proven() -> None:
    record = beambench.run(str(DEFINITION), profile="smoke")
    assert record.status == "succeeded", record.error
    assert record.verification.passed
    assert record.verification.elements_out == record.verification.elements_in == 200
    assert record.metrics["throughput_elements"].value > 0
