"""beambench: benchmarks for machine-learning inference in Apache Beam pipelines.

The public Python API. Names are resolved when they are first used, so that importing this package
loads neither Beam nor a model framework::

    import beambench

    record = beambench.run("overhead-noop", repeats=6, store="sqlite:///runs.db")
    print(record.metrics["throughput_elements"].value)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beambench.version import __version__

if TYPE_CHECKING:
    from beambench.analysis.change_points.monitor import AlarmMonitor
    from beambench.analysis.change_points.policy import Alarm, AlarmPolicy, Change
    from beambench.analysis.change_points.segmentation import detect_changes
    from beambench.definition.library import Library
    from beambench.errors import BeambenchError, RunError, StoreError, UsageError
    from beambench.experiments.python_api import run_benchmark as run
    from beambench.experiments.saving import NotStoredError
    from beambench.metrics import Metric, Sample
    from beambench.record.run_record import RunRecord
    from beambench.store.run_store import RunStore
    from beambench.workloads.base import Parameters, Weights, Workload

__all__ = [
    "Alarm",
    "AlarmMonitor",
    "AlarmPolicy",
    "BeambenchError",
    "Change",
    "Library",
    "Metric",
    "NotStoredError",
    "Parameters",
    "RunError",
    "RunRecord",
    "RunStore",
    "Sample",
    "StoreError",
    "UsageError",
    "Weights",
    "Workload",
    "__version__",
    "detect_changes",
    "run",
]

_PLACES = {
    "Alarm": "beambench.analysis.change_points.policy:Alarm",
    "AlarmMonitor": "beambench.analysis.change_points.monitor:AlarmMonitor",
    "AlarmPolicy": "beambench.analysis.change_points.policy:AlarmPolicy",
    "Change": "beambench.analysis.change_points.policy:Change",
    "detect_changes": "beambench.analysis.change_points.segmentation:detect_changes",
    "BeambenchError": "beambench.errors:BeambenchError",
    "Library": "beambench.definition.library:Library",
    "Metric": "beambench.metrics:Metric",
    "NotStoredError": "beambench.experiments.saving:NotStoredError",
    "Parameters": "beambench.workloads.base:Parameters",
    "RunError": "beambench.errors:RunError",
    "RunRecord": "beambench.record.run_record:RunRecord",
    "RunStore": "beambench.store.run_store:RunStore",
    "Sample": "beambench.metrics:Sample",
    "StoreError": "beambench.errors:StoreError",
    "UsageError": "beambench.errors:UsageError",
    "Weights": "beambench.workloads.base:Weights",
    "Workload": "beambench.workloads.base:Workload",
    "run": "beambench.experiments.python_api:run_benchmark",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, _, attribute = _PLACES[name].partition(":")
    return getattr(import_module(module), attribute)
