"""The base against itself, with Beam: what the document must hold, whoever is ahead."""

from __future__ import annotations

import json

import pytest

from beambench.cli.main import execute
from beambench.record.comparison import Comparison
from beambench.store import RunStore
from workers_here import work_here

pytestmark = pytest.mark.real

URL = "sqlite:///runs.db"


@pytest.fixture
def compare(tmp_path, monkeypatch, capsys):
    """Run `beambench compare` of a benchmark in this process; return its document."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("beambench.controller.processes.worker_process.supervise", work_here)

    def run(*words: str) -> dict[str, object]:
        code = execute(["compare", *words, "--profile", "smoke", "--store", URL, "--json"])
        answer = capsys.readouterr()
        assert code == 0, answer.err
        document: dict[str, object] = json.loads(answer.out)
        return document

    return run


def test_a_benchmark_is_compared_with_itself(compare):
    document = compare("overhead-noop", "--control", "--pairs", "4", "--accept-disturbed")
    comparison = Comparison.model_validate(document)
    with RunStore.open(URL) as store:
        assert store.comparisons.get(comparison.comparison_id) == comparison
        runs = {run.run_id: run for run in store.history(comparison.benchmark)}
    assert [pair.order for pair in comparison.pairs] == [
        ["base", "candidate"],
        ["candidate", "base"],
    ] * 2
    assert {side.run_id for side in comparison.sides} == set(runs)
    assert all(len(run.repeats) == 4 and run.verification.passed for run in runs.values())
    assert len({run.verification.digest for run in runs.values()}) == 1
    metric = comparison.metrics["throughput_elements"]
    assert (metric.n, comparison.noise.repeats) == (4, 8)
    assert metric.ci_low is not None
    assert metric.ci_high is not None
    assert 0 < metric.ci_low < metric.ratio < metric.ci_high
    assert metric.mde is not None
    assert {"inference", "overhead"} <= set(comparison.stages)
    assert comparison.differences == []
