"""The base against itself, with Beam: what the documents must hold, whoever is ahead."""

from __future__ import annotations

import json

import pytest

from beambench.cli.main import execute
from beambench.experiments.live_comparison.blocks import Block
from beambench.machine.cores import usable_cores
from beambench.record.comparison import Comparison
from beambench.store import RunStore
from beambench.watch.series import unfit
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


def test_both_sides_of_a_duet_run_at_the_same_time_on_half_of_the_cores(
    tmp_path, monkeypatch, capsys
):
    cores = usable_cores()
    if cores is None or len(cores) < 2:
        pytest.skip("a duet needs Linux and two cores")
    monkeypatch.chdir(tmp_path)
    words = [
        "overhead-noop",
        "--control",
        "--schedule",
        "duet",
        "--pairs",
        "1",
        "--accept-disturbed",
    ]
    code = execute(["compare", *words, "--profile", "smoke", "--store", URL, "--json"])
    answer = capsys.readouterr()
    assert code == 0, answer.err
    comparison = Comparison.model_validate_json(answer.out)
    assert (comparison.schedule, len(comparison.pairs)) == ("duet", 1)
    with RunStore.open(URL) as store:
        runs = store.history(comparison.benchmark)
    assert [run.environment["machine"]["cores"]["usable"] for run in runs] == [len(cores) // 2] * 2
    assert all(run.verification.passed for run in runs)
    assert {unfit(run) for run in runs} == {"measured in a duet"}
    base, candidate = (run.repeats[0] for run in runs)
    assert Block(0, {"base": base, "candidate": candidate}).overlap > 0.5
