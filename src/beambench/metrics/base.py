"""What a metric is: a value with a name, a unit, a direction, a formula and a computation."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from beambench.record.observation import Measured, Observation
from beambench.record.run_record import Direction, Metrics, MetricValue

MICRO = 1e-6
NANO = 1e-9
MAX_CLOCK_STEP = 0.005
"""Of a time, by which the wall clock may be set in it: as much its value may be off."""

Aggregate = Literal["median", "elements", "total"]
Shown = Literal["table", "shares"]
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,99}")
UNIT = re.compile(r"[^\W_]([\w²³/·%-]{0,15})")
SCALED_UNITS = {
    **dict.fromkeys(("ns", "us", "µs", "ms", "min", "h"), "s"),
    **dict.fromkeys(("kB", "KB", "MB", "GB", "KiB", "MiB", "GiB"), "B"),
    **dict.fromkeys(("kB/s", "KB/s", "MB/s", "GB/s"), "B/s"),
}
"""Units that values are shown in, for those that they are recorded in."""


class Sample(NamedTuple):
    """A value and what it was computed from.

    Attributes:
        value: in the metric's unit; None is unknown.
        n: what it was computed from; a value of nothing (0) is unknown too.
        reason: why it is unknown, for a warning in the record; None where it does not apply.
        interval: of a value over several repeats, at 95 %; None where they do not allow one.
    """

    value: float | None
    n: int
    reason: str | None = None
    interval: tuple[float, float] | None = None


UNKNOWN = Sample(None, 0)


@dataclass(frozen=True)
class RawRepeat:
    """The raw numbers of one repeat of a pipeline or of a loop.

    Attributes:
        observation: what its worker reported; `observation.counter` and `.distribution` are
            Beam's, of any namespace.
        measured: of that, what was measured inside the pipeline.
        run_time: seconds from the start of the worker process to its end; None if unknown.
        peak_rss: greatest sum of resident memory over the process tree, in bytes.
        rss_samples: how often the memory was looked at.
        stock: how far the outputs are from those of `stock`; empty if that was not looked at.
    """

    observation: Observation
    measured: Measured
    run_time: float | None
    peak_rss: int | None
    rss_samples: int
    stock: Mapping[str, Any]

    @property
    def is_existing(self) -> bool:
        """Whether it is of a pipeline that exists already, which proves nothing."""
        return self.observation.task == "existing"


@dataclass(frozen=True)
class Pairing:
    """A comparison of each repeat of a pipeline with one of a loop.

    Attributes:
        arm: the loop.
        ratio: computes it from the metrics of the pipeline's repeat and of the loop's; None is
            unknown.
    """

    arm: Literal["loop", "ceiling"]
    ratio: Callable[[Metrics, Metrics], float | None]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A value that a run reports. It has one of `of_repeat`, `of_repeats` and `of_pairs`.

    Attributes:
        unit: SI unit symbol; ``1`` for a ratio or a count.
        formula: how it is computed from what was recorded, for the documentation.
        counts: what ``n`` counts within one repeat.
        of_repeat: computes it for one repeat; the run's value is then their `aggregate`.
        of_repeats: computes it over several repeats at once, which is the run's value, as over one.
        of_pairs: the run's value is the median over these pairs.
        aggregate: how the run's value comes from its repeats: ``median`` of the succeeded
            repeats (n = repeats), ``elements`` likewise of what the outputs say and not the clock
            (n = fewest elements of a repeat), or ``total`` over the repeats.
        shown: where a run's summary has it: in the ``table``, among the ``shares`` of the time, or
            nowhere (None). It is recorded, exported and published in any case.
        compared: whether a comparison gives a verdict on it. Verdicts are corrected for being
            several, so that each of these makes changes of the others harder to see.
        beam_label: Beam's name for the same thing, where it publishes one.
        beam_factor: this unit for one of Beam's.
        origin: the distribution that brings it, empty for beambench itself; set when it is loaded.
    """

    name: str
    unit: str
    direction: Direction
    formula: str
    counts: str
    of_repeat: Callable[[RawRepeat], Sample] | None = None
    of_repeats: Callable[[Sequence[Observation]], Sample] | None = None
    of_pairs: Pairing | None = None
    aggregate: Aggregate = "median"
    shown: Shown | None = "table"
    compared: bool = False
    beam_label: str | None = None
    beam_factor: float = 1.0
    origin: str = ""

    @property
    def run_value(self) -> str:
        """How the run's value comes about, in one word."""
        if self.of_pairs is not None:
            return "pairs"
        return "merged" if self.of_repeats is not None else self.aggregate

    def value(self, sample: Sample, interval: tuple[float, float] | None = None) -> MetricValue:
        """Return a value as it stands in a record.

        Raises:
            ValueError: it is infinite or no number.
        """
        low, high = interval or sample.interval or (None, None)
        value = float(sample.value or 0.0)
        if not math.isfinite(value):
            raise ValueError(f"its value is {value}")
        return MetricValue(
            value=value,
            unit=self.unit,
            direction=self.direction,
            n=int(sample.n),
            ci_low=low,
            ci_high=high,
        )

    def problem(self) -> str | None:
        """Return what is wrong with a metric that others define, or None."""
        if not NAME.fullmatch(self.name):
            return f"name {self.name!r}: expected letters, digits, _ and ., with a letter first"
        if not isinstance(self.unit, str) or not UNIT.fullmatch(self.unit):
            return f"unit {self.unit!r}: expected a unit symbol, and '1' for a ratio or a count"
        if self.unit in SCALED_UNITS:
            return f"unit {self.unit!r}: give it in {SCALED_UNITS[self.unit]!r}; it is shown scaled"
        for field, value, allowed in (
            ("direction", self.direction, get_args(Direction)),
            ("aggregate", self.aggregate, get_args(Aggregate)),
            ("shown", self.shown, (*get_args(Shown), None)),
        ):
            if value not in allowed:
                return f"{field} {value!r}: expected one of {', '.join(map(repr, allowed))}"
        computations = (self.of_repeat, self.of_repeats, self.of_pairs and self.of_pairs.ratio)
        if [callable(function) for function in computations if function is not None] != [True]:
            return "expected a function for one of of_repeat, of_repeats and of_pairs"
        return None


def per(amount: float | None, count: float | None, factor: float = 1.0) -> float | None:
    """Return amount ÷ count × factor, unknown if either is unknown or the count is 0."""
    return amount / count * factor if amount is not None and count else None


def window_seconds(measured: Measured) -> float | None:
    """Return last output − first element read in seconds, or None where that is unknown."""
    return seconds_between(measured, measured.first_read, measured.last_output)


def seconds_between(measured: Measured, begin: int | None, end: int | None) -> float | None:
    """Return the time between two offsets in seconds, None where it is unknown.

    That is where an offset is, where the end is not after the begin, and where the wall clock, by
    which offsets are taken, was set by more than `MAX_CLOCK_STEP` of what may be the time.
    """
    if begin is None or end is None or clock_problem(measured, begin, end) is not None:
        return None
    return max(0, end - begin) * MICRO or None


def clock_problem(measured: Measured, begin: int, end: int) -> str | None:
    """Return how far the wall clock was set, if that is too much for the time of two offsets."""
    step = measured.clock_step
    if step <= MAX_CLOCK_STEP * max(0, end - begin - step):
        return None
    return (
        f"the wall clock was set by {step * MICRO:.3g} s while {(end - begin) * MICRO:.4g} s were "
        "measured by it; rates and waiting times are unknown"
    )
