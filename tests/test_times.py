"""Times as text."""

import pytest

from beambench.times import parse_time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", "2026-01-31T00:00:00+00:00"),
        ("2026-01-31T10:00:00", "2026-01-31T10:00:00+00:00"),
        ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00+00:00"),
        ("2026-01-31 10:00:00.5 UTC", "2026-01-31T10:00:00.500000+00:00"),
        ("2026-01-31T10:00:00.25+01:30", "2026-01-31T10:00:00.250000+01:30"),
        ("2026-01-31T10:00:00.123456789Z", "2026-01-31T10:00:00.123456+00:00"),
        ("2026-01-31T10:00:00.1-08:00", "2026-01-31T10:00:00.100000-08:00"),
    ],
)
def test_times(text, expected):
    assert parse_time(text).isoformat() == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "Z", "17"])
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match=r"isoformat|month"):
        parse_time(text)
