"""What verbs print to stdout: JSON for scripts, tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from beambench.cli.layout import Column, Page, escape
from beambench.printable import json_text, printable

if TYPE_CHECKING:  # the store and the record are slow to import, and some verbs need neither
    from decimal import Decimal

    from beambench.analysis.projection import Assumption, Range
    from beambench.cost.estimate import Cost, Line
    from beambench.experiments.cost import CostReport, Money
    from beambench.experiments.doctor import Check
    from beambench.experiments.new import Written
    from beambench.publishers.outbox import Report, Verified
    from beambench.record.run_record import MetricValue, RunRecord, Verification
    from beambench.store.deliveries import Delivery
    from beambench.store.run_store import RunSummary

HEADLINE = (
    "throughput_elements",
    "inference_throughput_elements",
    "throughput_elements_steady",
    "throughput_written",
    "throughput_bytes",
    "inference_batch_latency_mean",
    "inference_batch_latency_p50",
    "inference_batch_latency_p90",
    "inference_batch_latency_p95",
    "inference_batch_latency_p99",
    "inference_batch_size_mean",
    "model_load_latency_mean",
    "startup_time",
    "run_time",
    "cpu_time_per_element",
    "inference_cpu_time_per_element",
    "peak_rss",
    "elements_failed",
    "accuracy_top1",
    "pipeline_efficiency",
    "ceiling_efficiency",
)
SMALL_MONEY = 0.001
MARKS = {
    "derived": "derived: made from packaged data",
    "synthetic": "synthetic",
    "random": "random weights",
}


def print_json(document: Any) -> None:
    r"""Print JSON; what the encoding of stdout lacks is written as `\uXXXX`."""
    text = json_text(document)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = json.dumps(document, indent=2, allow_nan=False).replace("\x7f", "\\u007f")
    sys.stdout.write(text + "\n")


def print_text(text: str) -> None:
    """Print lines, in the encoding of stdout (`typer.echo` would not for ASCII); all in a file."""
    if sys.stdout.isatty():
        text = "\n".join(map(printable, text.split("\n")))
    sys.stdout.write(text + "\n")


def show_value(value: float, unit: str) -> str:
    """Return a value with its unit, to four significant digits, in a scale that people read."""
    if unit == "s":
        scales: Sequence[tuple[float, str]] = ((1, "s"), (1e-3, "ms"), (1e-6, "µs"))
    elif unit in ("B", "B/s"):
        tail = unit.removeprefix("B")
        scales = ((1e9, f"GB{tail}"), (1e6, f"MB{tail}"), (1e3, f"kB{tail}"), (1, unit))
    else:
        scales = ((1, "" if unit == "1" else unit),)
    size, name = next((scale for scale in scales if abs(value) >= scale[0]), scales[-1])
    scaled = value / size
    return (
        f"{scaled:,.0f} {name}".strip() if abs(scaled) >= 1000 else f"{scaled:.4g} {name}".strip()
    )


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
        _print_stages(out, record.metrics)
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
    from beambench.controller.element_flow import described

    repeats = [repeat for repeat in record.repeats if repeat.element_flows]
    said = [[described(name, flow) for name, flow in one.element_flows.items()] for one in repeats]
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
    return escape(f"{data.count} elements ({mark}{size})")


def _model_line(record: RunRecord) -> str:
    model = record.model
    mark = MARKS.get(model.weights, f"{model.weights} weights")
    size = f", {model.size_mib:.1f} MiB" if model.size_mib is not None else ""
    return escape(f"{model.name} ({mark}{size})" if model.weights != "none" else model.name)


def _print_metrics(out: Page, record: RunRecord) -> None:
    repeats = sum(1 for repeat in record.repeats if repeat.status == "succeeded")
    columns = [
        Column("metric", whole=True),
        Column("value", right=True, whole=True),
        Column("95 % interval" if repeats >= 6 else "interval", right=True, whole=True),
        Column("n", right=True),
    ]
    rows = []
    for name in HEADLINE:
        metric = record.metrics.get(name)
        if metric is not None:
            value = show_value(metric.value, metric.unit)
            interval = _interval(metric) if name != "elements_failed" else ""  # a count is exact
            rows.append([name, value, interval, f"{metric.n}"])
    out.print_table(columns, rows)


def _interval(metric: MetricValue) -> str:
    if metric.ci_low is None or metric.ci_high is None:
        return "indicative" if metric.n < 6 else ""
    low, high = (show_value(end, metric.unit) for end in (metric.ci_low, metric.ci_high))
    return f"{low} – {high}"


def _print_stages(out: Page, metrics: Mapping[str, MetricValue]) -> None:
    names = ("read", "preprocess", "inference", "postprocess", "overhead")
    shares = [
        f"{name} {metrics[f'stage_share_{name}'].value:.1%}"
        for name in names
        if f"stage_share_{name}" in metrics
    ]
    wait = metrics.get("stage_time_batch_wait")
    if shares:
        waiting = f"; an element waits {show_value(wait.value, 's')} for its batch" if wait else ""
        out.print(f"where the time goes: {', '.join(shares)}{waiting}")


def _verification_line(proven: Verification) -> str:
    if proven.unverified is not None:
        return escape(f"unverified: {proven.unverified}")
    if proven.elements_in == 0:
        return "none: no repeat ended with a proof of its work"
    counts = (
        f"{proven.elements_in} in, {proven.elements_out} out, {proven.elements_failed} failed, "
        f"{proven.duplicates} duplicates"
    )
    agreed = _agreement_text(proven.reference, proven.reference_agreement)
    verdict = "passed" if proven.passed else f"FAILED: {'; '.join(proven.problems)}"
    failed = [f"  failed: {one.id}: {one.stage}: {one.error}" for one in proven.failed]
    line = f"{verdict}; {counts}; {agreed}; digest {(proven.digest or 'none')[:16]}"
    return "\n".join(map(escape, [line, *failed]))


def _agreement_text(found: Mapping[str, Any], share: float | None) -> str:
    """Say on how much of the sample the run and the bare loop agree."""
    if share is None:
        reason = f" ({found['reason']})" if "reason" in found else ""
        return f"reference agreement unknown{reason}"
    compared, sample = found.get("compared"), found.get("sample")
    part = f"{compared} of {sample}" if compared and sample and compared < sample else f"{compared}"
    values = found.get("not_finite")
    alike = f", {values:.2%} of the outputs NaN or infinite alike" if values else ""
    return (
        f"reference agreement {share:.4g} ({part} {found.get('method')} compared with the bare "
        f"loop{alike})"
    )


def _stock_line(found: Mapping[str, Any]) -> str:
    """Say what a variant did to the outputs."""
    parts = [f"{found.get('labels_equal')} of {found.get('compared')} sampled labels as stock's"]
    cosine, difference = found.get("least_cosine"), found.get("largest_difference")
    if cosine is not None:
        parts.append(f"least cosine {cosine:.5g}")
    if difference is not None:
        parts.append(f"largest difference {difference:.2g}")
    return escape(", ".join(parts))


def print_plan(document: Mapping[str, Any]) -> None:
    """Print what a run would do."""
    out = Page()
    config = document["config"]
    out.print(
        f"[bold]{escape(document['benchmark'])}[/bold]  variant {escape(document['variant'])}, "
        f"profile {escape(document['profile'])}, runner {document['runner']}, "
        f"definition {document['definition_hash'][:12]}"
    )
    for key, value in config.items():
        if key not in ("definition", "beam_flags"):
            out.print(f"  {key}: {escape(str(value))}")
    if "definition" in config:
        model = config["definition"]["model"]
        named = f"{escape(model['name'])}, weights {model['weights']}, on {model['device']}"
        out.print(f"  model: {named}")
    else:
        out.print("  unverified: the work of a pipeline that exists already cannot be proven")
    out.print(f"  beam flags: {escape(' '.join(config['beam_flags']) or 'none')}")
    if "job" in document:
        _print_job(document["job"])


def _print_job(job: Mapping[str, Any]) -> None:
    """Print what a job on Dataflow would be, as its template says."""
    out, told = Page(), job["job"]
    most = f" (at most {told['max_workers']})" if told["max_workers"] else ""
    disk = str(told["disk_type"]).rpartition("/")[2]
    more = [*told["service_options"], *told["experiments"]]
    for line in (
        f"template: {job['template']}",
        f"job: {told['type']} in {told['region']} of project {told['project']}",
        f"would be created: {told['workers']} × {told['machine_type']}{most}, autoscaling "
        f"{told['autoscaling']}, {told['disk_gb']} GB {disk}, image {told['container_image']}",
        f"service options and experiments: {' '.join(more)}",
        f"flags: {' '.join(job['options'])}",
        f"would be uploaded: {', '.join(job['uploads']) or 'nothing'}",
        *(
            f"staged: {one['name']}, {one['bytes']:,} bytes, {one['place']}"
            for one in job["staged"]
        ),
        *_cost_lines(job["cost"]),
        *(f"before it can be submitted: {one}" for one in job["missing"]),
    ):
        out.print(f"  {escape(line)}")


def _cost_lines(cost: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a job may cost, as far as that is known."""
    if cost["hour"] is not None:
        price = f"{float(cost['hour']):.2f} {cost['currency']}"
        yield f"an hour of its {cost['workers']} workers: {price} ({cost['prices']})"
    if cost["total"] is not None:
        low, middle, high = (
            f"{float(cost['total'][bound]):.2f}" for bound in ("low", "expected", "high")
        )
        yield (
            f"{cost['elements']:,} elements: {middle} {cost['currency']} ({low} – {high}), "
            f"projected from run {cost['run_id']}: `beambench cost` says what that rests on"
        )
    yield from (f"cost not known: {reason}" for reason in cost["unknown"])


