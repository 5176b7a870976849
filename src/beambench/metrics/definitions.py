"""Every metric: name, unit, direction, formula, and Beam's label for the same thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from beambench.record.run_record import Direction

Aggregate = Literal["median", "elements", "merged", "total", "pairs"]
STAGES = ("read", "preprocess", "batch_wait", "inference", "postprocess")
PERCENTILES = {f"p{100 * share:g}": share for share in (0.5, 0.9, 0.95, 0.99, 0.999)}


@dataclass(frozen=True)
class Metric:
    """A value that a run reports.

    Attributes:
        unit: SI unit symbol; ``1`` for a ratio or a count.
        formula: how it is computed from what was recorded, for the documentation.
        counts: what ``n`` counts within one repeat.
        aggregate: how the run's value comes from its repeats: ``median`` of the succeeded
            repeats (n = repeats), ``elements`` likewise of what the outputs say and not the clock
            (n = fewest elements of a repeat), ``merged`` from the added-up histograms (n =
            batches), ``total`` over the repeats, or ``pairs`` (median over pairs of pipeline and
            loop).
        beam_label: Beam's name for the same thing, where it publishes one.
    """

    name: str
    unit: str
    direction: Direction
    formula: str
    counts: str
    aggregate: Aggregate = "median"
    beam_label: str | None = None


def _percentiles(quantity: str, unit: str, direction: Direction) -> list[Metric]:
    return [
        Metric(
            f"{quantity}_{name}",
            unit,
            direction,
            f"{100 * share:g}th percentile over all batches of all repeats, from their merged "
            "histogram; absent where MLPerf's early stopping at 99 % does not support it "
            f"(share**n > 0.01)",
            "batches",
            "merged",
        )
        for name, share in PERCENTILES.items()
    ]


def _stages() -> list[Metric]:
    times = [
        Metric(
            f"stage_time_{stage}",
            "s",
            "lower",
            "mean time from the end of an element's preprocessing to the start of its inference"
            if stage == "batch_wait"
            else f"time spent in {stage} ÷ elements",
            "elements",
        )
        for stage in STAGES
    ]
    shares = [
        Metric(
            f"stage_share_{stage}",
            "1",
            "neither",
            f"time spent in {stage} ÷ (last output − first element read)",
            "elements",
        )
        for stage in STAGES
        if stage != "batch_wait"
    ]
    return [
        *times,
        *shares,
        Metric(
            "stage_share_overhead",
            "1",
            "lower",
            "1 − the other shares of the window: Beam itself and our instrumentation",
            "elements",
        ),
        Metric(
            "stage_share_batch_wait",
            "1",
            "neither",
            "share of an element's mean time from read to output that it waits for its batch: "
            "wait ÷ (read + preprocess + wait + latency of its batch + postprocess); it overlaps "
            "with work on other elements, so it is no part of the other shares",
            "elements",
        ),
    ]


METRICS: tuple[Metric, ...] = (
    Metric(
        "throughput_elements",
        "1/s",
        "higher",
        "elements out ÷ (last output − first element read), without model load, imports and "
        "process start",
        "elements",
    ),
    Metric(
        "throughput_written",
        "1/s",
        "higher",
        "rows in the target of --output ÷ (end of the pipeline − first element read): with all of "
        "the writing, of which throughput_elements has only what happens before the last output; "
        "absent without --output",
        "rows",
    ),
    Metric(
        "throughput_elements_steady",
        "1/s",
        "higher",
        "elements of the batches finished in the steady window ÷ its length; the window goes from "
        "the last worker's first finished batch to the first worker's last started batch; absent "
        "with fewer than 4 batches",
        "elements",
    ),
    Metric(
        "inference_throughput_elements",
        "1/s",
        "higher",
        "of a pipeline that exists already (`--pipeline`), in place of throughput_elements: "
        "elements inferred ÷ (last batch finished − first batch begun); reading and "
        "preprocessing before the first batch and all that follows the last one are not in it",
        "elements",
    ),
    Metric(
        "throughput_bytes",
        "B/s",
        "higher",
        "bytes read ÷ (last output − first element read): of text its lines in UTF-8, whole, also "
        "where a sentence is cut to what the model takes (a warning counts those)",
        "elements",
    ),
    Metric(
        "inference_batch_latency_mean",
        "s",
        "lower",
        "mean time of one call of the model handler, its results materialised, the device "
        "synchronised; batches that failed and were retried are left out",
        "batches",
        beam_label="mean_inference_batch_latency_micro_secs",
    ),
    *_percentiles("inference_batch_latency", "s", "lower"),
    Metric(
        "inference_batch_size_mean",
        "1",
        "neither",
        "elements that the model computed ÷ calls of the model that computed them: elements that "
        "failed before or in it do not count, and a batch that failed and was run one element at a "
        "time counts as those calls; without failures the batches are those that RunInference "
        "formed, which `batch_sizes` of a repeat has in every case",
        "batches",
        beam_label="mean_inference_request_batch_size",
    ),
    *_percentiles("inference_batch_size", "1", "neither"),
    Metric(
        "model_load_latency_mean",
        "s",
        "lower",
        "mean time of the handler's load_model",
        "loads",
        beam_label="mean_load_model_latency_milli_secs",
    ),
    Metric("model_loads", "1", "lower", "calls of load_model in one repeat", "loads"),
    Metric(
        "run_time",
        "s",
        "lower",
        "from the start of the worker process to its end: everything; of a Dataflow job from its "
        "creation to its terminal state (Beam's is from its workers' start to their stop)",
        "repeats",
        beam_label="JobRuntimeSeconds",
    ),
    Metric(
        "startup_time",
        "s",
        "lower",
        "from the start of the worker process to the first element read: imports, pipeline "
        "construction and model load; of a Dataflow job from before it is submitted",
        "repeats",
    ),
    Metric(
        "cpu_time_per_element",
        "s",
        "lower",
        "CPU time of the worker processes, from the first element read to the last batch, "
        "÷ elements out",
        "elements",
    ),
    Metric(
        "inference_cpu_time_per_element",
        "s",
        "lower",
        "of a pipeline that exists already (`--pipeline`), in place of cpu_time_per_element: CPU "
        "time of the worker processes, from the first batch begun to the last one finished, ÷ "
        "elements inferred",
        "elements",
    ),
    Metric(
        "peak_rss",
        "B",
        "lower",
        "greatest sum of resident memory over the worker's process tree (sampled every 0.2 s, "
        "and never less than the peak that the kernel noted for one of its processes)",
        "samples",
    ),
    Metric("elements_failed", "1", "lower", "failed elements of all repeats", "elements", "total"),
    Metric(
        "accuracy_top1",
        "1",
        "higher",
        "elements whose label is the given one ÷ elements that have a label and came out",
        "elements",
        "elements",
    ),
    Metric(
        "stock_agreement",
        "1",
        "higher",
        "sampled elements whose label is the one that `stock` gives on the same weights ÷ sampled "
        "elements; for variants whose model computes otherwise",
        "elements",
        "elements",
    ),
    Metric(
        "output_tokens_rate",
        "1/s",
        "higher",
        "output tokens of the elements out ÷ (last output − first element read)",
        "elements",
    ),
    Metric(
        "prompt_tokens_rate",
        "1/s",
        "higher",
        "prompt tokens of the elements out ÷ (last output − first element read)",
        "elements",
    ),
    Metric(
        "output_tokens_per_request",
        "1",
        "neither",
        "output tokens ÷ elements out",
        "elements",
    ),
    Metric(
        "time_per_output_token",
        "s",
        "lower",
        "sum over elements of the latency of the batch that each was in ÷ output tokens: what a "
        "request waits for each of its tokens, its prompt's processing included",
        "elements",
    ),
    Metric(
        "server_start_time_mean",
        "s",
        "lower",
        "mean time from the start of a model server's process until it answers (asked every "
        "0.1 s); part of load_model, in which Beam itself asks every 5 s",
        "loads",
    ),
    Metric(
        "pipeline_efficiency",
        "1",
        "higher",
        "median over pairs of throughput_elements of the pipeline ÷ that of the bare loop next to "
        "it in time, which replays the batch sizes of the pipeline's latest repeat; absent where "
        "the pipeline had several workers",
        "pairs",
        "pairs",
    ),
    Metric(
        "ceiling_efficiency",
        "1",
        "higher",
        "median over pairs of throughput_elements of the pipeline ÷ that of the bare loop at its "
        "best fixed batch size",
        "pairs",
        "pairs",
    ),
    *_stages(),
)

BY_NAME = {metric.name: metric for metric in METRICS}
