"""A run, and the history of runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from beambench.presentation.layout import Page, TableColumn, escape
from beambench.presentation.values import show_value, summing_to_hundred

if TYPE_CHECKING:  # the store and the record are slow to import, and some verbs need neither
    from beambench.record.run_record import MetricValue, Repeat, RunRecord, Verification
    from beambench.store.summaries import RunSummary

EARLIER_INFERRED = "inference_throughput_elements"
"""Of records of version 1: its time began with the first batch, not with the end of it."""

MARKS = {
    "derived": "derived: made from packaged data",
    "synthetic": "synthetic",
    "random": "random weights",
}


def print_record(record: RunRecord) -> None:
    """Print a run: what ran, its metrics, its verification line, warnings."""
    out = Page()
    runner = record.runner
    out.print(
        f"[bold]{escape(record.benchmark)}[/bold]  variant {escape(record.variant)}, profile "
        f"{escape(record.profile)}, runner {escape(runner.executed or runner.requested)}"
        f"{escape(f' ({runner.implementation})') if runner.implementation else ''}"
    )
    out.print(f"input: {_input_line(record)}; model: {_model_line(record)}")
    for choice in record.choices:
        out.print(escape(f"{choice.setting}: {choice.value}, because {choice.reason}"))
    if record.metrics:
        _print_metrics(out, record)
        _print_time_order(out, record)
        _print_stages(out, record)
    out.print(f"verification: {_verification_line(record.verification)}")
    if record.verification.stock:
        out.print(f"against stock: {_stock_line(record.verification.stock)}")
    for line in _flow_lines(record):
        out.print(escape(line))
    for repeat in record.repeats:
        if "job_id" in repeat.runner:
            out.print(escape(_job_line(repeat.runner)))
    for warning in record.warnings:
        out.print(f"[yellow]warning:[/yellow] {escape(warning)}")
    outcome = f"run {escape(record.run_id)}: {record.status.replace('_', ' ')}"
    out.print(outcome + (f": {escape(str(record.error))}" if record.status == "failed" else ""))


def _flow_lines(record: RunRecord) -> Iterator[str]:
    """Yield what became of the elements of each RunInference, once where all repeats agree."""
    from beambench.controller.proof.element_flow import described

    repeats = [repeat for repeat in record.repeats if repeat.element_flows]
    said = [
        [described(name, flow) for name, flow in executed.element_flows.items()]
        for executed in repeats
    ]
    if said and all(lines == said[0] for lines in said):
        each = f" (each of {len(said)} repeats)" if len(said) > 1 else ""
        yield from (f"{line}{each}" for line in said[0])
    else:
        for repeat, lines in zip(repeats, said, strict=True):
            yield from (f"repeat {repeat.index + 1}: {line}" for line in lines)


def _job_line(job: Mapping[str, Any]) -> str:
    return f"job {job['job_id']}: {str(job['state']).lower()}, {job['console_url']}"


def _input_line(record: RunRecord) -> str:
    data = record.input
    if data.kind == "unknown":
        return "unknown"
    mark = MARKS.get(data.kind, data.kind)
    size = f", {show_value(data.bytes, 'B')}" if data.bytes else ""
    folders = data.class_folders
    labelled = (
        f"; {len(folders.classes)} class folders, numbered by {folders.numbered_by}"
        if folders is not None
        else ""
    )
    return escape(f"{data.count} elements ({mark}{size}){labelled}")


def _model_line(record: RunRecord) -> str:
    model = record.model
    mark = MARKS.get(model.weights, f"{model.weights} weights")
    size = f", {model.size_mib:.1f} MiB" if model.size_mib is not None else ""
    shown = f"{model.name} ({mark}{size})" if model.weights != "none" else model.name
    return escape(f"{shown}{_gpu_text(record)}")


def _gpu_text(record: RunRecord) -> str:
    """Name the GPUs that the model was loaded on, if there are any."""
    names = {
        device.name or device.device
        for repeat in record.repeats
        for device in repeat.devices
        if device.device not in (None, "cpu")
    }
    return f" on {', '.join(sorted(map(str, names)))}" if names else ""


def _print_metrics(out: Page, record: RunRecord) -> None:
    """Print what stands in the table of a run, and what is unknown here: others measured it."""
    from beambench.metrics.registry import known_names, metrics

    known, listed = known_names(), {metric.name: metric for metric in metrics()}
    names = [name for name, metric in listed.items() if metric.shown == "table"]
    exact = [name for name, metric in listed.items() if metric.run_value == "total"]
    repeats = sum(1 for repeat in record.repeats if repeat.counts)
    columns = [
        TableColumn("metric", whole=True),
        TableColumn("value", right=True, whole=True),
        TableColumn("95 % interval" if repeats >= 6 else "interval", right=True, whole=True),
        TableColumn("n", right=True),
    ]
    disturbed = disturbed_of(record)
    if disturbed:
        columns.append(TableColumn("disturbed", right=True, whole=True))
    rows = []
    for name in [*names, *(name for name in record.metrics if name not in known)]:
        metric = record.metrics.get(name)
        if metric is not None:
            value = show_value(metric.value, metric.unit)
            interval = "" if name in exact else _interval(name, metric)
            marks = [disturbed.get(name, "")] if disturbed else []
            rows.append([name, value, interval, f"{metric.n}", *marks])
    out.print_table(columns, rows)


def disturbed_of(record: RunRecord) -> dict[str, str]:
    """Return for each metric how many repeats that its value is from were disturbed, if any were.

    What is counted or comes from the outputs is the same whatever else the machine does.
    """
    from beambench.controller.execution import counted_pairs
    from beambench.metrics.registry import metrics

    shares: dict[str, str] = {}
    for metric in metrics():
        if metric.run_value in ("total", "elements"):
            continue
        groups: list[tuple[Repeat, ...]]
        if metric.of_pairs is not None:
            groups = [*counted_pairs(record.repeats, record.references, metric.of_pairs.arm)]
        else:
            merged = metric.of_repeats is not None
            groups = [
                (repeat,)
                for repeat in record.repeats
                if repeat.counts and (merged or metric.name in repeat.metrics)
            ]
        disturbed = sum(any(repeat.is_disturbed for repeat in group) for group in groups)
        if disturbed and metric.name in record.metrics:
            shares[metric.name] = f"{disturbed} of {len(groups)}"
    return shares


def _interval(name: str, metric: MetricValue) -> str:
    """Return the interval; a value without one is indicative, unless its n counts no repeats."""
    from beambench.metrics.registry import BY_NAME

    if metric.ci_low is None or metric.ci_high is None:
        is_merged = name in BY_NAME and BY_NAME[name].run_value == "merged"
        return "indicative" if metric.n < 6 or is_merged else ""
    low, high = (show_value(end, metric.unit) for end in (metric.ci_low, metric.ci_high))
    return f"{low} – {high}"


def _print_time_order(out: Page, record: RunRecord) -> None:
    from beambench.controller.time_order import time_order

    order = time_order(record.repeats)
    if order is not None:
        out.print(escape(str(order)))


def _print_stages(out: Page, record: RunRecord) -> None:
    shares = _mean_shares(record.repeats)
    wait = record.metrics.get("stage_time_batch_wait")
    if shares:
        waiting = f"; an element waits {show_value(wait.value, 's')} for its batch" if wait else ""
        parts = zip(shares, summing_to_hundred(list(shares.values())), strict=True)
        shown = [f"{name.removeprefix('stage_share_')} {percent}%" for name, percent in parts]
        out.print(f"where the time goes: {', '.join(shown)}{waiting}")


def _mean_shares(repeats: Sequence[Repeat]) -> dict[str, float]:
    """Return the mean of each share of the time, which sum to one as those of each repeat do.

    Their medians, which are the metrics of the run, do not.
    """
    from beambench.metrics import registry

    names = [metric.name for metric in registry.metrics() if metric.shown == "shares"]
    whole = [
        repeat.metrics
        for repeat in repeats
        if repeat.counts and all(name in repeat.metrics for name in names)
    ]
    return {name: fmean(metrics[name].value for metrics in whole) for name in names if whole}


def _verification_line(proven: Verification) -> str:
    if proven.unverified is not None and proven.elements_in is None:
        return escape(f"unverified: {proven.unverified}")
    if proven.elements_in == 0:
        return "none: no repeat ended with a proof of its work"
    counts = (
        f"{proven.elements_in} in, {proven.elements_out} out, {proven.elements_failed} failed, "
        f"{proven.duplicates} duplicates"
    )
    details = proven.reference if proven.unverified is None else {}  # the verdict has the reason
    agreed = _agreement_text(details, proven.reference_agreement)
    verdict = _verdict(proven)
    failed = [
        f"  failed: {element.id}: {element.stage}: {element.error}" for element in proven.failed
    ]
    digest = f"digest {(proven.digest or 'none')[:16]}"
    line = "; ".join([verdict, counts, agreed, *_power_text(proven.detectable_share), digest])
    return "\n".join(map(escape, [line, *failed]))


def _verdict(proven: Verification) -> str:
    if proven.unverified is not None:
        return f"unverified: {proven.unverified}"
    return "passed" if proven.passed else f"FAILED: {'; '.join(proven.problems)}"


def _power_text(share: float | None) -> list[str]:
    """Say how many wrong labels the comparison with the loop would have shown."""
    if share is None:
        return []
    if not share:
        return ["every wrong label would have been seen"]
    return [f"a share of wrong labels above {100 * share:.3g} % would have been seen with 95 %"]


def _agreement_text(details: Mapping[str, Any], share: float | None) -> str:
    """Say on how much of the sample the run and the bare loop agree."""
    if share is None:
        reason = f" ({details['reason']})" if "reason" in details else ""
        return f"reference agreement unknown{reason}"
    compared, sample = details.get("compared"), details.get("sample")
    part = f"{compared} of {sample}" if compared and sample and compared < sample else f"{compared}"
    values = details.get("not_finite")
    alike = f", {values:.2%} of the outputs NaN or infinite alike" if values else ""
    return (
        f"reference agreement {share:.4g} ({part} {details.get('method')} compared with the bare "
        f"loop{alike})"
    )


def _stock_line(details: Mapping[str, Any]) -> str:
    """Say what a variant did to the outputs."""
    parts = [
        f"{details.get('labels_equal')} of {details.get('compared')} sampled labels as stock's"
    ]
    cosine, difference = details.get("least_cosine"), details.get("largest_difference")
    if cosine is not None:
        parts.append(f"least cosine {cosine:.5g}")
    if difference is not None:
        parts.append(f"largest difference {difference:.2g}")
    return escape(", ".join(parts))


def print_history(name: str, rows: Sequence[RunSummary]) -> None:
    if not rows:
        Page().print(f"no run of {escape(name)} in this store")
        return
    columns = [
        TableColumn("run", whole=True),
        TableColumn("started (UTC)", whole=True, spare=True),  # the run's name begins with it
        *map(TableColumn, ("variant", "profile", "status", "input, weights")),
        TableColumn("elements/s", right=True),
        TableColumn("n", right=True),
    ]
    disturbed = [_disturbed_share(row) for row in rows]
    if any(disturbed):
        columns.append(TableColumn("disturbed", right=True, whole=True))
    marks = [[share] if any(disturbed) else [] for share in disturbed]
    cells = [[*_history_cells(row), *mark] for row, mark in zip(rows, marks, strict=True)]
    Page().print_table(columns, cells)


def _disturbed_share(row: RunSummary) -> str:
    """Say how many of the repeats that a run's rate is from were disturbed, if any were."""
    if row.noise is None or not row.noise.counted_disturbed:
        return ""
    return f"{row.noise.counted_disturbed} of {row.noise.counted_repeats}"


def _history_cells(row: RunSummary) -> list[str]:
    kind, rate, mark = f"{row.input.kind}, {row.model.weights}", "throughput_elements", ""
    if row.imported is not None and row.imported.format == "beam":
        kind, rate, mark = "imported", "beam_average_elements", " (Beam's average)"
    elif row.verification.unverified is not None and row.input.kind == "unknown":
        kind, rate, mark = "unverified", "throughput_inferred", " (inference)"
        if rate not in row.metrics and EARLIER_INFERRED in row.metrics:
            rate, mark = EARLIER_INFERRED, " (inference, by the definition of version 1)"
    elif row.verification.unverified is not None:
        kind = f"{kind}, unverified"
    metric = row.metrics.get(rate)
    shown = ["unknown", ""]
    if metric is not None:
        shown = [show_value(metric.value, "1") + mark, f"{metric.n}"]
    return [
        row.run_id,
        row.started_at[:19],
        row.variant,
        row.profile,
        row.status.replace("_", " "),
        kind,
        *shown,
    ]
