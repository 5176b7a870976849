"""Beam's throughput of a PCollection, computed as its cost benchmark does, and no rate.

The two series are running totals ("added to the pcollection so far"), so the mean of their samples
is about half of the total. It is kept beside our own elements ÷ window, because Beam publishes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from beambench.runners.dataflow.service.client import JobClient
from beambench.runners.dataflow.service.follow import Followed

SERIES = {
    "AvgThroughputElements": "element_count",
    "AvgThroughputBytes": "estimated_byte_count",
}
"""Beam's name of the metric, and the series of Cloud Monitoring it is computed from."""


def read_throughput(client: JobClient, pcollection: str, followed: Followed) -> dict[str, float]:
    """Return Beam's figures as far as the series have come; ServiceError if they are refused."""
    begin, end = followed.messages.workers_started, followed.messages.workers_stopped
    if begin is None or end is None:
        return {}
    rates = {
        name: list(points(client.time_series(series, pcollection, begin, end)))
        for name, series in SERIES.items()
    }
    return {name: fmean(values) for name, values in rates.items() if values}


def points(series: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the values of time series; of a distribution its mean."""
    values = [point.get("value", {}) for entry in series for point in entry.get("points", [])]
    return [number for value in values if (number := _number(value)) is not None]


def _number(value: Mapping[str, Any]) -> float | None:
    for kind in ("doubleValue", "int64Value"):
        if kind in value:
            return float(value[kind])
    if "distributionValue" in value:
        return float(value["distributionValue"].get("mean", 0.0))
    return None
