"""Real runs, with Beam and with processes that are killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from beambench.instrumentation.empty_handler import CALLS
from beambench.store import RunStore, sqlite_url
from fast_runs import CommandLine, command_line, lay_out, python_path, wait_until

pytestmark = pytest.mark.real

# Nothing of these depends on how fast the machine is.
EXPECTED_METRICS = {
    "throughput_elements",
    "throughput_bytes",
    "inference_batch_latency_mean",
    "inference_batch_size_mean",
    "model_load_latency_mean",
    "model_loads",
    "run_time",
    "startup_time",
    "cpu_time_per_element",
    "peak_memory",
    "elements_failed",
}


class Place:
    """Folders of a test: definitions, a store, temporary files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.definition = lay_out(folder / "definitions")
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.url = sqlite_url(folder / "runs.db")

    def run(self, *arguments: str) -> contextlib.AbstractContextManager[CommandLine]:
        return command_line(
            self.folder / "here",
            *("run", *arguments, "--profile", "smoke", "--store", self.url, "--json"),
            PYTHONPATH=python_path(self.folder / "definitions" / "hidden"),
            TMPDIR=str(self.temporary),
        )

    def stored(self, run_id: str) -> dict[str, Any]:
        with RunStore.open(self.url) as store:
            record = store.get(run_id)
        assert record is not None
        return record.model_dump(mode="json")

    def gates(self) -> Path:
        gates = self.folder / "gates"
        gates.mkdir()
        return gates


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


def assert_nothing_left(place: Place, cli: CommandLine) -> None:
    wait_until(lambda: not cli.processes(), 5.0)
    assert list(place.temporary.iterdir()) == []


def test_a_benchmark_of_the_catalog_with_its_reference(place):
    with place.run(
        *("overhead-noop", "--limit", "200", "--repeats", "2", "--reference", "loop")
    ) as cli:
        assert cli.end() == 0, cli.errors
        assert_nothing_left(place, cli)
    document = json.loads(cli.output)
    assert (document["status"], document["error"]) == ("succeeded", None)
    assert document["runner"]["implementation"].startswith("FnApiRunner")
    assert document["runner"]["counters"] == "committed"
    assert document["input"]["count"] == 200
    assert document["environment"]["torch"] is None  # hidden, for it takes seconds to start
    proven = document["verification"]
    assert (proven["passed"], proven["reference_agreement"]) == (True, 1.0)
    assert (proven["elements_in"], proven["elements_out"]) == (200, 200)
    assert (proven["elements_failed"], proven["duplicates"]) == (0, 0)
    repeats = [*document["repeats"], *document["references"]]
    assert [(repeat["arm"], repeat["index"], repeat["status"]) for repeat in repeats] == [
        ("pipeline", 0, "succeeded"),
        ("pipeline", 1, "succeeded"),
        ("loop", 0, "succeeded"),
        ("ceiling", 0, "succeeded"),
        ("ceiling", 1, "succeeded"),
        ("loop", 1, "succeeded"),
    ]
    assert len({repeat["verification"]["digest"] for repeat in repeats}) == 1
    loops = [
        reference["batch_sizes"]
        for reference in document["references"]
        if reference["arm"] == "loop"
    ]
    assert loops == [repeat["batch_sizes"] for repeat in document["repeats"]]
    for each in repeats:
        assert sum(each["batch_sizes"]) == 200
        assert each["metrics"]["elements_failed"]["value"] == 0.0
        assert each["metrics"]["run_time"]["value"] > each["metrics"]["startup_time"]["value"] > 0
        assert each["metrics"]["peak_memory"]["value"] > 30e6
        assert each["noise"]["elapsed_seconds"] > 0
    unknown = EXPECTED_METRICS - set(document["metrics"])
    assert unknown == {"throughput_bytes"}  # numbers have no bytes
    assert {"pipeline_efficiency", "ceiling_efficiency"} <= set(document["metrics"])
    assert document["metrics"]["pipeline_efficiency"]["n"] == 2
    for each in document["repeats"]:
        differences = each["cross_check"]["differences"]
        assert [line for line in differences if not line.startswith("batch latency: ")] == []
        assert each["cross_check"]["empty_handler"]["calls"] == CALLS
    rates = document["config"]["batch_size_rates"]
    assert max(rates, key=rates.get) == str(document["config"]["best_batch_size"])
    assert document["config"]["best_batch_size_margin"] >= 0
    assert place.stored(document["run_id"]) == document


def test_two_runs_at_once_of_a_users_own_workload_go_into_one_store(place):
    with place.run(str(place.definition)) as first, place.run(str(place.definition)) as second:
        assert (first.end(), second.end()) == (0, 0), first.errors + second.errors
        assert_nothing_left(place, first)
        assert_nothing_left(place, second)
    documents = [json.loads(cli.output) for cli in (first, second)]
    assert len({document["run_id"] for document in documents}) == 2
    for document in documents:
        assert document["benchmark"] == "fast-numbers"
        assert document["status"] == "succeeded"
        assert document["config"]["definition"]["workload"] == "fast_numbers:FastNumbers"
        assert document["verification"]["reference_agreement"] == 1.0
        assert document["verification"]["reference"]["distinct_labels"] == 32
        # 0 … 199 as text: 10 of one digit, 90 of two, 100 of three.
        seconds = 490 / document["metrics"]["throughput_bytes"]["value"]
        rate = document["metrics"]["throughput_elements"]["value"]
        assert 200 / rate == pytest.approx(seconds)
        assert place.stored(document["run_id"]) == document
    digests = {document["verification"]["digest"] for document in documents}
    assert len(digests) == 1
    with RunStore.open(place.url) as store:
        assert len(store.summaries("fast-numbers")) == 2


def test_a_worker_that_is_killed_is_a_failed_repeat_and_the_run_goes_on(place):
    gates = place.gates()
    (gates / "hold-2").touch()  # worker 0 prepares, 1 is the reference, 2 the first repeat
    gated = f"parameters.gates={gates}"
    with place.run(str(place.definition), "--repeats", "2", "--set", gated) as cli:
        wait_until((gates / "held-2").exists)
        os.kill(int((gates / "held-2").read_text()), signal.SIGKILL)
        assert cli.end() == 3
        assert_nothing_left(place, cli)
    document = json.loads(cli.output)
    message = "the worker was killed by SIGKILL: out of memory?"
    assert document["status"] == "failed"
    assert document["error"] == f"pipeline repeat 1: {message}"
    assert f"beambench: fast-numbers: failed: pipeline repeat 1: {message}\n" in cli.errors
    assert [repeat["status"] for repeat in document["repeats"]] == ["failed", "succeeded"]
    killed, fine = document["repeats"]
    assert killed["error"]["message"] == message
    assert (killed["metrics"], killed["verification"]) == ({}, None)
    assert fine["verification"]["passed"]
    assert document["metrics"]["throughput_elements"]["n"] == 1
    assert place.stored(document["run_id"]) == document


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_leaves_a_stored_record(place, number):
    gates = place.gates()
    (gates / "hold-1").touch()
    gated = f"parameters.gates={gates}"
    with place.run(str(place.definition), "--set", gated) as cli:
        wait_until((gates / "held-1").exists)
        cli.process.send_signal(number)
        assert cli.end(10) == 130
        assert_nothing_left(place, cli)
    document = json.loads(cli.output)
    assert (document["status"], document["error"]) == ("cancelled", "cancelled in reference sample")
    assert (document["repeats"], document["metrics"]) == ([], {})
    assert document["input"]["count"] == 200
    assert place.stored(document["run_id"]) == document
