"""The comparison document: two sides of one benchmark, what was seen of each metric, a verdict.

History of ``SCHEMA_VERSION``:

* 1 (beambench 0.1): first version.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from beambench.record.live_comparison import LiveState
from beambench.record.run_record import Direction, Part, Status

SCHEMA_VERSION = 1

Verdict = Literal["faster", "slower", "same", "inconclusive"]
LiveSchedule = Literal["interleaved", "duet"]
Schedule = Literal["interleaved", "duet", "stored"]
"""How repeats of both sides lie in time: in turns, at once, or two runs at different times."""

SideName = Literal["base", "candidate"]


class Side(Part):
    """What was compared: a run record of its own has all of it.

    Attributes:
        name: `base` or `candidate`.
        settings: what was asked for on this side.
        fingerprint: of its environment; None is unknown.
        packages: versions of Beam and of the model frameworks that were installed.
        n: repeats of the pipeline whose values were compared.
    """

    name: SideName
    run_id: str
    variant: str
    settings: dict[str, Any] = Field(default_factory=dict)
    fingerprint: str | None = None
    packages: dict[str, str] = Field(default_factory=dict)
    n: int = 0


class ComparedMetric(Part):
    """What the candidate does to a metric, or to the time of an element in a stage.

    Attributes:
        base, candidate: medians of the values of the repeats, in the unit.
        ratio: candidate ÷ base, with its interval at 95 %, null below two values a side.
        p: of no difference, corrected for all metrics of the comparison; `p_same` likewise, of a
            change by the margin or more.
        mde: least relative change that is found with a power of 80 % at this noise and n, as a
            fraction; null where no verdict can be given. `mde_before` was expected beforehand.
        n: pairs, or repeats of the side that has fewer.
        noise: standard deviation of the logarithms of the ratios of pairs.
        reason: why the verdict is inconclusive, where that is not the noise.
        share: of a stage, its part of the base's time, as a fraction; null of what overlaps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    unit: str
    direction: Direction
    base: float
    candidate: float
    ratio: float
    ci_low: float | None
    ci_high: float | None
    verdict: Verdict
    mde: float | None
    mde_before: float | None = None
    n: int
    p: float
    p_same: float
    noise: float | None
    reason: str | None = None
    share: float | None = None


class Pair(Part):
    """Two repeats next to each other, and what was measured in each.

    Attributes:
        block: of the schedule, from 0.
        order: the sides in the order in which they ran; of a duet both at once.
        base, candidate: values of metrics, in their units.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    block: int
    order: list[SideName]
    base: dict[str, float]
    candidate: dict[str, float]


class ComparisonNoise(Part):
    """What disturbed the comparison.

    Attributes:
        metric: that `deviation` is of, the first that was compared.
        deviation: standard deviation of the logarithms of its ratios; null is unknown.
        repeats: that were compared, of both sides.
        disturbed: those of them that other work on the machine is known to have disturbed.
        unjudged: those of which nothing is known.
        other_runs: further runs like the base that the intervals allow for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    metric: str | None = None
    deviation: float | None = None
    repeats: int = 0
    disturbed: int = 0
    unjudged: int = 0
    other_runs: int = 0


class Comparison(Part):
    """A candidate beside a base.

    Attributes:
        verdict: on the first metric that was compared, throughput.
        sentence: what was seen, in plain words.
        stages: time of an element in each stage of the pipeline, and its CPU time (`…_cpu`).
        left_out: metrics that were not compared, with the reason.
        differences: in what the sides are unlike beside what was asked for.
        margin: relative change up to which both are the same, as a fraction.
        alpha: how often a verdict may be wrong.
        live: what resumes a comparison that was measured in turns; null of others.
    """

    schema_version: int = SCHEMA_VERSION
    comparison_id: str
    created_at: str
    beambench_version: str
    benchmark: str
    schedule: Schedule
    status: Status
    sides: list[Side]
    verdict: Verdict
    sentence: str
    metrics: dict[str, ComparedMetric]
    stages: dict[str, ComparedMetric] = Field(default_factory=dict)
    left_out: dict[str, str] = Field(default_factory=dict)
    noise: ComparisonNoise = ComparisonNoise()
    pairs: list[Pair] = Field(default_factory=list)
    margin: float
    alpha: float
    differences: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    live: LiveState | None = None
