"""The rate limits of GitHub.

https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from beambench.times import parse_time

if TYPE_CHECKING:
    import requests

UNSAID = 60.0
"""Seconds to wait after an answer that does not say how long."""


def seconds_to_wait(answer: requests.Response, now: str) -> float | None:
    """Return after how many seconds to ask again; None if no rate limit was reached.

    Args:
        answer: of GitHub.
        now: the time, ISO 8601.
    """
    if answer.status_code not in (403, 429):
        return None
    after = _number(answer.headers.get("Retry-After"))
    if after is not None:
        return max(1.0, after)
    if answer.headers.get("X-RateLimit-Remaining") == "0":
        reset = _number(answer.headers.get("X-RateLimit-Reset"))
        return UNSAID if reset is None else max(1.0, reset - parse_time(now).timestamp())
    is_limit = answer.status_code == 429 or "rate limit" in answer.text.lower()
    return UNSAID if is_limit else None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