def print_benchmarks(rows: Sequence[Mapping[str, Any]]) -> None:
    columns = [Column("name", whole=True), *map(Column, ("title", "scenario", "cluster"))]
    cells = []
    for row in rows:
        origin = f" [{row['distribution']}]" if row["distribution"] else ""
        cells.append(
            [row["name"], f"{row['title']}{origin}", row["scenario"], _cluster(row["cluster"])]
        )
    Page().print_table(columns, cells)


def _cluster(cluster: Mapping[str, Any] | None) -> str:
    if cluster is None:
        return ""
    accelerator = cluster["accelerator"]
    extra = f" + {accelerator['count']} × {accelerator['type']}" if accelerator else ""
    return f"{cluster['workers']} × {cluster['machine_type']}{extra}"


def print_definition(document: Mapping[str, Any]) -> None:
    import yaml

    text = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True)
    for line in text.split("\n"):
        Page().print_whole(escape(line))


def print_validation(rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        if row["error"] is None:
            Page().print_entry(f"ok      {escape(row['what'])}")
        else:
            Page().print_entry(f"[red]error[/red]   {escape(row['error'])}")


def print_written(written: Written) -> None:
    """Print which files were written, and what to type next."""
    for path in written.files:
        Page().print_whole(f"wrote {escape(str(path))}")
    Page().print("next:")
    for command in written.commands:
        Page().print_whole(f"  {escape(command)}")


def print_history(name: str, rows: Sequence[RunSummary]) -> None:
    if not rows:
        Page().print(f"no run of {escape(name)} in this store")
        return
    columns = [
        Column("run", whole=True),
        Column("started (UTC)", whole=True, spare=True),  # the run's name begins with it
        *map(Column, ("variant", "profile", "status", "input, weights")),
        Column("elements/s", right=True),
        Column("n", right=True),
    ]
    Page().print_table(columns, [_history_cells(row) for row in rows])


def _history_cells(row: RunSummary) -> list[str]:
    what, rate, mark = f"{row.input.kind}, {row.model.weights}", "throughput_elements", ""
    if row.imported is not None and row.imported.format == "beam":
        what, rate, mark = "imported", "beam_average_elements", " (Beam's average)"
    elif row.verification.unverified is not None:
        what, rate, mark = "unverified", "inference_throughput_elements", " (inference)"
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
        what,
        *shown,
    ]


