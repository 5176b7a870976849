"""Reading metrics back from a finished pipeline: ours into raw numbers, Beam's beside them."""

from __future__ import annotations

from typing import Any

from beambench.instrumentation.device import DEVICE, devices_of
from beambench.instrumentation.recorder import (
    BATCH_END,
    BATCH_START,
    CLOCK_MOVED,
    COMPUTED_SIZES,
    FIRST_END,
    FIRST_SIZE,
    FOLDED,
    LATENCIES,
    LOAD_ENDS,
    MAX_SLOTS,
    NAMESPACE,
    QUANTITY,
    REMOTE_MODELS,
    REPLACED_SIZES,
    REQUESTS,
    RETRY_CAUSE,
    SHARED_MODELS,
    SIZES,
    SLOT,
    STEADY_END,
    TREE_CPU_BEGIN,
    TREE_CPU_END,
)
from beambench.instrumentation.stage_cpu import stage_cpu
from beambench.record.observation import (
    Distribution,
    Histogram,
    Measured,
    RawMetrics,
    RequestTimes,
    Stages,
)

CPU_ELSEWHERE = "the model computes elsewhere, and the CPU time of that is not known"
CPU_UNREADABLE = "other processes compute the model, and their CPU time cannot be read there"


class SummedMetrics:
    """The metrics of a namespace by name, summed over the steps that wrote them."""

    def __init__(self, query: dict[str, list[Any]], namespace: str = NAMESPACE) -> None:
        self.counters: dict[str, int] = {}
        self.distributions: dict[str, Distribution] = {}
        for entry in query["counters"]:
            if entry.key.metric.namespace == namespace:
                name = entry.key.metric.name
                self.counters[name] = self.counters.get(name, 0) + int(entry.result or 0)
        for entry in query["distributions"]:
            # One without a value (0) has neither a least nor a greatest one.
            has_values = entry.result is not None and entry.result.count
            if has_values and entry.key.metric.namespace == namespace:
                self._add(entry.key.metric.name, _distribution(entry.result))

    def _add(self, name: str, new: Distribution) -> None:
        old = self.distributions.get(name)
        if old is not None:
            new = Distribution(
                count=old.count + new.count,
                sum=old.sum + new.sum,
                min=min(old.min, new.min),
                max=max(old.max, new.max),
            )
        self.distributions[name] = new

    def histogram(self, name: str) -> Histogram:
        return {int(key): count for key, count in self.family(name).items()}

    def family(self, name: str) -> dict[str, int]:
        """Return the counters ``name/key`` that are not 0, by key."""
        prefix = f"{name}/"
        return {
            key.removeprefix(prefix): count
            for key, count in self.counters.items()
            if key.startswith(prefix) and count
        }


def _distribution(result: Any) -> Distribution:
    return Distribution(count=result.count, sum=result.sum, min=result.min, max=result.max)


def raw_metrics(query: dict[str, list[Any]]) -> dict[str, RawMetrics]:
    """Return what a pipeline wrote, by namespace, for metrics that read it by name."""
    entries = query["counters"] + query["distributions"]
    namespaces = dict.fromkeys(entry.key.metric.namespace for entry in entries)
    summed = {namespace: SummedMetrics(query, namespace) for namespace in namespaces}
    return {
        namespace: RawMetrics(
            counters={
                name: count
                for name, count in metrics.counters.items()
                if namespace != NAMESPACE or "/" not in name
            },
            distributions={
                name: values
                for name, values in metrics.distributions.items()
                if namespace != NAMESPACE or "/" not in name
            },
        )
        for namespace, metrics in summed.items()
    }


def counters_kind(query: dict[str, list[Any]]) -> str:
    """Say whether `.result` of the metrics is committed or attempted on this runner."""
    entries = query["counters"] + query["distributions"]
    return "committed" if any(entry.committed is not None for entry in entries) else "attempted"


def of_step(query: dict[str, list[Any]], step: str) -> dict[str, list[Any]]:
    """Return what a transform wrote, and the transforms inside it."""
    return {
        kind: [
            entry
            for entry in entries
            if entry.key.step == step or entry.key.step.startswith(f"{step}/")
        ]
        for kind, entries in query.items()
    }


