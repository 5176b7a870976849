"""Where the levels of histories changed, as points beside those of the runs.

A dashboard draws them as annotations. What is known of a change depends on the runs after it, so
the changes of a benchmark are always replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from beambench.publishers.base import UnavailableError
from beambench.publishers.influxdb.points import micros, point, tag_value
from beambench.publishers.influxdb.server import InfluxServer

MEASUREMENT = "beambench_changes"


@dataclass(frozen=True)
class PublishedChange:
    """A change of a series, seen from the first run of its new level.

    Attributes:
        verdict: whether the new level is better.
        ratio: of the new level to the old one, with its interval.
        started_at: of the first run, ISO 8601.
        environment: what its environment has that the one before it has not, a line each.
    """

    benchmark: str
    metric: str
    variant: str
    profile: str
    runner: str
    verdict: Literal["better", "worse", "neither"]
    ratio: float
    ratio_low: float
    ratio_high: float
    run_id: str
    started_at: str
    environment: Sequence[str]

    @property
    def title(self) -> str:
        return f"{self.metric}: {100 * (self.ratio - 1):+.1f} %".replace("-", "\u2212")

    @property
    def text(self) -> str:
        sides = f"{self.variant} · {self.profile} · {self.runner}"
        return "\n".join([sides, *(self.environment or ["environment as before"])])


def replace_changes(
    server: InfluxServer, benchmark: str, changes: Sequence[PublishedChange], deadline: float
) -> None:
    """Put the changes of a benchmark in place of those that were published before.

    Raises UnavailableError if the server does not take them.
    """
    server.delete(MEASUREMENT, "benchmark", tag_value(benchmark), deadline)
    if not changes:
        return
    answer = server.post([_line(change) for change in changes], "ns", deadline)
    if answer.status_code != 204:
        raise UnavailableError(server.words(answer))


def _line(change: PublishedChange) -> str:
    tags = {
        "benchmark": change.benchmark,
        "metric": change.metric,
        "variant": change.variant,
        "profile": change.profile,
        "runner": change.runner,
        "verdict": change.verdict,
    }
    fields = {
        "ratio": change.ratio,
        "ratio_low": change.ratio_low,
        "ratio_high": change.ratio_high,
        "run_id": change.run_id,
        "title": change.title,
        "text": change.text,
    }
    return point(MEASUREMENT, tags, fields, micros(change.started_at) * 1000)