def print_cost(report: CostReport) -> None:
    """Print what a run costs, line by line, and all that the number rests on."""
    out = Page()
    cluster, sheet = report.cluster, report.sheet
    shape = "" if cluster.vcpus is None else f" ({cluster.vcpus} vCPU, {cluster.memory_gb:g} GB)"
    gpus = f" + {cluster.gpus} × {cluster.gpu}" if cluster.gpu and cluster.gpus else ""
    what = "projected from" if report.kind == "projection" else "of the usage of"
    out.print(
        f"[bold]{escape(report.benchmark)}[/bold]  variant {escape(report.variant)}: cost {what} "
        f"run {escape(report.run_id)} (profile {escape(report.profile)}, n = {report.n})"
    )
    out.print(
        escape(
            f"on {cluster.workers} × {cluster.machine_type}{shape}{gpus} in {sheet.region}, "
            f"{report.mode}{_planned(report)}"
        )
    )
    _print_ranges(out, report)
    _print_lines(out, report.cost["expected"])
    for problem in report.unknown:
        out.print(f"[yellow]unknown:[/yellow] {escape(problem)}")
    if report.assumptions:
        _print_assumptions(out, report.assumptions)
    if report.projection is not None:
        out.print("low and high take every assumption at the end that makes it so")
    for note in report.notes:
        out.print(f"[yellow]note:[/yellow] {escape(note)}")
    meaning = f" ({sheet.date_means})" if sheet.date_means else ""
    out.print(
        escape(
            f"prices: {sheet.name}, {sheet.date}{meaning}, {sheet.age_days} days old; "
            f"source: {sheet.source}"
        )
    )
    for line in report.cost["expected"].lines:
        if line.source is not None:
            out.print(escape(f"price of {line.sku}: {line.source}"))


