"""What a vLLM server tells of its requests, in the text format of Prometheus."""

from __future__ import annotations

import re
import urllib.error
import urllib.request

from beambench.record.observation import RequestTimes

FIRST_TOKEN = "vllm:time_to_first_token_seconds"  # noqa: S105 - a name
PER_OUTPUT_TOKEN = "vllm:request_time_per_output_token_seconds"  # noqa: S105
LINE = re.compile(r"^([\w:]+)_(sum|count)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
TIMEOUT_S = 2.0


def request_times(port: int) -> RequestTimes | None:
    """Ask the server on this machine; None if it does not say.

    Beam's handler does not stream, so that only the server knows when the first token came.
    """
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/metrics", timeout=TIMEOUT_S) as told:
            return parsed(told.read().decode("utf-8", "replace"))
    except (OSError, urllib.error.URLError, ValueError):
        return None


def parsed(text: str) -> RequestTimes | None:
    """Return sums and counts of its histograms, over all engines; None if they are not all there.

    Raises:
        ValueError: a value is no number.
    """
    totals: dict[tuple[str, str], float] = {}
    for name, kind, value in LINE.findall(text):
        totals[name, kind] = totals.get((name, kind), 0.0) + float(value)
    try:
        return RequestTimes(
            first_token_us=round(totals[FIRST_TOKEN, "sum"] * 1e6),
            first_tokens=round(totals[FIRST_TOKEN, "count"]),
            per_token_us=round(totals[PER_OUTPUT_TOKEN, "sum"] * 1e6),
            per_token_requests=round(totals[PER_OUTPUT_TOKEN, "count"]),
        )
    except (KeyError, OverflowError):
        return None
