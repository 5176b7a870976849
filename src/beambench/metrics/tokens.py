"""Text generation; all is unknown where no tokens were counted."""

from __future__ import annotations

from beambench.metrics.base import MICRO, Metric, RawRepeat, Sample, per, window_seconds


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


METRICS = (
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
