"""A second, independent computation: a trace that a workload's own handler writes.

The handler and its workload know nothing of how beambench measures: they note the times of their
own calls, by another clock, and the figures of the run are computed from these notes.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

import pytest

from beambench.record.run_record import RunRecord
from fast_runs import command_line, hide_packages, python_path

pytestmark = pytest.mark.real

WITHIN = 0.005
WORKLOAD = """
import os, time
from pathlib import Path
from apache_beam.ml.inference.base import ModelHandler, PredictionResult
from beambench.workloads.base import Weights, Workload

FILES = {}
# Of batches: written at the next output, since the time of a batch must not hold a write to disk.
LATER = []

def note(*line):
    if os.getpid() not in FILES:
        FILES[os.getpid()] = open(Path(os.environ["TRACE"]) / str(os.getpid()), "a", buffering=1)
    FILES[os.getpid()].write(" ".join(map(str, line)) + "\\n")

class Model:
    pass

class Handler(ModelHandler):
    def load_model(self):
        return Model()

    def run_inference(self, batch, model, inference_args=None):
        begin = time.monotonic()
        time.sleep(0.1 + 0.006 * len(batch))
        results = [PredictionResult(example, example) for example in batch]
        LATER.append(("batch", begin, time.monotonic(), len(batch)))
        return results

    def batch_elements_kwargs(self):
        return {"min_batch_size": 5, "max_batch_size": 40}

class Traced(Workload):
    input_types = ("numbers",)

    @classmethod
    def fetch_weights(cls, definition, seed, cache):
        return Weights(None)

    def model_handler(self):
        return Handler()

    def read(self, path):
        note("read", time.monotonic())
        return path.encode()

    def preprocess(self, raw):
        return int(raw)

    def postprocess(self, prediction):
        now = time.monotonic()
        while LATER:
            note(*LATER.pop(0))
        note("output", now)
        return prediction.inference % 7
"""
DEFINITION = """
name: traced
title: Numbers that are traced
workload: traced:Traced
model: {name: sleep, weights: none}
input: {type: numbers, source: synthetic}
profiles:
  smoke: {limit: 300, repeats: 3, timeout: 300, slot_seconds: 0.05}
"""


class Trace:
    """What a process noted."""

    def __init__(self, text: str) -> None:
        lines = [line.split() for line in text.splitlines()]
        self.reads = [float(line[1]) for line in lines if line[0] == "read"]
        self.outputs = [float(line[1]) for line in lines if line[0] == "output"]
        batches = [line[1:] for line in lines if line[0] == "batch"]
        self.batches = [(float(begin), float(end), int(size)) for begin, end, size in batches]


def traced(trace: Trace) -> dict[str, float]:
    """Compute the metrics from what was noted."""
    sizes = [size for _, _, size in trace.batches]
    seconds = trace.outputs[-1] - trace.reads[0]
    steady = trace.batches[-2][1] - trace.batches[0][1]
    return {
        "throughput_elements": len(trace.outputs) / seconds,
        "throughput_steady": sum(sizes[1:-1]) / steady,
        "inference_batch_latency_mean": sum(end - begin for begin, end, _ in trace.batches)
        / len(trace.batches),
        "inference_batch_size_mean": sum(sizes) / len(sizes),
        "element_latency_mean": (sum(trace.outputs) - sum(trace.reads)) / len(trace.outputs),
    }


def test_a_trace_that_knows_nothing_of_beambench_agrees_with_three_repeats(tmp_path: Path) -> None:
    (tmp_path / "traced.py").write_text(WORKLOAD)
    (tmp_path / "traced.yaml").write_text(DEFINITION)
    traces = tmp_path / "traces"
    traces.mkdir()
    with command_line(
        tmp_path / "here",
        *("run", str(tmp_path / "traced.yaml"), "--profile", "smoke", "--json", "--seed", "3"),
        *("--store", f"sqlite:///{tmp_path}/runs.db"),
        PYTHONPATH=python_path(hide_packages(tmp_path / "hidden")),
        TRACE=str(traces),
    ) as cli:
        assert cli.end() == 0, cli.errors
    record = RunRecord.model_validate(json.loads(cli.output))
    every = [Trace(path.read_text()) for path in traces.iterdir()]
    whole = sorted((each for each in every if len(each.outputs) == 300), key=lambda t: t.reads[0])
    assert len(record.repeats) == len(whole) == 3
    for repeat, trace in zip(record.repeats, whole, strict=True):
        assert repeat.batch_sizes == sorted(size for _, _, size in trace.batches)
    for name in traced(whole[0]):
        differences = [
            abs(repeat.metrics[name].value / traced(trace)[name] - 1)
            for repeat, trace in zip(record.repeats, whole, strict=True)
        ]
        # A shared machine may pause between the reading of two clocks, in one of the repeats.
        assert median(differences) <= WITHIN, (name, differences)
