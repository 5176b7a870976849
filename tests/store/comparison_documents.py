"""Comparison documents for a store."""

from __future__ import annotations

from typing import Any

from beambench.record.comparison import Comparison


def comparison(number: int = 1, **changed: Any) -> Comparison:
    parts: dict[str, Any] = {
        "comparison_id": f"compare-20260131T10{number:02d}00Z-{number:08x}",
        "created_at": f"2026-01-31T10:{number:02d}:00.000Z",
        "beambench_version": "0.1.0",
        "benchmark": "overhead-noop",
        "schedule": "stored",
        "status": "succeeded",
        "sides": [],
        "verdict": "inconclusive",
        "sentence": "Naïve 🙂 '; DROP TABLE comparisons; --",
        "metrics": {},
        "margin": 0.03,
        "alpha": 0.01,
    }
    return Comparison.model_validate(parts | changed)
