"""Data of a benchmark's charts, made up: many runs of all metrics, and names made to attack."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

DAY_S = 86400
FIRST_RUN = 1_764_547_200  # 2025-12-01, UTC
ATTACK = "\"><script>document.title='attacked'</script><img src=x onerror=alert(1)>'`${7*7}\u202e"

SDK_VERSIONS = ("2.68.0", "2.69.0", "2.70.0", "2.74.0", "2.77.0")
LATENCIES = [f"inference_batch_latency_p{at}" for at in ("50", "90", "95", "99")]
STAGES = [f"stage_time_{at}" for at in ("read", "preprocess", "batch_wait", "inference")]

# name: title, unit, direction, section, usual value
METRICS: dict[str, tuple[str, str, str, str, float]] = {
    "run_time": ("Run time", "s", "lower", "speed", 64.0),
    "cost": ("Estimated cost", "USD", "lower", "cost", 0.0421),
    "throughput_bytes": ("Throughput in bytes", "B/s", "higher", "speed", 8.1e6),
    "throughput_elements": ("Throughput", "1/s", "higher", "speed", 212.0),
    **{name: (f"Batch latency, {name[-3:]}", "s", "lower", "latency", 0.031 * (1 + at / 2))
       for at, name in enumerate(LATENCIES)},
    "inference_batch_latency_mean": ("Mean batch latency", "s", "lower", "latency", 0.034),
    "inference_batch_size_mean": ("Mean batch size", "1", "neither", "batches", 7.4),
    "model_load_latency_mean": ("Model load", "s", "lower", "model load", 1.3),
    **{name: (f"Stage {name[11:]}", "s", "lower", "stages", 0.002 * (1 + at))
       for at, name in enumerate(STAGES)},
    "peak_memory": ("Peak memory", "B", "lower", "resources", 1.4e9),
    "cpu_time_per_element": ("CPU time of an element", "s", "lower", "resources", 0.0061),
    "startup_time": ("Startup", "s", "lower", "other", 5.2),
    "stock_agreement": ("Agreement with stock", "1", "higher", "other", 0.998),
    "hostile": (ATTACK, "1", "higher", "other", 1.0),
}  # fmt: skip

CHARTS: Sequence[tuple[str, str, str, list[str], str]] = (
    ("run-time-cost", "Run time and estimated cost", "speed", ["run_time", "cost"], "time"),
    ("bytes", "Throughput in bytes by date", "speed", ["throughput_bytes"], "time"),
    ("elements", "Throughput in elements by date", "speed", ["throughput_elements"], "time"),
    ("bytes-sdk", "Throughput in bytes by SDK version", "speed", ["throughput_bytes"], "sdk"),
    ("elements-sdk", "Throughput by SDK version", "speed", ["throughput_elements"], "sdk"),
    ("latency", "Percentiles of batch latency", "latency", LATENCIES, "time"),
    (
        "latency-mean",
        "Mean latency of a batch",
        "latency",
        ["inference_batch_latency_mean"],
        "time",
    ),
    ("batches", "Batch size", "batches", ["inference_batch_size_mean"], "time"),
    ("load", "Model load", "model load", ["model_load_latency_mean"], "time"),
    ("stages", "Time in stages", "stages", STAGES, "time"),
    ("memory", "Peak memory", "resources", ["peak_memory"], "time"),
    ("cpu", "CPU time of an element", "resources", ["cpu_time_per_element"], "time"),
    ("startup", "Startup", "other", ["startup_time"], "time"),
    ("agreement", "Agreement with stock", "other", ["stock_agreement"], "time"),
    ("hostile", ATTACK, "other", ["hostile"], "time"),
)

HEADLINE = ("throughput_elements", "run_time", "inference_batch_latency_p50")
NOISE = 0.013
LARGE_RUNS = 1000
SHIFT_AT = 180
"""Index in the first series of the run from which on it is slower."""


def chart_data(*, series: int = 4, runs: int = 250) -> dict[str, Any]:
    """Return the data of a page: `runs` runs in each of `series` series."""
    kinds = [
        ("stock", "local", "direct", "photographs", "pretrained"),
        ("tuned", "local", "direct", "photographs", "pretrained"),
        ("stock", "full", "dataflow", "photographs", "pretrained"),
        ("stock", "local", "direct", "synthetic", "random"),
    ]
    return {
        "benchmark": "pytorch-image-classification-resnet50",
        "built_at": "2026-11-30T12:00:00+00:00",
        "demo": False,
        "metrics": {
            name: {"title": title, "unit": unit, "direction": direction, "formula": "…",
                   "beam_label": None, "section": section}
            for name, (title, unit, direction, section, _) in METRICS.items()
        },
        "charts": [
            {"id": id_, "title": title, "section": section, "metrics": metrics, "x": x}
            for id_, title, section, metrics, x in CHARTS
        ],
        "series": [one_series(number, kinds[number % 4], runs) for number in range(series)],
        "commands": [f"beambench run pytorch-image-classification-resnet50 --label '{ATTACK}'"],
        "left_out": {"status failed": 3, f"machine {ATTACK}": 1},
    }  # fmt: skip


def one_series(number: int, kind: tuple[str, ...], runs: int) -> dict[str, Any]:
    generator = random.Random(number)
    names = [f"2026|{number}|run-{at:04}" for at in range(runs)]
    speed = 1 + number * 0.35
    values: dict[str, list[float | None]] = {}
    for name, (_, _, direction, _, usual) in METRICS.items():
        factor = speed if direction == "higher" else 1 / speed
        slower = (0.86 if direction == "higher" else 1 / 0.86) if number == 0 else 1.0
        levels = [usual * factor * (slower if at >= SHIFT_AT else 1.0) for at in range(runs)]
        values[name] = [
            float(f"{level * math.exp(generator.gauss(0, NOISE)):.5g}") for level in levels
        ]
    values["cost"][7] = None
    if number == 3:
        values["hostile"][5] = 1e300
    low = {name: [None if v is None else v * 0.985 for v in values[name]] for name in HEADLINE}
    high = {name: [None if v is None else v * 1.015 for v in values[name]] for name in HEADLINE}
    change = {
        "index": SHIFT_AT, "direction": "down", "ratio": 0.86, "ratio_low": 0.851,
        "ratio_high": 0.868, "confidence": 0.999, "better": False,
        "environment": ["torch 2.12.0 → 2.13.0", ATTACK],
    }  # fmt: skip
    return {
        "id": f"series-{number}",
        "label": " · ".join(kind) + (ATTACK if number == 3 else ""),
        "variant": kind[0], "profile": kind[1], "runner": kind[2], "input_kind": kind[3],
        "weights": kind[4],
        "runs": names,
        "pages": {at: f"2026-{number}-run-{at:04}" for at in range(runs)},
        "time": [FIRST_RUN + at * DAY_S * 365 // runs + number * 1800 for at in range(runs)],
        "commit": [None if at % 50 == 0 else f"{at * 7919 + number:040x}" for at in range(runs)],
        "sdk": [SDK_VERSIONS[at * len(SDK_VERSIONS) // runs] for at in range(runs)],
        "command": [0] * runs,
        "disturbed": [int(at % 97 == 60) for at in range(runs)],
        "group": [int(number == 1 and at >= runs // 2) for at in range(runs)],
        "values": values,
        "low": low,
        "high": high,
        "noise": {name: NOISE for name in METRICS if name != "startup_time"},
        "levels": {"throughput_elements": [change]} if number == 0 and runs > SHIFT_AT else {},
        "alarms": {
            "throughput_elements": [
                {"index": SHIFT_AT + 2, "observed_at": "2026-08-23T00:00:00+00:00",
                 "summary": "14 % slower than the level before", "state": "open"}
            ]
        } if number == 0 and runs > SHIFT_AT + 2 else {},
        "marks": [{"index": runs // 2, "lines": ["CPU: EPYC 7B13 → EPYC 9B14"]}]
        if number == 1 else [],
    }  # fmt: skip
