"""`beambench report`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beambench.cli.settings import JsonOption, StoreOption, store_url
from beambench.cli.watch.settings import policy_in_force
from beambench.errors import UsageError

if TYPE_CHECKING:
    from beambench.store.run_store import RunStore


def report(
    context: typer.Context,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder that the site is written to.")
    ] = Path("site"),
    benchmark: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="This benchmark only; can be repeated."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Runs from this time on only.")
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="In place of a store: a folder of what `export` wrote as JSON."
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write the charts as PNG and SVG, with badges and a page, too."
        ),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build a web site of the stored runs: static files that need neither server nor network."""
    from beambench.clock import utc_now
    from beambench.presentation.values import print_json, print_text
    from beambench.site.benchmark_pages import SiteRequest
    from beambench.site.build import build_site, histories_of
    from beambench.site.pictures.write import require_matplotlib, write_pictures

    now = context.obj.clock.utc_now() if context.obj.clock is not None else utc_now()
    rules = policy_in_force(None)
    request = SiteRequest(out, now, tuple(benchmark or ()), since, rules)
    if images is not None:
        require_matplotlib()
    with _opened(records, store, now) as runs:
        built = build_site(runs, request)
        pictures = (
            [] if images is None else write_pictures(histories_of(runs, request), images, now)
        )
    counts = {
        "benchmarks": built.benchmarks,
        "runs": built.runs,
        "comparisons": built.comparisons,
        "written": built.written,
        **({"pictures": len(pictures)} if pictures else {}),
    }
    if as_json:
        print_json({"index": str(built.index), **counts})
    else:
        shown = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        print_text(f"{built.index}: {shown}")


@contextmanager
def _opened(records: Path | None, store: str | None, now: str) -> Iterator[RunStore]:
    """Open the store, or a passing one of the records in a folder."""
    from beambench.experiments.exchange import read_file
    from beambench.store.run_store import RunStore
    from beambench.store.tables import sqlite_url

    if records is None:
        with RunStore.open(store_url(store)) as runs:
            yield runs
        return
    files = sorted(records.glob("*.json")) if records.is_dir() else []
    if not files:
        raise UsageError(f"--records {records}: no folder with *.json of `beambench export`")
    with (
        tempfile.TemporaryDirectory(prefix="beambench-") as folder,
        RunStore.open(sqlite_url(Path(folder) / "runs.db")) as runs,
    ):
        for path in files:
            runs.add_missing(read_file(path, None, now).records)
        yield runs
