"""What a live comparison was asked for: its sides, each a request of a run, and its budget."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from beambench.definition.library import Library
from beambench.definition.runners import find_runner
from beambench.errors import UsageError
from beambench.machine.cores import equal_parts, usable_cores
from beambench.record.comparison import LiveSchedule
from beambench.request.benchmark import RunRequest, make_request, masked_override
from beambench.request.checks import check_count, check_retries, check_timeout

BASE, CANDIDATE, CONTROL = "base", "candidate", "control"

DEFAULT_PAIRS = 6
MOST_PAIRS = 60
"""Pairs at most where time or the width of an interval is the budget."""

LEAST_PAIRS = 4
"""Below that no verdict is given, so nothing is looked at."""

CHOICES = {"variant": "variant", "runner": "runner", "input": "source"}
"""Keys of a side's settings that are options of `run`; all others are paths of `--set`."""

_TIME_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_CLOSING = {"[": "]", "{": "}", '"': '"', "'": "'"}


@dataclass(frozen=True)
class Budget:
    """When a comparison ends.

    Attributes:
        pairs: pairs that are wanted.
        retries: pairs more at most, in place of those that other work disturbed.
        seconds: no pair begins that would not end within this time; None: no such limit.
        width: as a fraction; it ends once the interval of the throughput ratio is within ± this of
            it. None: it is not looked at before the end.
        accepts_disturbed: disturbed pairs count like others.
    """

    pairs: int
    retries: int = 0
    seconds: float | None = None
    width: float | None = None
    accepts_disturbed: bool = False

    @property
    def is_open_ended(self) -> bool:
        """Whether nobody knows beforehand how many pairs there will be."""
        return self.seconds is not None or self.width is not None

    def looks(self) -> list[int]:
        """Return after how many pairs the interval is looked at: 4, and half as many more each."""
        if self.width is None:
            return []
        looks = [LEAST_PAIRS]
        while looks[-1] < self.pairs:
            looks.append(min(self.pairs, looks[-1] + (looks[-1] + 1) // 2))
        return looks


@dataclass(frozen=True)
class Side:
    """A configuration that is measured beside others: what it is called, and what is run."""

    name: str
    settings: str
    request: RunRequest

    @property
    def shown_settings(self) -> str:
        """The settings as they may be kept, without secrets."""
        return masked_settings(self.settings)


@dataclass(frozen=True)
class ComparisonRequest:
    """Configurations of one benchmark, the base first, and how long they are compared.

    Attributes:
        options: what `make_comparison` was given, for a comparison that is resumed.
        schedule: whether the repeats of a pair take turns or run at the same time.
    """

    sides: Sequence[Side]
    budget: Budget
    options: Mapping[str, Any]
    schedule: LiveSchedule = "interleaved"

    def with_option(self, name: str, value: object) -> ComparisonRequest:
        """Return the request with something more that is kept for a comparison that is resumed."""
        return replace(self, options={**self.options, name: value})

    @property
    def name(self) -> str:
        return self.sides[0].request.name

    @property
    def time_limit(self) -> float:
        """Seconds for the whole: the budget, or what all repeats may take as runs of their own."""
        if self.budget.seconds is not None:
            return self.budget.seconds
        chosen = self.sides[0].request.timeout
        return chosen or sum(_time_limit(side.request, self.budget.pairs) for side in self.sides)


def make_comparison(
    library: Library,
    name: str,
    *,
    base: str = "",
    candidates: Sequence[str] = (),
    base_python: str | None = None,
    candidate_python: str | None = None,
    control: bool = False,
    schedule: LiveSchedule = "interleaved",
    pairs: int | None = None,
    max_time: str | None = None,
    until: str | None = None,
    accept_disturbed: bool = False,
    retry_disturbed: int = 0,
    **options: Any,
) -> ComparisonRequest:
    """Resolve and check every side, and the budget.

    Args:
        library: definitions to look in.
        name: a benchmark of the library, or the path of a definition file.
        base: settings of the base, as `settings_of` takes them.
        candidates: those of each candidate.
        base_python: Python of another environment for the workers of the base.
        candidate_python: likewise for those of every candidate.
        control: measure the base a second time, as a side of its own.
        schedule: `interleaved`: the sides take turns; `duet`: both at the same time, each on half
            of the cores.
        pairs: blocks, of one repeat of each side.
        max_time: budget of time, such as `5m`.
        until: `ci<2%`: end once the interval of the throughput ratio is within ± 2 %.
        accept_disturbed: let pairs count that other work disturbed.
        retry_disturbed: pairs more at most, in place of disturbed ones.
        options: of every side, as `make_request` takes them.

    Raises:
        UsageError: the request cannot be right.
        RunError: it is right, but not on this machine.
    """
    given = {key: value for key, value in locals().items() if key not in ("library", "options")}
    budget = _budget(pairs, max_time, until, retry_disturbed, accept_disturbed)
    named = [(BASE, base, base_python)]
    if control:
        named.append((CONTROL, base, base_python))
    for number, settings in enumerate(candidates, 1):
        label = CANDIDATE if len(candidates) == 1 else f"{CANDIDATE}{number}"
        named.append((label, settings, candidate_python))
    if len(named) < 2:
        raise UsageError(
            f"{name}: nothing to compare with: give --candidate SETTINGS, --candidate-python PATH "
            "or --control"
        )
    sides = [_side(library, name, *side, {**options, "repeats": budget.pairs}) for side in named]
    _check_differences(sides)
    if schedule == "duet":
        _check_duet(sides)
    return ComparisonRequest(sides, budget, {**given, **options}, schedule)


def settings_of(text: str, option: str) -> dict[str, str]:
    """Return the settings of a side: `key=value`, with commas or spaces between them.

    A value in brackets or quotes may have both.

    Raises:
        UsageError: a part is no setting, or a key is there twice.
    """
    settings: dict[str, str] = {}
    for part in _parts(text):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise UsageError(f"{option} {text!r}: {part!r}: expected key=value")
        if key in settings:
            raise UsageError(f"{option} {text!r}: {key} is given twice")
        settings[key] = value
    return settings


def masked_settings(text: str) -> str:
    """Return the settings of a side without the values of keys that name a secret."""
    parts = settings_of(text, "settings").items()
    return " ".join(masked_override(f"{key}={value}") for key, value in parts)


def _parts(text: str) -> list[str]:
    parts, closing = [""], list[str]()
    for sign in text:
        if closing and sign == closing[-1]:
            closing.pop()
        elif sign in _CLOSING and (not closing or closing[-1] in "]}"):
            closing.append(_CLOSING[sign])
        if not closing and (sign == "," or sign.isspace()):
            parts.append("")
        else:
            parts[-1] += sign
    return [part for part in parts if part]


def _side(
    library: Library,
    benchmark: str,
    name: str,
    settings: str,
    python: str | None,
    options: Mapping[str, Any],
) -> Side:
    option = f"--{BASE if name == CONTROL else name.rstrip('0123456789')}"
    chosen = dict(options)
    overrides = list(chosen.pop("overrides", ()))
    for key, value in settings_of(settings, option).items():
        if key in CHOICES:
            chosen[CHOICES[key]] = value
        else:
            overrides.append(f"{key}={value}")
    try:
        request = make_request(library, benchmark, **chosen, overrides=overrides, python=python)
    except UsageError as error:
        raise UsageError(f"{option} {settings!r}: {error}" if settings else str(error)) from None
    runner = find_runner(request.runner)
    if not runner.is_local:
        raise UsageError(
            f"{option}: runner {runner.name} measures on machines of a service, not in turns on "
            "this one: compare two runs that are stored, with `beambench compare RUN RUN`"
        )
    return Side(name, settings, request)


def _check_differences(sides: Sequence[Side]) -> None:
    """Refuse sides that are the same by mistake: an A/A comparison is asked for by name."""
    seen: dict[str, str] = {}
    for side in sides:
        if side.name == CONTROL:
            continue
        request = side.request
        text = repr(
            (
                request.resolved.definition,
                request.resolved.variant,
                request.runner,
                request.effective_source,
                request.interpreter,
            )
        )
        if text in seen:
            raise UsageError(
                f"{side.name} is the same as {seen[text]}: change a setting, or give --control to "
                "compare the base with itself"
            )
        seen[text] = side.name


def _check_duet(sides: Sequence[Side]) -> None:
    if len(sides) != 2:
        raise UsageError(
            f"--schedule duet measures two sides at the same time, and there are {len(sides)}: "
            "give one --candidate, or --control alone"
        )
    cores = usable_cores()
    if cores is None:
        raise UsageError("--schedule duet needs Linux, where a process can be kept to some cores")
    if not equal_parts(cores, len(sides)):
        raise UsageError(
            f"--schedule duet needs a core for each side, and {len(cores)} can be used: leave it "
            "out, so that the sides take turns"
        )


def _budget(
    pairs: int | None,
    max_time: str | None,
    until: str | None,
    retries: int,
    accepts_disturbed: bool,
) -> Budget:
    check_count("pairs", pairs)
    check_retries(retries)
    seconds = _seconds(max_time) if max_time is not None else None
    width = _width(until) if until is not None else None
    open_ended = seconds is not None or width is not None
    return Budget(
        pairs or (MOST_PAIRS if open_ended else DEFAULT_PAIRS),
        0 if accepts_disturbed else retries,
        seconds,
        width,
        accepts_disturbed,
    )


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if match is None:
        raise UsageError(f"--max-time {text!r}: write 90s, 5m or 1.5h")
    seconds = float(match[1]) * _TIME_UNITS[match[2]]
    check_timeout(seconds)
    return seconds


def _width(text: str) -> float:
    match = re.fullmatch(r"ci\s*<\s*(\d+(?:\.\d+)?)\s*%", text.strip())
    if match is None or float(match[1]) <= 0:
        raise UsageError(f"--until {text!r}: write 'ci<2%'")
    return float(match[1]) / 100


def _time_limit(request: RunRequest, pairs: int) -> float:
    profile = request.resolved.profile
    return profile.timeout * max(1.0, pairs / profile.repeats)


def with_labels(request: ComparisonRequest, labels: Mapping[str, str]) -> ComparisonRequest:
    """Return the request with labels on the runs of all sides, beside the name of the side."""
    return replace(
        request,
        sides=[
            replace(
                side,
                request=replace(
                    side.request, labels={**side.request.labels, **labels, "side": side.name}
                ),
            )
            for side in request.sides
        ],
    )
