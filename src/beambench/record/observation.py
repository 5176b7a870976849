"""What a worker reports: raw counts and sums. Metrics are computed from it by the controller.

All offsets are microseconds since the start of the plan; durations are microseconds unless said
to be nanoseconds.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from beambench.record.run_record import (
    ElementFlow,
    FailedElement,
    LabelComparison,
    ModelDevice,
    Part,
)

Histogram = dict[int, int]

NEAR_TIE = 1e-4
"""Two best outputs this close may change places with the batch size, if a workload says no more."""

EVIDENCE = "evidence"
"""The stage of an element whose raw output, which only the sample is asked for, cannot be had."""


class Distribution(Part):
    """What a Beam distribution holds."""

    count: int
    sum: int
    min: int
    max: int


class RawMetrics(Part):
    """The counters and distributions of one namespace, summed over the steps that wrote them."""

    counters: dict[str, int] = Field(default_factory=dict)
    distributions: dict[str, Distribution] = Field(default_factory=dict)


class Stages(Part):
    """Sums over all elements, in microseconds. `wait` is from preprocessed to inference begun."""

    read: float
    preprocess: float
    batch_wait: float | None
    inference: float
    postprocess: float


CPU_STRIDE = 13
"""Of so many elements, the CPU time of one is read; a prime, which inputs seldom repeat after."""


class StageCpu(Part):
    """Mean CPU time of an element in each stage, in microseconds; null is unknown.

    Attributes:
        read, preprocess, postprocess: of the thread, over the `sampled` elements.
        inference: of the process, over all elements.
    """

    read: float | None
    preprocess: float | None
    inference: float | None
    postprocess: float | None
    sampled: int


class BatchSizeRates(Part):
    """Elements per second of the loop by its fixed batch size; every size ran the same elements."""

    rates: dict[int, Annotated[float, Field(gt=0)]] = Field(min_length=1)

    @property
    def best(self) -> int:
        """The size with the highest rate."""
        return max(self.rates, key=lambda size: self.rates[size])

    @property
    def margin(self) -> float | None:
        """By which share that rate is above the next highest; None if no other size was tried."""
        others = [rate for size, rate in self.rates.items() if size != self.best]
        return self.rates[self.best] / max(others) - 1 if others else None


class LatencyGap(Part):
    """Beam's latency of a batch less ours, in microseconds, of a handler that does nothing.

    Attributes:
        calls: batches that were measured.
        median_us: their median.
        high_us: their 95 % quantile, a nearest rank.
        greatest_us: the greatest.
    """

    calls: int
    median_us: float
    high_us: float
    greatest_us: float


class RequestTimes(Part):
    """What model servers told of their requests: sums in microseconds, and of how many.

    Attributes:
        first_token_us, first_tokens: from the arrival of a request to its first token.
        per_token_us, per_token_requests: of a request, its time after the first token for each
            further token.
    """

    first_token_us: int
    first_tokens: int
    per_token_us: int
    per_token_requests: int


class Measured(Part):
    """The raw numbers of one execution, of the pipeline or of the loop.

    Attributes:
        batch_sizes: batches of each size, as they were formed.
        replaced_sizes: of these, the ones that the model did not compute as they were: they failed
            and were run one element at a time, or held elements that had failed before.
        computed_sizes: what the model computed in place of those.
        retry_cause: the first error of a batch that was run again.
        batch_latency: of each batch what its caller waited, in nanoseconds.
        latencies: these in the buckets of `analysis.histogram`.
        folded, folded_sizes: latencies and sizes that went to a neighbouring bucket because all
            counters were in use.
        retried_batches: batches that failed and were run again one element at a time; their latency
            holds both.
        empty_batches: without an element that was left to infer; they have no latency.
        first_read: offset of the first element's read.
        last_output: offset of the last element's output.
        steady_window: [last worker's first finished batch, first worker's last but one finished].
        steady_elements: elements of the batches finished inside it (without first batches).
        cpu: CPU time of all processes that did the work, from the first read to the last batch:
            those that inferred; where a server has the model or processes share it, all of the
            worker's process tree.
        cpu_unknown: why that is unknown, where other processes did the work.
        loads: model load times in microseconds, as a distribution.
        late_loads: of those, the ones that ended after the first element was read (of a pipeline
            that exists already: after its inference window began); None is unknown.
        steady_loads: the ones that ended within the steady window; None is unknown.
        server_starts: of those, how long a model server took until it answered.
        quantities: sums over the elements that came out of what the workload counts (tokens).
        element_latency: sum over elements of the latency of the batch that each was in.
        element_time: sum over elements from the begin of reading to the output; None where not all
            elements came through.
        request_times: of model servers that tell them; None of others.
        clock_step: by how much the wall clock was set while this was measured, by the monotonic
            clock of each process.
        threads: pipeline threads that could be busy at once.
        launch_latency: from the begin of a batch to the return of the handler's call, before the
            device was waited for, in nanoseconds; of batches on a GPU.
        devices: that the models were on once they were loaded.
        inference_window: [mean end of the workers' first batches, last batch finished].
        inference_elements: elements of the batches after each worker's first.
    """

    elements: int
    batches: int
    batch_sizes: Histogram
    replaced_sizes: Histogram = Field(default_factory=dict)
    computed_sizes: Histogram = Field(default_factory=dict)
    batch_size: Distribution | None
    batch_latency: Distribution | None
    latencies: Histogram
    folded: int = 0
    folded_sizes: int = 0
    empty_batches: int = 0
    retried_batches: int = 0
    retry_cause: str | None = None
    bytes_read: int | None = None
    first_read: int | None = None
    last_output: int | None = None
    steady_window: tuple[int, int] | None = None
    steady_elements: int | None = None
    cpu: int | None = None
    cpu_unknown: str | None = None
    loads: Distribution | None = None
    late_loads: int | None = None
    steady_loads: int | None = None
    server_starts: Distribution | None = None
    quantities: dict[str, int] = Field(default_factory=dict)
    stages: Stages | None = None
    stage_cpu: StageCpu | None = None
    element_latency: float | None = None
    element_time: float | None = None
    request_times: RequestTimes | None = None
    clock_step: int = 0
    threads: int | None = 1
    launch_latency: Distribution | None = None
    devices: list[ModelDevice] = Field(default_factory=list)
    inference_window: tuple[int, int] | None = None
    inference_elements: int | None = None


class Proof(Part):
    """Sums over the output that do not depend on its order; hexadecimal, mod 2**128."""

    count: int
    failed: int
    ids: str
    failed_ids: str
    labels: str


class SampledPrediction(Part):
    """The label of a sampled element; `evidence` is the raw output that it was taken from.

    `stage` and `error` say where and why it failed; null for one that came out.
    """

    id: str
    label: int | str | None
    evidence: list[float] | None = None
    stage: str | None = None
    error: str | None = None


class Prepared(Part):
    """What the preparation found out about input, model and environment."""

    preparation: dict[str, Any]
    input_kind: str
    input_digest: str
    input_bytes: int | None
    input_source: str | None
    weights_digest: str | None
    weights_size: int | None
    environment: dict[str, Any]
    warnings: list[str] = Field(default_factory=list)


class InferenceStep(Part):
    """One RunInference of a pipeline that exists already: our numbers beside Beam's."""

    handler: str
    measured: Measured
    beam_metrics: dict[str, Any]
    flow: ElementFlow | None = None


class WorkerError(Part):
    """Why a worker gave up: a `usage` error is the user's to fix, a `run` error is not."""

    kind: Literal["usage", "run"]
    message: str
    detail: str = ""


class Observation(Part):
    """The one document that a worker writes.

    Attributes:
        raw_metrics: what the pipeline wrote to Beam's metrics, by namespace; of ours without the
            families of counters (``name/key``) that `measured` is made from. None of a loop.
        further: labels of elements beyond the sample; of the reference with its two greatest
            outputs as evidence, else without.
        near_tie: of the workload; 0 where labels are exact, whatever the batches.
        labels_follow_batches: the same batches give the same labels.
        label_comparison: with the first execution of the run; None of that one.
        output_rows: rows in the target of the predictions, counted there after the pipeline.
        output_end: offset of the end of the pipeline that wrote them.
        memory: of the worker before each batch, or before some of many: batches and elements so
            far, elements of the batch, resident bytes. Empty where other processes inferred.
        latency_gap: of this worker; None where the batches ran elsewhere, and of a loop.
        weights_cached: share of the bytes of the weights that the page cache held before they were
            loaded; None is unknown.
        exit_wait: seconds that the worker waited in vain for what its handler had left running.
    """

    task: str
    error: WorkerError | None = None
    prepared: Prepared | None = None
    measured: Measured | None = None
    proof: Proof | None = None
    expected: Proof | None = None
    missing: list[str] = Field(default_factory=list)
    missing_count: int = 0
    duplicates: list[str] = Field(default_factory=list)
    duplicates_count: int = 0
    failed: list[FailedElement] = Field(default_factory=list)
    sample: list[SampledPrediction] = Field(default_factory=list)
    further: list[SampledPrediction] = Field(default_factory=list)
    near_tie: float = NEAR_TIE
    compares_outputs: bool = True
    labels_follow_batches: bool = False
    label_comparison: LabelComparison | None = None
    labelled: int = 0
    correct: int = 0
    batch_size_rates: BatchSizeRates | None = None
    steps: dict[str, InferenceStep] = Field(default_factory=dict)
    torch: dict[str, Any] | None = None
    runner: dict[str, Any] = Field(default_factory=dict)
    beam_metrics: dict[str, Any] = Field(default_factory=dict)
    raw_metrics: dict[str, RawMetrics] = Field(default_factory=dict)
    peak_rss: int | None = None
    output_rows: int | None = None
    output_end: int | None = None
    memory: list[tuple[int, int, int, int]] = Field(default_factory=list)
    latency_gap: LatencyGap | None = None
    weights_cached: float | None = None
    exit_wait: float = 0.0
    warnings: list[str] = Field(default_factory=list)

    def counter(self, namespace: str, name: str) -> int | None:
        """Return a counter of the pipeline, None if nothing wrote it."""
        return self.raw_metrics.get(namespace, RawMetrics()).counters.get(name)

    def distribution(self, namespace: str, name: str) -> Distribution | None:
        """Return a distribution of the pipeline, None if nothing wrote it."""
        return self.raw_metrics.get(namespace, RawMetrics()).distributions.get(name)
