"""What comes before the first element, and the whole."""

from __future__ import annotations

from beambench.metrics.base import MICRO, UNKNOWN, Metric, RawRepeat, Sample
from beambench.record.observation import Distribution


def _mean(times: Distribution | None) -> Sample:
    return UNKNOWN if times is None else Sample(times.sum / times.count * MICRO, times.count)


def _loads(repeat: RawRepeat) -> Sample:
    loads = repeat.measured.loads
    return UNKNOWN if loads is None else Sample(loads.count, loads.count)


def _startup(repeat: RawRepeat) -> Sample:
    begun = repeat.measured.first_read
    # Below 0 it was read by a machine whose clock is behind this one's: the time is unknown.
    return Sample(None if begun is None or begun < 0 else begun * MICRO, 1)


METRICS = (
    Metric(
        name="model_load_latency_mean",
        unit="s",
        direction="lower",
        formula="mean time of the handler's load_model, of weights that the page cache holds where "
        "weights_cached of the repeat is 1",
        counts="loads",
        of_repeat=lambda repeat: _mean(repeat.measured.loads),
        beam_label="mean_load_model_latency_milli_secs",
        beam_factor=1e-3,
        compared=True,
    ),
    Metric(
        name="model_loads",
        unit="1",
        direction="lower",
        formula="calls of load_model in one repeat",
        counts="loads",
        of_repeat=_loads,
        shown=None,
    ),
    Metric(
        name="server_start_time_mean",
        unit="s",
        direction="lower",
        formula="mean time from the start of a model server's process until it answers (asked "
        "every 0.1 s); part of load_model, in which Beam itself asks every 5 s",
        counts="loads",
        of_repeat=lambda repeat: _mean(repeat.measured.server_starts),
        shown=None,
    ),
    Metric(
        name="startup_time",
        unit="s",
        direction="lower",
        formula="from the start of the worker process to the first element read: imports, "
        "pipeline construction and model load, all of files that earlier workers have read; of a "
        "Dataflow job from before it is submitted",
        counts="repeats",
        of_repeat=_startup,
    ),
    Metric(
        name="run_time",
        unit="s",
        direction="lower",
        formula="from the start of the worker process to its end: everything; of a Dataflow job "
        "from its creation to its terminal state (Beam's is from its workers' start to their stop)",
        counts="repeats",
        of_repeat=lambda repeat: Sample(repeat.run_time, 1),
        beam_label="JobRuntimeSeconds",
    ),
)
