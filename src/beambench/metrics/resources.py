"""What is used of the machine."""

from __future__ import annotations

from beambench.metrics.base import MICRO, UNKNOWN, Metric, RawRepeat, Sample, per
from beambench.record.observation import Measured


def _cpu_time(measured: Measured) -> Sample:
    value = per(measured.cpu, measured.elements, MICRO)
    return Sample(value, measured.elements, measured.cpu_unknown)


def _cpu_time_to_output(repeat: RawRepeat) -> Sample:
    return UNKNOWN if repeat.observation.proof is None else _cpu_time(repeat.measured)


def _cpu_time_of_inference(repeat: RawRepeat) -> Sample:
    if not repeat.is_existing or repeat.measured.inference_window is None:
        return UNKNOWN
    return _cpu_time(repeat.measured)


METRICS = (
    Metric(
        name="cpu_time_per_element",
        unit="s",
        direction="lower",
        formula="CPU time of the worker processes, from the first element read to the last batch, "
        "÷ elements out; where a server has the model or processes share it, CPU time of the "
        "worker's whole process tree, up to a reading at most 200 times what it costs (some 30 ms) "
        "before the last batch, with what processes that begin late need to start. Unknown where "
        "the model computes on another machine, or processes share it on Dataflow",
        counts="elements",
        of_repeat=_cpu_time_to_output,
        compared=True,
    ),
    Metric(
        name="inference_cpu_time_per_element",
        unit="s",
        direction="lower",
        formula="of a pipeline that exists already (`--pipeline`), in place of "
        "cpu_time_per_element: CPU time of the same processes, from the first batch begun to the "
        "last one finished, ÷ elements inferred",
        counts="elements",
        of_repeat=_cpu_time_of_inference,
        compared=True,
    ),
    Metric(
        name="peak_memory",
        unit="B",
        direction="lower",
        formula="greatest sum of resident memory over the worker's process tree, without the "
        "watchdog that it is started under (sampled every 0.2 s, and never less than the peak that "
        "the kernel noted for one of its processes); peak_rss of earlier records holds one of the "
        "two processes of the watchdog, some 10 MB",
        counts="samples",
        of_repeat=lambda repeat: Sample(repeat.peak_rss, max(1, repeat.rss_samples)),
        compared=True,
    ),
)
