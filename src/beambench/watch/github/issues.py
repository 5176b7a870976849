"""One issue for each alarm: opened, updated, closed and opened again as the alarm is.

What an issue is of stands in its first line, hidden. GitHub is the only memory: a call that is cut
off anywhere is carried on by the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from beambench.times import parse_time
from beambench.watch.github.client import GitHub, Issue
from beambench.watch.github.marker import CLOSED_BY_US, AlarmKey, Marker, marker_of

LABEL = "beambench-alarm"
DESCRIPTION = "An alarm of beambench: one issue for each benchmark and metric"
GONE = "This alarm is not raised any more."

Action = Literal["opened", "updated", "closed", "reopened", "unchanged", "left closed", "left open"]


@dataclass(frozen=True)
class AlarmText:
    """What the issue of an alarm is to say, as Markdown in which text of others is escaped.

    Attributes:
        state: new, open or recovered.
        raised_at: when the newest run began that raised it; ISO 8601.
        facts: what was found; the issue is written anew when they change.
        chart: what may differ with each run.
        closing: why it is closed, if it is to be closed now.
        again: why it is opened again, if it was closed.
    """

    key: AlarmKey
    state: str
    raised_at: str
    title: str
    facts: str
    chart: str
    closing: str
    again: str

    @property
    def marker(self) -> Marker:
        digest = hashlib.sha256(self.facts.encode()).hexdigest()[:16]
        return Marker(self.key, self.raised_at, self.state, digest)

    @property
    def body(self) -> str:
        return f"{self.marker.line}\n{self.facts}\n\n{self.chart}"


@dataclass(frozen=True)
class Outcome:
    """What became of the issue of an alarm; number and URL are None if it would be opened."""

    key: AlarmKey
    action: Action
    number: int | None
    url: str | None


def synchronise(
    github: GitHub,
    alarms: Sequence[AlarmText],
    is_watched: Callable[[AlarmKey], bool],
    *,
    dry_run: bool = False,
) -> Iterator[Outcome]:
    """Make the issues of a repository say what the alarms are; yield each outcome once it is done.

    Args:
        github: the repository.
        alarms: all there are, recovered ones too, each with another key.
        is_watched: whether an alarm would be among them if there were one: only then is an issue
            whose alarm is not there closed.
        dry_run: change nothing, and say what would be done.

    Raises:
        GitHubError: GitHub refused, or did not answer.
    """
    writer = _Writer(github, dry_run)
    known = _by_key(github.issues(LABEL))
    for alarm in alarms:
        if alarm.key in known:
            yield writer.follow(alarm, *known[alarm.key])
        elif alarm.state != "recovered":
            yield writer.open(alarm)
    there = {alarm.key for alarm in alarms}
    for key, (issue, marker) in known.items():
        is_ours = key not in there and is_watched(key) and marker.state not in CLOSED_BY_US
        if issue.state == "open" and is_ours:
            yield writer.close_gone(issue, marker)


def _by_key(issues: Sequence[Issue]) -> dict[AlarmKey, tuple[Issue, Marker]]:
    """Return the issue of each alarm: the oldest that is open, else the newest."""
    known = dict[AlarmKey, tuple[Issue, Marker]]()
    for issue in sorted(issues, key=lambda issue: (issue.state == "open", -issue.number)):
        marker = marker_of(issue.body)
        if marker is not None and (issue.state == "open" or marker.key not in known):
            known[marker.key] = issue, marker
    return known


@dataclass
class _Writer:
    github: GitHub
    dry_run: bool
    has_label: bool = False

    def open(self, alarm: AlarmText) -> Outcome:
        if self.dry_run:
            return Outcome(alarm.key, "opened", None, None)
        if not self.has_label:
            self.github.ensure_label(LABEL, DESCRIPTION)
            self.has_label = True
        issue = self.github.create(alarm.title, alarm.body, LABEL)
        return Outcome(alarm.key, "opened", issue.number, issue.html_url)

    def follow(self, alarm: AlarmText, issue: Issue, marker: Marker) -> Outcome:
        """Bring an issue that is there up to date, unless somebody closed or opened it."""
        is_active = alarm.state != "recovered"
        was_closed_by_us = marker.state in CLOSED_BY_US
        if issue.state == "open":
            if not is_active:
                if was_closed_by_us:
                    return _outcome(alarm.key, "left open", issue)
                return self._close(issue, alarm.marker, alarm.body, alarm.closing)
            if marker.facts == alarm.marker.facts:
                return _outcome(alarm.key, "unchanged", issue)
            self._change(issue, body=alarm.body)
            return _outcome(alarm.key, "updated", issue)
        if not is_active:
            return _outcome(alarm.key, "unchanged", issue)
        if not was_closed_by_us and not _is_later(alarm.raised_at, marker.raised_at):
            return _outcome(alarm.key, "left closed", issue)
        self._comment(issue, alarm.again, replace(alarm.marker, state="again"))
        self._change(issue, state="open", body=alarm.body)
        return _outcome(alarm.key, "reopened", issue)

    def close_gone(self, issue: Issue, marker: Marker) -> Outcome:
        gone = replace(marker, state="gone")
        body = (issue.body or "").replace(marker.line, gone.line, 1)
        return self._close(issue, gone, body, GONE)

    def _close(self, issue: Issue, marker: Marker, body: str, why: str) -> Outcome:
        self._comment(issue, why, marker)
        self._change(issue, state="closed", state_reason="completed", body=body)
        return _outcome(marker.key, "closed", issue)

    def _comment(self, issue: Issue, text: str, marker: Marker) -> None:
        """Comment, under a first line by which a call that was cut off is seen to have done so."""
        if not self.dry_run:
            line = replace(marker, facts="comment").line
            self.github.comment(issue.number, f"{line}\n{text}")

    def _change(self, issue: Issue, **changed: str) -> None:
        if not self.dry_run:
            self.github.change(issue.number, **changed)


def _outcome(key: AlarmKey, action: Action, issue: Issue) -> Outcome:
    return Outcome(key, action, issue.number, issue.html_url)


def _is_later(time: str, than: str) -> bool:
    try:
        return parse_time(time) > parse_time(than)
    except ValueError:  # somebody edited the marker
        return True
