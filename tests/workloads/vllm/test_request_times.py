"""What a vLLM server tells of its requests."""

from __future__ import annotations

import pytest

from beambench.record.observation import RequestTimes
from beambench.workloads.vllm.request_times import parsed, request_times
from fake_server import fake_server

# As vLLM 0.32 writes it, shortened; two engines.
TOLD = """\
# HELP vllm:time_to_first_token_seconds Histogram of time to first token in seconds.
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.001",model_name="gemma"} 0.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="gemma"} 32.0
vllm:time_to_first_token_seconds_count{engine="0",model_name="gemma"} 32.0
vllm:time_to_first_token_seconds_sum{engine="0",model_name="gemma"} 6.5
vllm:time_to_first_token_seconds_count{engine="1",model_name="gemma"} 8.0
vllm:time_to_first_token_seconds_sum{engine="1",model_name="gemma"} 1.5
vllm:request_time_per_output_token_seconds_count{engine="0",model_name="gemma"} 32.0
vllm:request_time_per_output_token_seconds_sum{engine="0",model_name="gemma"} 0.25
vllm:time_to_first_token_seconds_created{engine="0",model_name="gemma"} 1.7e+09
"""
TIMES = RequestTimes(
    first_token_us=8_000_000, first_tokens=40, per_token_us=250_000, per_token_requests=32
)


def test_sums_and_counts_are_those_of_all_engines():
    assert parsed(TOLD) == TIMES


@pytest.mark.parametrize("text", ["", "no metrics", TOLD.replace("request_time_per", "x")])
def test_a_server_that_does_not_say_leaves_them_unknown(text):
    assert parsed(text) is None


@pytest.mark.parametrize(
    ("answer", "times"),
    [
        ((200, TOLD), TIMES),
        ((404, ""), None),
        ((200, TOLD.replace("6.5", "x")), None),
        (None, None),
    ],
)
def test_whatever_a_server_answers_no_batch_fails(answer, times):
    with fake_server() as server:
        server.answer = lambda path, body: answer
        assert request_times(int(server.url.rpartition(":")[2])) == times
        assert server.requests == [("/metrics", "")]


def test_without_a_server_they_are_unknown():
    assert request_times(1) is None