def _planned(report: CostReport) -> str:
    cluster = report.cluster
    if cluster.processes is None:
        return ""
    return f", {cluster.processes} × {cluster.threads} (processes × threads) on each"


def _print_ranges(out: Page, report: CostReport) -> None:
    columns = [Column(""), *(Column(one, right=True) for one in ("low", "expected", "high"))]
    table: list[list[str]] = []
    found, currency = report.projection, report.sheet.currency
    if found is not None:
        rows = [
            ("throughput_elements", found.throughput_elements, "1/s"),
            ("of one process", found.process_throughput, "1/s"),
            ("set-up of a process", found.setup_seconds, "s"),
            ("processing", found.processing_seconds, "s"),
            ("wall time", found.wall_seconds, "s"),
            ("worker time", found.worker_seconds, "s"),
        ]
        for name, values, unit in rows:
            table.append([name, *_cells(values, unit)])
    if report.projection is None and report.elements != report.benchmark_elements:
        done = "of the job" if report.elements is None else f"of {report.elements:,} elements"
        table.append([f"cost {done}", *_money_cells(report.total, currency)])
    if report.per_thousand is None:
        table.append(["cost of 1,000 elements", "", "unknown", ""])
    else:
        table.append(["cost of 1,000 elements", *_money_cells(report.per_thousand, currency)])
    if report.benchmark_total is not None:
        name = f"cost of {report.benchmark_elements:,} elements"
        table.append([name, *_money_cells(report.benchmark_total, currency)])
    out.print_table(columns, table)


def _cells(values: Range, unit: str) -> list[str]:
    ends = (values.low, values.expected, values.high)
    return [show_value(end, unit) if end else f"0 {unit.removesuffix('1')}" for end in ends]


def _money_cells(money: Money, currency: str) -> list[str]:
    least = "at least " if money.at_least else ""
    return [
        f"{least}{show_money(one, currency)}" for one in (money.low, money.expected, money.high)
    ]


