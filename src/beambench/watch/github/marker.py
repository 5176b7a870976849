"""The hidden first line of an issue, by which beambench knows it again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote

from beambench.watch.alarms import WatchAlarm

CLOSED_BY_US = frozenset({"recovered", "gone"})
"""States of an alarm at which beambench closes its issue."""

_LINE = re.compile(
    r"<!-- beambench-alarm: (?P<key>[^/\s]+/[^/\s]+(?:/[^/\s]+)?) raised=(?P<raised>\S+)"
    r" state=(?P<state>\S+) facts=(?P<facts>\S+) -->"
)


class AlarmKey(NamedTuple):
    """Of what an alarm is: there is one issue for each."""

    benchmark: str
    kind: str
    metric: str | None

    @classmethod
    def of(cls, alarm: WatchAlarm) -> AlarmKey:
        return cls(alarm.benchmark, alarm.kind, alarm.metric)


@dataclass(frozen=True)
class Marker:
    """What an issue says to beambench.

    Attributes:
        raised_at: when the newest run began that raised the alarm; ISO 8601.
        state: of the alarm when the issue was last written, or `gone`.
        facts: a digest of what the issue says, by which is seen that the alarm changed.
    """

    key: AlarmKey
    raised_at: str
    state: str
    facts: str

    @property
    def line(self) -> str:
        parts = [_quoted(part) for part in self.key if part is not None]
        return (
            f"<!-- beambench-alarm: {'/'.join(parts)} raised={_quoted(self.raised_at)} "
            f"state={self.state} facts={self.facts} -->"
        )


def marker_of(body: str | None) -> Marker | None:
    """Return the marker in the first line of the body of an issue, None if there is none."""
    match = _LINE.match(body or "")
    if match is None:
        return None
    benchmark, kind, *metric = (unquote(part) for part in match["key"].split("/"))
    key = AlarmKey(benchmark, kind, metric[0] if metric else None)
    return Marker(key, unquote(match["raised"]), match["state"], match["facts"])


def _quoted(text: str) -> str:
    """Return a text that can neither end a comment nor be markup in it."""
    return quote(text, safe="").replace("--", "-%2D")
