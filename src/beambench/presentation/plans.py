"""What would be run, and what there is to run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from beambench.presentation.layout import Page, TableColumn, escape


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
    job = document.get("job", {})
    if "template" in job and "cost" in job:
        _print_job(job)
    else:  # of a runner that a package brings along
        for key, value in job.items():
            out.print(f"  {escape(str(key))}: {escape(str(value))}")


def _print_job(job: Mapping[str, Any]) -> None:
    """Print what a job on Dataflow would be, as its template says."""
    out, spec = Page(), job["job"]
    most = f" (at most {spec['max_workers']})" if spec["max_workers"] else ""
    disk = str(spec["disk_type"]).rpartition("/")[2]
    options = [*spec["service_options"], *spec["experiments"]]
    for line in (
        f"template: {job['template']}",
        f"job: {spec['type']} in {spec['region']} of project {spec['project']}",
        f"would be created: {spec['workers']} × {spec['machine_type']}{most}, autoscaling "
        f"{spec['autoscaling']}, {spec['disk_gb']} GB {disk}, image {spec['container_image']}",
        f"service options and experiments: {' '.join(options)}",
        f"flags: {' '.join(job['options'])}",
        f"would be uploaded: {', '.join(job['uploads']) or 'nothing'}",
        *(
            f"staged: {entry['name']}, {entry['bytes']:,} bytes, {entry['place']}"
            for entry in job["staged"]
        ),
        *_cost_lines(job["cost"]),
        *(f"before it can be submitted: {entry}" for entry in job["missing"]),
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
    columns = [TableColumn("name", whole=True), *map(TableColumn, ("title", "scenario", "cluster"))]
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