def measured(
    query: dict[str, list[Any]], elements: int, slot_us: int, threads: int | None
) -> Measured:
    """Turn the metrics of a finished pipeline into raw numbers.

    Args:
        query: answer of ``result.metrics().query()``.
        elements: elements that came out, by the proof of work.
        slot_us: width of a time slot in microseconds.
        threads: pipeline threads that could be busy at once, None if unknown.
    """
    ours = SummedMetrics(query)
    distributions = ours.distributions
    first, last = distributions.get("first_read_us"), distributions.get("output_us")
    window = _steady_window(ours)
    cpu, cpu_unknown = _cpu(ours)
    return Measured(
        elements=elements,
        batches=_count(distributions.get("batch_size")),
        batch_sizes=ours.histogram(SIZES),
        replaced_sizes=ours.histogram(REPLACED_SIZES),
        computed_sizes=ours.histogram(COMPUTED_SIZES),
        batch_size=distributions.get("batch_size"),
        batch_latency=distributions.get("batch_latency_ns"),
        latencies=ours.histogram(LATENCIES),
        folded=ours.counters.get(LATENCIES + FOLDED, 0),
        folded_sizes=sum(
            ours.counters.get(name + FOLDED, 0) for name in (SIZES, REPLACED_SIZES, COMPUTED_SIZES)
        ),
        empty_batches=ours.counters.get("batches_empty", 0),
        retried_batches=ours.counters.get("batches_retried", 0),
        retry_cause=_first_cause(ours),
        bytes_read=ours.counters.get("bytes_read") or None,
        first_read=first.min if first else None,
        last_output=last.max if last else None,
        steady_window=window,
        steady_elements=_steady_elements(ours, window, slot_us),
        cpu=cpu,
        cpu_unknown=cpu_unknown,
        loads=distributions.get("model_load_us"),
        late_loads=_ends_within(ours, _begin(ours), None),
        steady_loads=_ends_within(ours, *window) if window is not None else None,
        server_starts=distributions.get("server_start_us"),
        quantities=ours.family(QUANTITY),
        stages=_stages(ours),
        stage_cpu=stage_cpu(ours.counters, distributions.get("batch_size"), threads),
        element_time=_element_time(ours),
        request_times=_request_times(ours),
        clock_step=_clock_step(distributions.get(CLOCK_MOVED)),
        element_latency=_microseconds(ours.counters.get("element_latency_ns")),
        threads=threads,
        launch_latency=distributions.get("batch_launch_latency_ns"),
        devices=devices_of(ours.family(DEVICE)),
        inference_window=_inference_window(ours, threads),
        inference_elements=_after_first(ours, threads),
    )


def _cpu(ours: SummedMetrics) -> tuple[int | None, str | None]:
    """Return the CPU time of the window, of all processes that did the work, or why it is unknown.

    Where processes share a model, or a server has it, each notes what the whole tree has used.
    """
    if ours.counters.get(REMOTE_MODELS):
        return None, CPU_ELSEWHERE
    if not ours.counters.get(SHARED_MODELS):
        return ours.counters.get("cpu_us"), None
    begin, end = (ours.distributions.get(name) for name in (TREE_CPU_BEGIN, TREE_CPU_END))
    if begin is None or end is None or end.max < begin.min:
        return None, CPU_UNREADABLE
    return end.max - begin.min, None


def _begin(ours: SummedMetrics) -> int | None:
    """Return when the first element was read, or where nothing noted that the first batch began."""
    first = ours.distributions.get("first_read_us")
    if first is not None:
        return first.min
    return min((start.min for start in _of_workers(ours, BATCH_START).values()), default=None)


def _ends_within(ours: SummedMetrics, begin: int | None, end: int | None) -> int | None:
    """Count the loads that ended after `begin` and not after `end`; None where that is unknown."""
    ends = ours.histogram(LOAD_ENDS)
    if begin is None or not ends:
        return None
    return sum(
        count for offset, count in ends.items() if begin < offset and (end is None or offset <= end)
    )


def _request_times(ours: SummedMetrics) -> RequestTimes | None:
    """Return the sums over all servers, however many workers asked each."""
    told = {
        name: sum(values.max for values in _of_workers(ours, f"{REQUESTS}/{name}").values())
        for name in RequestTimes.model_fields
    }
    return RequestTimes(**told) if any(told.values()) else None


def _clock_step(moved: Distribution | None) -> int:
    """Return the greatest difference between two readings that the wall clock was set by."""
    return max(0, moved.max) - min(0, moved.min) if moved is not None else 0


def _microseconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1000


def _count(distribution: Distribution | None) -> int:
    return distribution.count if distribution else 0


def _first_cause(ours: SummedMetrics) -> str | None:
    """Return the error of the batch that was the first to fail."""
    prefix = f"{RETRY_CAUSE}/"
    first = {
        name: distribution.min
        for name, distribution in ours.distributions.items()
        if name.startswith(prefix)
    }
    return min(first, key=first.__getitem__).removeprefix(prefix) if first else None


def _of_workers(ours: SummedMetrics, name: str) -> dict[str, Distribution]:
    """Return a distribution that each worker writes under a name of its own, by worker."""
    return {
        key.removeprefix(f"{name}/"): distribution
        for key, distribution in ours.distributions.items()
        if key.startswith(f"{name}/")
    }


