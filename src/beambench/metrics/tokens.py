"""Text generation; all is unknown where no tokens were counted."""

from __future__ import annotations

from beambench.metrics.base import MICRO, UNKNOWN, Metric, RawRepeat, Sample, per, window_seconds


def _rate(repeat: RawRepeat, quantity: str) -> Sample:
    measured = repeat.measured
    tokens = measured.quantities.get(quantity)
    return Sample(per(tokens, window_seconds(measured)), measured.elements)


def _per_request(repeat: RawRepeat) -> Sample:
    n = repeat.measured.elements
    return Sample(per(repeat.measured.quantities.get("output_tokens"), n), n)


def _time_per_token(repeat: RawRepeat) -> Sample:
    measured = repeat.measured
    tokens = measured.quantities.get("output_tokens")
    return Sample(per(measured.element_latency, tokens, MICRO), measured.elements)


def _first_token(repeat: RawRepeat) -> Sample:
    told = repeat.measured.request_times
    if told is None:
        return UNKNOWN
    return Sample(per(told.first_token_us, told.first_tokens, MICRO), told.first_tokens)


def _per_output_token(repeat: RawRepeat) -> Sample:
    told = repeat.measured.request_times
    if told is None:
        return UNKNOWN
    return Sample(per(told.per_token_us, told.per_token_requests, MICRO), told.per_token_requests)


METRICS = (
    Metric(
        name="time_to_first_token_mean",
        unit="s",
        direction="lower",
        formula="mean time from the arrival of a request at the model server to its first token "
        "(TTFT of vLLM and MLPerf), by the server's own histogram; the wait for a batch is not in "
        "it, that in the server's queue is",
        counts="requests",
        of_repeat=_first_token,
        shown=None,
        compared=True,
    ),
    Metric(
        name="time_per_output_token_mean",
        unit="s",
        direction="lower",
        formula="mean over requests of the time from the first token to the last ÷ (tokens − 1) "
        "(TPOT of vLLM and MLPerf), by the model server's own histogram",
        counts="requests",
        of_repeat=_per_output_token,
        shown=None,
        compared=True,
    ),
    Metric(
        name="output_tokens_rate",
        unit="1/s",
        direction="higher",
        formula="output tokens of the elements out ÷ (last output − first element read)",
        counts="elements",
        of_repeat=lambda repeat: _rate(repeat, "output_tokens"),
        shown=None,
    ),
    Metric(
        name="prompt_tokens_rate",
        unit="1/s",
        direction="higher",
        formula="prompt tokens of the elements out ÷ (last output − first element read)",
        counts="elements",
        of_repeat=lambda repeat: _rate(repeat, "prompt_tokens"),
        shown=None,
    ),
    Metric(
        name="output_tokens_per_request",
        unit="1",
        direction="neither",
        formula="output tokens ÷ elements out",
        counts="elements",
        of_repeat=_per_request,
        shown=None,
    ),
    Metric(
        name="normalized_latency",
        unit="s",
        direction="lower",
        formula="sum over elements of the latency of the batch that each was in ÷ output tokens: "
        "the normalized latency of vLLM's paper, but of sums; it holds queue and prompt, so it is "
        "not the time per output token (TPOT) of vLLM and MLPerf, which begins at the first token",
        counts="elements",
        of_repeat=_time_per_token,
        shown=None,
    ),
)
