"""Runs a pipeline that was staged for Dataflow, and says its metrics as the service would.

``python run_staged_pipeline.py PIPELINE``: the pipeline is Beam's own proto, as the DataflowRunner
staged it. Only where it runs is changed: Dataflow's containers become threads of this process.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner


def run(pipeline: Any) -> list[dict[str, Any]]:
    """Run a pipeline; return its users' metrics, steps named by their ids as on Dataflow."""
    for environment in pipeline.components.environments.values():
        environment.urn, environment.payload = python_urns.EMBEDDED_PYTHON, b""
        del environment.dependencies[:]
    transforms = pipeline.components.transforms
    ids = {transforms[key].unique_name: key for key in transforms}
    result = FnApiRunner().run_via_runner_api(pipeline, PipelineOptions([]))
    result.wait_until_finish()
    queried = result.metrics().query()
    return [
        _update(entry, ids, kind)
        for kind in ("counters", "distributions")
        for entry in queried[kind]
    ]


def _update(entry: Any, ids: dict[str, str], kind: str) -> dict[str, Any]:
    step, value = entry.key.step, entry.result
    context = {"step": ids.get(step, step), "namespace": entry.key.metric.namespace}
    name = {"origin": "user", "name": entry.key.metric.name, "context": context}
    if kind == "counters":
        return {"name": name, "scalar": value}
    values = {"count": value.count, "sum": value.sum, "min": value.min, "max": value.max}
    return {"name": name, "distribution": {**values, "mean": value.sum / max(1, value.count)}}


if __name__ == "__main__":
    staged = beam_runner_api_pb2.Pipeline.FromString(Path(sys.argv[1]).read_bytes())
    sys.stdout.write(json.dumps(run(staged)))
