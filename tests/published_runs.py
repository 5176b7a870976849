"""Run records as a real run leaves them, for tests of what is published."""

from __future__ import annotations

from typing import Any

from beambench.record.run_record import RunRecord

NAMESPACE = "BeamML_PyTorch"
STEP = "PyTorchRunInference/BeamML_RunInference"
LABEL = "BeamML_PyTorch_pytorchruninference/beamml_runinference"
PUBLISH = {
    "to": [],
    "bigquery": {"dataset": "beam_run_inference", "table": "published_tests"},
    "influxdb": {"measurement": "published_tests"},
}


def distribution(count: int, total: int, least: int, greatest: int) -> dict[str, Any]:
    return {
        "namespace": NAMESPACE,
        "step": STEP,
        "count": count,
        "sum": total,
        "min": least,
        "max": greatest,
    }


def repeat(index: int = 0, rate: float = 100.0, **changed: Any) -> dict[str, Any]:
    return {
        "index": index,
        "arm": "pipeline",
        "status": "succeeded",
        "started_at": f"2026-01-31T10:00:0{index}.000Z",
        "finished_at": f"2026-01-31T10:00:0{index + 1}.250Z",
        "metrics": {
            "throughput_elements": {"value": rate, "unit": "1/s", "direction": "higher", "n": 50}
        },
        "runner": {"executed": "direct"},
        "beam_metrics": {
            "num_inferences": {"namespace": NAMESPACE, "step": STEP, "value": 50 + index},
            "inference_request_batch_size": distribution(4, 50, 1, 20),
            "inference_batch_latency_micro_secs": distribution(4, 2001 + index, 100, 900),
        },
        **changed,
    }


def run_record(number: int = 1, **changed: Any) -> RunRecord:
    """Return the record of a run that has rows of every kind."""
    parts: dict[str, Any] = {
        "run_id": f"20260131T10{number // 60 % 60:02d}{number % 60:02d}Z-{number:08x}",
        "benchmark": "published-tests",
        "variant": "stock",
        "profile": "smoke",
        "definition_hash": "ab" * 32,
        "beambench_version": "0.1.0",
        "runner": {"requested": "direct", "executed": "direct"},
        "status": "succeeded",
        "started_at": f"2026-01-31T10:{number // 60 % 60:02d}:{number % 60:02d}.000Z",
        "finished_at": f"2026-01-31T10:{number // 60 % 60:02d}:{number % 60:02d}.900Z",
        "input": {"kind": "synthetic", "count": 50, "digest": "cd" * 32, "bytes": 51200},
        "model": {"name": "noop", "weights": "none"},
        "config": {"definition": {"publish": PUBLISH}},
        "repeats": [repeat()],
        "metrics": {
            "throughput_elements": {
                "value": 3168.25 + number,
                "unit": "1/s",
                "direction": "higher",
                "n": 6,
                "ci_low": 3000.0,
                "ci_high": 3300.5,
            },
            "peak_rss": {"value": 1.5e9, "unit": "B", "direction": "lower", "n": 6},
        },
        "verification": {
            "elements_in": 50,
            "elements_out": 50,
            "elements_failed": 0,
            "duplicates": 0,
            "passed": True,
        },
        "noise": {},
        "environment": {"packages": {"apache-beam": "2.77.0"}, "python": {"version": "3.11.7"}},
        "labels": {"note": "naïve, with = and spaces\nand a second line"},
        "command": ["beambench", "run"],
    }
    return RunRecord.model_validate(parts | changed)
