"""`beambench report`."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beambench.cli.console.messages import say
from beambench.cli.settings import JsonOption, StoreOption, store_url
from beambench.cli.watch.settings import policy_in_force
from beambench.errors import UsageError

if TYPE_CHECKING:
    from beambench.clock import Clock
    from beambench.site.benchmark_pages import SiteRequest
    from beambench.store.run_store import RunStore

SINGULAR = {
    "benchmarks": "benchmark",
    "runs": "run",
    "comparisons": "comparison",
    "files": "file",
    "pictures": "picture",
}
"""Words for one of what is counted."""


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
    is_opened: Annotated[
        bool, typer.Option("--open", help="Serve it on this machine, and open it in the browser.")
    ] = False,
    is_watched: Annotated[
        bool, typer.Option("--watch", help="Go on, and rebuild it when the store changes.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="With --open; 0: one that is free.")
    ] = 0,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build a web site of the stored runs: static files that need neither server nor network."""
    from beambench.cancellation import Cancellation
    from beambench.clock import SystemClock
    from beambench.site.benchmark_pages import SiteRequest
    from beambench.site.pictures.write import require_matplotlib

    if port and not is_opened:
        raise UsageError("--port goes with --open")
    if is_watched and records is not None:
        raise UsageError("--watch goes with a store, not with --records")
    clock = context.obj.clock or SystemClock(Cancellation())
    rules = policy_in_force(None)
    request = SiteRequest(out, clock.utc_now(), tuple(benchmark or ()), since, rules)
    if images is not None:
        require_matplotlib()
    with _opened(records, store, request.now) as runs:
        command = _Report(runs, request, images, as_json)
        before = runs.version()
        command.build()
        if is_opened or is_watched:
            command.stay(clock, port if is_opened else None, before if is_watched else None)


@dataclass(frozen=True)
class _Report:
    """What is asked for, and the store that is open for it."""

    runs: RunStore
    request: SiteRequest
    images: Path | None
    as_json: bool

    def build(self) -> None:
        """Build the site, and pictures, and say what was written."""
        from beambench.presentation.values import print_json, print_text
        from beambench.site.build import build_site, histories_of
        from beambench.site.pictures.write import write_pictures

        built = build_site(self.runs, self.request)
        counts = {
            "benchmarks": built.benchmarks,
            "runs": built.runs,
            "comparisons": built.comparisons,
            "files": built.written,
        }
        if self.images is not None:
            histories = histories_of(self.runs, self.request)
            counts["pictures"] = len(write_pictures(histories, self.images, self.request.now))
        if self.as_json:
            print_json({"index": str(built.index), **counts})
        else:
            shown = [
                f"{count:,} {SINGULAR[name] if count == 1 else name}"
                for name, count in counts.items()
            ]
            print_text(f"{built.index}: {', '.join(shown)} written")

    def stay(self, clock: Clock, port: int | None, before: object | None) -> None:
        """Serve the site, rebuild it when the store changes, or both, until Ctrl-C.

        Args:
            clock: that waits.
            port: to serve it on, 0 for one that is free; None: it is not served.
            before: version of the store when it was built; None: it is not watched.
        """
        import webbrowser

        from beambench.site.serving import EVERY_S, served, watch

        out = self.request.out
        with ExitStack() as stack, contextlib.suppress(KeyboardInterrupt):
            if port is not None:
                address = stack.enter_context(served(out, port))
                say(f"{address}: Ctrl-C ends it")
                webbrowser.open(address)
            if before is not None:
                say(f"{out}: is rebuilt when the store changes; Ctrl-C ends it")
                watch(clock, self.runs.version, lambda: self._at(clock.utc_now()).build(), before)
            else:
                while not clock.wait(EVERY_S):
                    pass

    def _at(self, now: str) -> _Report:
        return replace(self, request=replace(self.request, now=now))


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
