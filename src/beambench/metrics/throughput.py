"""How much is done in a time."""

from __future__ import annotations

from beambench.metrics.base import (
    UNKNOWN,
    Metric,
    RawRepeat,
    Sample,
    clock_problem,
    per,
    seconds_between,
    window_seconds,
)

MIN_STEADY_BATCHES = 4


def _elements(repeat: RawRepeat) -> Sample:
    measured = repeat.measured
    begin, end = measured.first_read, measured.last_output
    if begin is None or end is None:
        return UNKNOWN
    reason = clock_problem(measured, begin, end)
    return Sample(per(measured.elements, window_seconds(measured)), measured.elements, reason)


def _inferred(repeat: RawRepeat) -> Sample:
    """Stands for the throughput where the first read and the outputs are unknown."""
    if not repeat.is_existing or repeat.measured.inference_window is None:
        return UNKNOWN
    begin, end = repeat.measured.inference_window
    n, seconds = repeat.measured.inference_elements, seconds_between(repeat.measured, begin, end)
    return Sample(per(n, seconds), n or 0, clock_problem(repeat.measured, begin, end))


def _steady(repeat: RawRepeat) -> Sample:
    measured = repeat.measured
    if measured.steady_window is None or measured.batches < MIN_STEADY_BATCHES:
        return UNKNOWN
    n = measured.steady_elements
    return Sample(per(n, seconds_between(measured, *measured.steady_window)), n or 0)


def _written(repeat: RawRepeat) -> Sample:
    rows, measured = repeat.observation.output_rows, repeat.measured
    seconds = seconds_between(measured, measured.first_read, repeat.observation.output_end)
    return Sample(per(rows, seconds), rows or 0)


def _bytes(repeat: RawRepeat) -> Sample:
    measured = repeat.measured
    return Sample(per(measured.bytes_read, window_seconds(measured)), measured.elements)


METRICS = (
    Metric(
        name="throughput_elements",
        unit="1/s",
        direction="higher",
        formula="elements out ÷ (last output − first element read), without the model load, "
        "imports and process start of the first worker; those of later workers may be in it, as "
        "late_loads of the repeat says",
        counts="elements",
        of_repeat=_elements,
        compared=True,
    ),
    Metric(
        name="throughput_inferred",
        unit="1/s",
        direction="higher",
        formula="of a pipeline that exists already (`--pipeline`), in place of "
        "throughput_elements: elements inferred after each worker's first batch ÷ (last batch "
        "finished − mean end of the workers' first batches), so that the window holds all of the "
        "work of the elements that are counted; models for keys, and several steps, of one thread "
        "are one worker; with several workers it takes them for equally fast; absent with one "
        "batch. What follows the last batch is not in it",
        counts="elements",
        of_repeat=_inferred,
        compared=True,
    ),
    Metric(
        name="throughput_steady",
        unit="1/s",
        direction="higher",
        formula="elements of the batches finished in the steady window ÷ its length; the window "
        "goes from the last worker's first finished batch to the first worker's last but one, so "
        "that it holds all of the work of the batches that are counted; with several workers the "
        "count is off by less than the elements of two time slots and of one batch a worker; "
        "absent with fewer than 4 batches, and if a worker had fewer than 3",
        counts="elements",
        of_repeat=_steady,
    ),
    Metric(
        name="throughput_written",
        unit="1/s",
        direction="higher",
        formula="rows in the target of --output ÷ (end of the pipeline − first element read): "
        "with all of the writing, of which throughput_elements has only what happens before the "
        "last output; absent without --output",
        counts="rows",
        of_repeat=_written,
    ),
    Metric(
        name="throughput_bytes",
        unit="B/s",
        direction="higher",
        formula="bytes read ÷ (last output − first element read): of text its lines in UTF-8, "
        "whole, also where a sentence is cut to what the model takes (a warning counts those)",
        counts="elements",
        of_repeat=_bytes,
    ),
)
