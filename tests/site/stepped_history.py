"""Runs of a benchmark that became slower at one of them, on a day of its own each."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from beambench.record.run_record import RunRecord
from published_runs import run_record

BENCHMARK = "stepped"
RUNS = 40
CHANGE = 30
NOISE = (0.6, -1.2, 0.3, 1.4, -0.5, -0.9, 1.1, -0.2, 0.8, -1.4, 0.1, -0.6, 1.3, -0.8, 0.4, -0.1)
FIRST = datetime(2026, 1, 1, 3, tzinfo=timezone.utc)


def run_id(number: int) -> str:
    return f"{FIRST + timedelta(days=number):%Y%m%dT%H%M%SZ}-{number:08x}"


def stepped_runs(variants: tuple[str, ...] = ("stock", "tuned")) -> list[RunRecord]:
    """Return the runs of some variants; only those of the first become slower."""
    return [
        stepped_run(number + RUNS * at, number, variant, slower=at == 0 and number >= CHANGE)
        for at, variant in enumerate(variants)
        for number in range(RUNS)
    ]


def stepped_run(number: int, day: int, variant: str, *, slower: bool) -> RunRecord:
    rate = (80 if slower else 100) * (1 + NOISE[number % len(NOISE)] / 100)
    began = FIRST + timedelta(days=day)
    return run_record(
        number,
        run_id=f"{began:%Y%m%dT%H%M%SZ}-{number:08x}",
        benchmark=BENCHMARK,
        variant=variant,
        started_at=f"{began:%Y-%m-%dT%H:%M:%S.000Z}",
        finished_at=f"{began:%Y-%m-%dT%H:%M:%S.900Z}",
        metrics=_metrics(rate),
        environment={
            "packages": {"apache-beam": "2.77.0", "torch": "2.14.0" if slower else "2.13.0"},
            "git": {"project": {"commit": f"{number:040x}"}},
        },
    )


def _metrics(rate: float) -> dict[str, Any]:
    return {
        "throughput_elements": {
            "value": rate, "unit": "1/s", "direction": "higher", "n": 6,
            "ci_low": rate * 0.99, "ci_high": rate * 1.01,
        },
        "throughput_bytes": {"value": rate * 1e5, "unit": "B/s", "direction": "higher", "n": 6},
        "run_time": {"value": 1000 / rate, "unit": "s", "direction": "lower", "n": 6},
        **{
            f"inference_batch_latency_p{share}": {
                "value": share / 1000 / rate, "unit": "s", "direction": "lower", "n": 400,
            }
            for share in (50, 90, 95, 99)
        },
    }  # fmt: skip
