"""Where the time goes: the stages of an element."""

from __future__ import annotations

from collections.abc import Callable

from beambench.metrics.base import MICRO, UNKNOWN, Metric, RawRepeat, Sample, per, window_seconds
from beambench.record.observation import CPU_STRIDE, Stages

BUSY = ("read", "preprocess", "inference", "postprocess")
MOST_BUSY = 1.005
"""Stages ÷ time of all threads, above which they do not describe it: a clock was set, or more
threads worked than were counted. Below that it is what two clocks differ by."""
GRAIN = 1e-6
"""Seconds by which the window may be too short: its ends are whole microseconds."""
ALL = ("read", "preprocess", "batch_wait", "inference", "postprocess")


def _is_whole(repeat: RawRepeat) -> bool:
    """Tell whether every element came through once: sums of times of others are no waits."""
    return not (repeat.observation.missing_count or repeat.observation.duplicates_count)


def _known(repeat: RawRepeat) -> tuple[Stages, int, float] | None:
    """Return the stages, their elements and the seconds from first read to last output."""
    measured, window = repeat.measured, window_seconds(repeat.measured)
    if measured.stages is None or measured.batch_size is None or window is None:
        return None
    stages = measured.stages
    if not _is_whole(repeat):
        stages = stages.model_copy(update={"batch_wait": None})
    return stages, measured.batch_size.sum, window


def _time(stage: str) -> Callable[[RawRepeat], Sample]:
    def compute(repeat: RawRepeat) -> Sample:
        known = _known(repeat)
        if known is None:
            return UNKNOWN
        stages, n, _ = known
        return Sample(per(getattr(stages, stage), n, MICRO), n)

    return compute


def _cpu_time(stage: str) -> Callable[[RawRepeat], Sample]:
    def compute(repeat: RawRepeat) -> Sample:
        cpu, sizes = repeat.measured.stage_cpu, repeat.measured.batch_size
        mean = getattr(cpu, stage) if cpu is not None else None
        if cpu is None or mean is None or sizes is None:
            return UNKNOWN
        return Sample(mean * MICRO, sizes.sum if stage == "inference" else cpu.sampled)

    return compute


def _busy(repeat: RawRepeat) -> tuple[dict[str, float], int] | None:
    """Return the share of each stage in the time of all threads, and the elements.

    The shares sum to one at most: None if the stages take longer than there was time.
    """
    work = _work(repeat)
    if work is None:
        return None
    seconds, whole, n = work
    busy = sum(seconds.values())
    if busy > whole * MOST_BUSY + GRAIN * (repeat.measured.threads or 1):
        return None
    return {stage: seconds[stage] / max(busy, whole) for stage in BUSY}, n


def _work(repeat: RawRepeat) -> tuple[dict[str, float], float, int] | None:
    """Return the seconds in each stage, those of all threads together, and the elements."""
    known, threads = _known(repeat), repeat.measured.threads
    if known is None or threads is None:
        return None
    stages, n, window = known
    return {stage: getattr(stages, stage) * MICRO for stage in BUSY}, window * threads, n


def _share(stage: str) -> Callable[[RawRepeat], Sample]:
    def compute(repeat: RawRepeat) -> Sample:
        busy = _busy(repeat)
        return UNKNOWN if busy is None else Sample(busy[0][stage], busy[1])

    return compute


def _overhead(repeat: RawRepeat) -> Sample:
    busy, work = _busy(repeat), _work(repeat)
    if busy is not None:
        # Of floats that sum to one, the rest may be some 1e-16 below 0.
        return Sample(max(0.0, 1 - sum(busy[0].values())), busy[1])
    if work is None:
        return UNKNOWN
    seconds, whole, _ = work
    return Sample(
        None,
        0,
        f"the stages took {sum(seconds.values()):.4g} s, more than the {whole:.4g} s that all "
        "threads had: no share of the time is known",
    )


def _share_of_waiting(repeat: RawRepeat) -> Sample:
    known, latency = _known(repeat), repeat.measured.element_latency
    if known is None or repeat.measured.threads is None or latency is None:
        return UNKNOWN
    stages, n, _ = known
    if stages.batch_wait is None:
        return UNKNOWN
    own = stages.read + stages.preprocess + stages.postprocess
    return Sample(per(stages.batch_wait, own + stages.batch_wait + latency), n)


def _latency(repeat: RawRepeat) -> Sample:
    known, time = _known(repeat), repeat.measured.element_time
    if known is None or not _is_whole(repeat):
        return UNKNOWN
    return Sample(per(time, known[1], MICRO), known[1])


METRICS = (
    Metric(
        name="element_latency_mean",
        unit="s",
        direction="lower",
        formula="mean time from the begin of an element's reading to its output, its wait for its "
        "batch included; absent where an element got lost",
        counts="elements",
        of_repeat=_latency,
    ),
    *(
        Metric(
            name=f"stage_time_{stage}",
            unit="s",
            direction="lower",
            formula="mean time from the end of an element's preprocessing to the start of its "
            "inference"
            if stage == "batch_wait"
            else f"time spent in {stage} ÷ elements",
            counts="elements",
            of_repeat=_time(stage),
            shown="table" if stage == "inference" else None,
        )
        for stage in ALL
    ),
    *(
        Metric(
            name=f"stage_cpu_time_{stage}",
            unit="s",
            direction="lower",
            formula="CPU time of the process while it infers ÷ elements; unknown where several "
            "threads infer at once, or where the model is not in the worker"
            if stage == "inference"
            else f"mean CPU time of the thread in {stage}, of every {CPU_STRIDE}th element",
            counts="elements",
            of_repeat=_cpu_time(stage),
        )
        for stage in BUSY
    ),
    *(
        Metric(
            name=f"stage_share_{stage}",
            unit="1",
            direction="neither",
            formula=f"time spent in {stage} ÷ (last output − first element read) ÷ threads that "
            "could be busy; unknown if all stages together take longer than that",
            counts="elements",
            of_repeat=_share(stage),
            shown="shares",
        )
        for stage in BUSY
    ),
    Metric(
        name="stage_share_overhead",
        unit="1",
        direction="lower",
        formula="the rest, 1 − the shares of the stages in the time of all threads: Beam itself, "
        "our instrumentation, threads that wait, model loads after the first element was read",
        counts="elements",
        of_repeat=_overhead,
        shown="shares",
    ),
    Metric(
        name="stage_share_batch_wait",
        unit="1",
        direction="neither",
        formula="share of an element's mean time from read to output that it waits for its batch: "
        "wait ÷ (read + preprocess + wait + latency of its batch + postprocess); it overlaps "
        "with work on other elements, so it is no part of the other shares",
        counts="elements",
        of_repeat=_share_of_waiting,
        shown=None,
    ),
)
