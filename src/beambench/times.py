"""Times as text: ISO 8601, in UTC unless an offset is given."""

from __future__ import annotations

import re
from datetime import datetime, timezone


def parse_time(text: str) -> datetime:
    """Return the time that a text names, with an offset; a text without one is in UTC.

    Seconds may have any number of digits; below a microsecond they are cut, as Python has none.
    `Z` and ` UTC` (which BigQuery exports) are offsets of zero.

    Raises:
        ValueError: the text is no such time.
    """
    # Python 3.10 reads neither Z nor another number of digits than three or six.
    offset = re.sub(r"(Z| UTC)$", "+00:00", text)
    parsed = datetime.fromisoformat(re.sub(r"\.(\d+)(?=[+-]|$)", _six_digits, offset))
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=timezone.utc)


def _six_digits(match: re.Match[str]) -> str:
    return f".{match[1][:6]:0<6}"
