"""The history of Beam's own suite, generated in exactly the form that it publishes."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

LABEL = "BeamML_PyTorch_pytorchruninference/beamml_runinference"
DISTRIBUTIONS = {
    "inference_batch_latency_micro_secs": (250_000, 400),
    "inference_request_batch_byte_size": (1200, 400),
    "inference_request_batch_size": (100, 400),
    "load_model_latency_milli_secs": (5200, 75),
    "model_byte_size": (178_793_939, 75),
}
COSTS = {
    "AvgThroughputBytes": 7e6,
    "AvgThroughputElements": 61.5,
    "EstimatedCost": 12.53,
    "JobRuntimeSeconds": 900.0,
    "TotalMemoryUsage": 5.1e8,
    "TotalPdUsage": 3.4e6,
    "TotalVcpuTime": 135_000.0,
}


def days(count: int, seed: int = 1) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of one run a day."""
    chance = random.Random(seed)
    start = datetime(2023, 6, 1, 9, 30, tzinfo=timezone.utc)
    for day in range(count):
        when = start + timedelta(days=day, seconds=chance.randrange(900))
        test_id = uuid.UUID(int=chance.getrandbits(128)).hex
        job_id = f"{when:%Y-%m-%d_%H_%M_%S}-{chance.randrange(10**18):019d}"
        values = {f"{LABEL}_num_inferences": 50_000.0, f"{LABEL}_failed_batches_counter": 0.0}
        for metric, (mean, count_) in DISTRIBUTIONS.items():
            latency = mean * chance.gauss(1, 0.02)
            values |= {
                f"{LABEL}_count_{metric}": float(count_),
                f"{LABEL}_max_{metric}": float(int(latency * 2)),
                f"{LABEL}_min_{metric}": float(int(latency / 2)),
                f"{LABEL}_sum_{metric}": latency * count_,
                f"{LABEL}_mean_{metric}": latency,
            }
        values |= {name: value * chance.gauss(1, 0.02) for name, value in COSTS.items()}
        yield [
            {
                "test_id": test_id,
                "timestamp": when + timedelta(microseconds=number),
                "metric": metric,
                "value": value,
                "job_id": job_id,
            }
            for number, (metric, value) in enumerate(values.items())
        ]