def show_money(money: Decimal, currency: str) -> str:
    """Return money to the cent; below one unit to the hundredth of a cent, or two digits."""
    if not money:
        return f"0 {currency}"
    digits = ",.2f" if money >= 1 else ".4f" if money >= SMALL_MONEY else ".2g"
    return f"{money:{digits}} {currency}"


def _print_lines(out: Page, cost: Cost) -> None:
    columns = [
        Column("expected usage"),
        *(Column(name, right=True) for name in ("amount", "rate", "cost")),
        Column("price list"),
    ]
    table = [_line_cells(line, cost.currency) for line in cost.lines]
    least = "" if cost.complete else "at least "
    table.append(["total", "", "", f"{least}{show_money(cost.total, cost.currency)}", ""])
    out.print_table(columns, table)


def _line_cells(line: Line, currency: str) -> list[str]:
    amount = "unknown" if line.amount is None else f"{line.amount:,.4g}"
    if line.amount is not None and line.amount >= 1000:
        amount = f"{line.amount:,.0f}"
    money = "unknown" if line.money is None else show_money(line.money, currency)
    return [
        line.resource,
        f"{amount} {line.unit}",
        f"{line.rate:f}" if line.rate is not None else "unknown" if line.unknown else "",
        money,
        line.sku or "",
    ]


def _print_assumptions(out: Page, assumptions: Sequence[Assumption]) -> None:
    columns = [
        Column("it rests on", whole=True),
        Column("value", right=True, whole=True),
        Column("range", whole=True),
        Column("origin"),
        Column(""),
    ]
    table = []
    for one in assumptions:
        value = span = ""
        if one.value is not None:
            low, value, high = _cells(one.value, one.unit)
            span = "" if low == high else f"{low} – {high}"
        table.append([one.name.replace("_", " "), value, span, one.origin, one.note])
    out.print_table(columns, table)


def print_status(counts: Mapping[str, Mapping[str, int]], parked: Sequence[Delivery]) -> None:
    """Print how many rows of each publisher are in each state, and the parked ones by name."""
    states = next(iter(counts.values()))
    columns = [Column("publisher"), *(Column(state, right=True) for state in states)]
    rows = [[name, *map(str, states.values())] for name, states in counts.items()]
    Page().print_table(columns, rows)
    _print_parked(parked)


def print_reports(reports: Sequence[Report], parked: Sequence[Delivery]) -> None:
    """Print what was delivered, and every row that is parked, by name."""
    for report in reports:
        if report.delivered:
            Page().print(f"{report.publisher}: {report.delivered} rows delivered")
    if not any(report.delivered or report.queued for report in reports):
        Page().print("nothing is queued")
    _print_parked(parked)


def parked_document(row: Delivery) -> dict[str, str]:
    """Name a row that a server refused, with its words."""
    what = row.content.get("metric") or "run"
    return {"run": row.run_id, "target": row.place, "row": what, "problem": row.problem}


def _print_parked(rows: Sequence[Delivery]) -> None:
    for row in rows:
        one = parked_document(row)
        Page().print_entry(
            escape(
                f"parked: {row.publisher} {one['target']}: run {one['run']}, {one['row']}: "
                f"{one['problem']}"
            )
        )


def print_verified(found: Sequence[Verified]) -> None:
    """Print for each target how many rows are there and hold what was sent."""
    for one in found:
        age = "" if one.age is None else f", {show_value(one.age, 's')} old"
        Page().print_entry(
            escape(
                f"{one.publisher} {one.target}: run {one.run_id}: {one.equal} of {one.rows} rows "
                f"there and equal{age}"
            )
        )
        for difference in one.differences:
            Page().print_entry(escape(f"  {difference}"))


def print_checks(checks: Sequence[Check]) -> None:
    for check in checks:
        mark = "[green]yes[/green]" if check.usable else "[yellow]no [/yellow]"
        Page().print_entry(f"{mark}  {check.kind:8} {escape(check.name)}: {escape(check.detail)}")
