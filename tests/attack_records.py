"""A record and a comparison that were made to attack whoever shows them, valid by their schemas."""

from __future__ import annotations

from typing import Any

from beambench.record.comparison import Comparison
from beambench.record.run_record import RunRecord
from published_runs import repeat, run_record

SCRIPT = "</script></pre></title><script>window.attacked = 1</script>"
IMAGE = "\"'><img src=x onerror='window.attacked = 1'>"
LINK = "javascript:window.attacked=1"
PATH = "../../../etc/passwd"
TEMPLATE = "{{ 7 * 7 }}{% for x in y %}${7*7}`"
TURNED = "\u202etxt.exe\u2066\u200b\x07\x1b[31m"
HUGE = "A" * 200_000
ATTACK = f"{SCRIPT}{IMAGE}{TEMPLATE}{TURNED}"
LABELS = {f"label {number} {IMAGE}": f"{number} {SCRIPT}" for number in range(200)}


def value(amount: float, **changed: Any) -> dict[str, Any]:
    return {"value": amount, "unit": "1/s", "direction": "higher", "n": 6, **changed}


METRICS = {
    "throughput_elements": value(1e300, ci_low=-1e300, ci_high=1.7e308),
    "run_time": value(5e-324, unit="s", direction="lower"),
    "peak_memory": value(1e300, unit="B", direction="lower"),
    IMAGE: value(1.0, unit=IMAGE),
    SCRIPT: value(0.0),
}


def attack_record(number: int = 1, **changed: Any) -> RunRecord:
    """Return a record all of whose texts attack."""
    parts: dict[str, Any] = {
        "run_id": f"{PATH}|{number}{ATTACK}",
        "benchmark": f"{PATH}{ATTACK}",
        "variant": ATTACK,
        "profile": ATTACK,
        "runner": {"requested": ATTACK, "executed": ATTACK, "implementation": LINK},
        "input": {"kind": ATTACK, "count": 2**60, "digest": ATTACK, "source": LINK},
        "model": {"name": ATTACK, "weights": "random"},
        "config": {SCRIPT: [ATTACK, None, 2**60, 1e300], "__proto__": {"polluted": True}},
        "repeats": [
            repeat(
                metrics=METRICS,
                runner={"executed": ATTACK, "job_id": ATTACK, "state": ATTACK, "console_url": LINK},
                error={"message": HUGE},
                noise={"disturbed": True, "reasons": [ATTACK]},
            )
        ],
        "metrics": METRICS,
        "environment": {
            "machine": {"cpu_model": ATTACK, "cores": {"logical": 1e300}},
            "packages": {"apache-beam": ATTACK, IMAGE: SCRIPT},
            "git": {"project": {"commit": LINK}},
            "machine_digest": ATTACK,
        },
        "labels": LABELS,
        "command": ["beambench", "run", "; rm -rf /", ATTACK],
        "warnings": [ATTACK, HUGE],
        "error": ATTACK,
    }
    return run_record(number, **(parts | changed))


def document_with_nan(record: RunRecord) -> str:
    """Return a record's JSON with what JSON has not, as a careless program would write it."""
    return record.model_dump_json().replace('"config":{', '"config":{"nan":NaN,"end":-Infinity,', 1)


def attack_comparison(record: RunRecord, **changed: Any) -> Comparison:
    """Return a comparison of a record with itself, all of whose texts attack."""
    metric = {
        "unit": IMAGE, "direction": "higher", "base": 1e300, "candidate": 1e-300, "ratio": 1e-300,
        "ci_low": 0.0, "ci_high": 1e300, "verdict": "inconclusive", "mde": 1e300, "n": 2, "p": 1.0,
        "p_same": 1.0, "noise": 1e300, "reason": ATTACK,
    }  # fmt: skip
    side = {"run_id": record.run_id, "variant": ATTACK, "settings": {IMAGE: SCRIPT}}
    parts: dict[str, Any] = {
        "comparison_id": f"{PATH}{ATTACK}",
        "created_at": ATTACK,
        "beambench_version": ATTACK,
        "benchmark": record.benchmark,
        "schedule": "interleaved",
        "status": "succeeded",
        "sides": [
            {**side, "name": "base", "packages": {IMAGE: SCRIPT}},
            {**side, "name": "candidate"},
        ],
        "verdict": "inconclusive",
        "sentence": ATTACK,
        "metrics": {IMAGE: metric},
        "stages": {SCRIPT: metric},
        "left_out": {IMAGE: SCRIPT},
        "pairs": [
            {"block": at, "order": ["base", "candidate"], "base": {IMAGE: 1e300},
             "candidate": {IMAGE: 1e-300}}
            for at in range(2)
        ],
        "margin": 0.03,
        "alpha": 0.05,
        "differences": [ATTACK],
        "warnings": [ATTACK],
    }  # fmt: skip
    return Comparison.model_validate(parts | changed)