def _first_batches(ours: SummedMetrics, threads: int | None) -> list[tuple[int, int]]:
    """Return end and elements of the first batch of each worker.

    One thread has one first batch: the handlers of several steps, or for several keys, take turns
    in it, and the first batch of the second one may come at any time.
    """
    ends, sizes = _of_workers(ours, FIRST_END), _of_workers(ours, FIRST_SIZE)
    firsts = sorted((ends[worker].min, size.min) for worker, size in sizes.items())
    return firsts[:1] if threads == 1 else firsts


def _inference_window(ours: SummedMetrics, threads: int | None) -> tuple[int, int] | None:
    """Return from the mean end of the workers' first batches to the end of the last batch, or None.

    For one worker it holds all of the work of the batches after its first, and nothing else; so it
    does for several that are equally fast and end together.
    """
    first, ends = _first_batches(ours, threads), ours.distributions.get(BATCH_END)
    return (sum(end for end, _ in first) // len(first), ends.max) if first and ends else None


def _after_first(ours: SummedMetrics, threads: int | None) -> int | None:
    """Return the elements of all batches but the first of each worker."""
    sizes, first = ours.distributions.get("batch_size"), _first_batches(ours, threads)
    return sizes.sum - sum(size for _, size in first) if sizes and first else None


def _steady_window(ours: SummedMetrics) -> tuple[int, int] | None:
    """Return from the last worker's first finished batch to the first worker's last but one.

    None where it is empty, or a worker has no batch between its first and its last.
    """
    ends = _of_workers(ours, STEADY_END)
    first_ends = _of_workers(ours, FIRST_END)
    if not ends or not first_ends or len(ends) < len(_of_workers(ours, BATCH_START)):
        return None
    window = (
        max(first.max for first in first_ends.values()),
        min(end.max for end in ends.values()),
    )
    return window if window[0] < window[1] else None


def _steady_elements(
    ours: SummedMetrics, window: tuple[int, int] | None, slot_us: int
) -> int | None:
    """Count the elements of batches that ended inside the window, in whole slots.

    The first and the last batch of each worker are in no slot, so for one worker the count is
    exact; with several it is off by less than two slots' elements.
    """
    slots = ours.histogram(SLOT)
    if window is None or not slots:
        return None
    low, high = window[0] // slot_us, window[1] // slot_us
    if low < 0 or high >= MAX_SLOTS - 1:
        return None  # the first and last slot hold all that is earlier and later: times unknown
    return sum(count for slot, count in slots.items() if low <= slot <= high)


def _stages(ours: SummedMetrics) -> Stages | None:
    counters = ours.counters
    if "preprocessed_at_us" not in counters or "inferred_at_us" not in counters:
        return None
    return Stages(
        read=counters.get("read_ns", 0) / 1000,
        preprocess=counters.get("preprocess_ns", 0) / 1000,
        # Σ (inference begun − preprocessed) = Σ begun − Σ preprocessed: no element carries a time.
        batch_wait=_waited(ours),
        inference=counters.get("inference_ns", 0) / 1000,
        postprocess=counters.get("postprocess_ns", 0) / 1000,
    )


def _waited(ours: SummedMetrics) -> float | None:
    """Return the sum of the waits; unknown if a clock was set while some element waited."""
    if CLOCK_MOVED in ours.distributions:
        return None
    return float(ours.counters["inferred_at_us"] - ours.counters["preprocessed_at_us"])


def _element_time(ours: SummedMetrics) -> float | None:
    """Return the sum over elements of read to output; unknown unless every element came through,
    and no clock was set meanwhile.

    Σ output − Σ read begun, and a read began its own time and that of preprocessing before the end
    of preprocessing: no element carries a time.
    """
    outputs, sizes = ours.distributions.get("output_us"), ours.distributions.get("batch_size")
    prepared_at = ours.counters.get("preprocessed_at_us")
    if outputs is None or sizes is None or prepared_at is None or outputs.count != sizes.sum:
        return None
    if CLOCK_MOVED in ours.distributions:
        return None
    took_ns = ours.counters.get("read_ns", 0) + ours.counters.get("preprocess_ns", 0)
    return outputs.sum - prepared_at + took_ns / 1000


def theirs(query: dict[str, list[Any]], namespace: str) -> dict[str, Any]:
    """Return Beam's own RunInference metrics of a namespace, each with the step that wrote it."""
    metrics: dict[str, Any] = {}
    for entry in query["counters"]:
        if entry.key.metric.namespace == namespace:
            metrics[entry.key.metric.name] = {**_place(entry), "value": int(entry.result or 0)}
    for entry in query["distributions"]:
        if entry.key.metric.namespace == namespace and entry.result is not None:
            values = _distribution(entry.result).model_dump()
            metrics[entry.key.metric.name] = {**_place(entry), **values}
    return metrics


def _place(entry: Any) -> dict[str, str]:
    return {"namespace": entry.key.metric.namespace, "step": entry.key.step}
