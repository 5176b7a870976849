"""What the issue of an alarm says, in Markdown, and what became of issues."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from beambench.presentation.histories import PACKAGES_SHOWN, drawn
from beambench.presentation.layout import Page, escape
from beambench.presentation.markdown import code, code_block
from beambench.presentation.values import shown_confidence
from beambench.times import parse_time
from beambench.watch.alarms import WatchAlarm, WorseLevel
from beambench.watch.github.issues import AlarmText, Outcome
from beambench.watch.github.marker import AlarmKey

DRAWN = 20
"""Values in an issue, the newest."""

LARGEST = 5
"""Series that an issue shows, those that changed most."""

TITLES = {"change": "worse", "missing": "runs are missing", "definition": "another definition"}
LONGEST_TITLE = 250
FOOTER = "beambench writes this text anew when the alarm changes: add comments, not text."


def alarm_texts(alarms: Iterable[WatchAlarm]) -> list[AlarmText]:
    """Return what the issues of alarms are to say: one for each benchmark, kind and metric."""
    by_key = dict[AlarmKey, list[WatchAlarm]]()
    for alarm in alarms:
        by_key.setdefault(AlarmKey.of(alarm), []).append(alarm)
    return [_text(key, alike) for key, alike in by_key.items()]


def _text(key: AlarmKey, alarms: Sequence[WatchAlarm]) -> AlarmText:
    """Fold alarms of one key, as of several variants with another definition, into one text."""
    state = min((alarm.state for alarm in alarms), key=("new", "open", "recovered").index)
    levels = [level for alarm in alarms for level in alarm.levels]
    levels.sort(key=lambda level: (level.state == "recovered", min(_ratios(level))))
    subject = ": ".join(code(part) for part in (key.benchmark, key.metric) if part is not None)
    facts = [f"**{state}**: {subject}: {TITLES[key.kind]}", ""]
    if levels:
        facts += [line for level in levels[:LARGEST] for line in _facts(level)]
    else:
        facts += [f"- {code(alarm.summary)}" for alarm in alarms]
    if len(levels) > LARGEST:
        facts.append(f"\nand {len(levels) - LARGEST} more series")
    chart = [line for level in levels[:LARGEST] for line in _chart(level)]
    chart += ["More:", "", code_block([_command(key)]), "", FOOTER]
    raised_by = ", ".join(code(level.observed_at) for level in levels if level.state == state)
    return AlarmText(
        key,
        state,
        max((alarm.raised_at for alarm in alarms), key=parse_time),
        f"{subject}: {TITLES[key.kind]}"[:LONGEST_TITLE],
        "\n".join(facts),
        "\n".join(chart),
        "Recovered: at most half of the change is left at the newest runs.",
        f"It is there again{f', raised by run {raised_by}' if raised_by else ''}.",
    )


def _ratios(level: WorseLevel) -> tuple[float, float]:
    ratio = level.level.change.ratio
    return ratio, 1 / ratio


def _facts(worse: WorseLevel) -> list[str]:
    """Return what changed in a series: direction, effect, since when, and what else."""
    change, series = worse.level.change, worse.series
    low, high = change.ratio_low - 1, change.ratio_high - 1
    better = f", {'higher' if series.better == 'up' else 'lower'} is better"
    environment = [code(each) for each in worse.level.environment[:PACKAGES_SHOWN]]
    rest = len(worse.level.environment) - PACKAGES_SHOWN
    if rest > 0:
        environment.append(f"and {rest} more")
    return [
        f"- {code(', '.join(series.kind or ()))}, {worse.state}: **{change.kind} {change.direction}"
        f" {change.ratio - 1:+.1%}** ({low:+.1%} to {high:+.1%}){better}, "
        f"confidence {shown_confidence(change.confidence)}",
        f"  - since run {code(worse.level.point.name)} ({code(worse.level.point.time[:19])}), "
        f"raised by {code(worse.observed_at)}",
        f"  - changed with it: {'; '.join(environment) or 'nothing that the records hold'}",
    ]


def _chart(worse: WorseLevel) -> list[str]:
    count = min(DRAWN, len(worse.series.points))
    lines = [line.text for line in drawn(worse.series, DRAWN)]
    return [f"The newest {count} of {len(worse.series.points)} runs:", "", code_block(lines), ""]


def _command(key: AlarmKey) -> str:
    name = shlex.quote(key.benchmark)
    if key.metric is None:
        return f"beambench history {name}"
    return f"beambench history {name} --metric {shlex.quote(key.metric)}"


def print_outcome(outcome: Outcome, dry_run: bool) -> None:
    """Print what became of the issue of an alarm."""
    subject = ", ".join(part for part in outcome.key if part is not None)
    where = f"#{outcome.number} {outcome.url}" if outcome.number is not None else "a new issue"
    would = "would be " if dry_run and outcome.action in WRITTEN else ""
    Page().print_entry(escape(f"issue {would}{outcome.action}: {where} ({subject})"))


WRITTEN = ("opened", "updated", "closed", "reopened")
"""Actions that change something."""
