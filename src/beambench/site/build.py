"""Builds the site: reads the store, writes the pages that are missing or changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from beambench.errors import RunError, UsageError, nearest
from beambench.site.benchmark_pages import BenchmarkPages, BenchmarkState, SiteRequest, state_of
from beambench.site.data.costs import RunCost, cost_of, with_cost
from beambench.site.data.histories import BenchmarkHistory, benchmark_history
from beambench.site.data.outlines import BenchmarkOutline
from beambench.site.files import FOLDERS, copy_assets, locked, page_names, remove_others, write_page
from beambench.site.glossary_page import render_glossary
from beambench.site.manifest import NAME, Manifest, read_manifest
from beambench.site.memory import without_collection
from beambench.site.processes import Written, write_in_processes
from beambench.site.start_page import render_start
from beambench.site.summary_page import render_summary
from beambench.site.templating import Page, environment
from beambench.store.run_store import RunStore

MANY_RUNS = 2000
"""Runs to read from which on several processes do so: one takes a second to start."""


@dataclass(frozen=True)
class BuiltSite:
    """What was built.

    Attributes:
        index: the start page.
        benchmarks: how many have a page.
        runs: how many have a page.
        comparisons: how many have a page.
        written: pages that were missing or changed.
    """

    index: Path
    benchmarks: int
    runs: int
    comparisons: int
    written: int


def build_site(store: RunStore, request: SiteRequest) -> BuiltSite:
    """Build a site, or bring one up to date.

    Raises:
        UsageError: the folder holds something else, or the store lacks a benchmark that was named.
        RunError: the folder cannot be written.
        StoreError: the store cannot be read.
    """
    names = _names(store, request.benchmarks)
    with _writing(request.out), without_collection():
        before = read_manifest(request.out)
        states = [state_of(store, name, request, _costs(before, name)) for name in names]
        request.out.mkdir(parents=True, exist_ok=True)
        with locked(request.out):
            return _built(store, request, states)


def _built(store: RunStore, request: SiteRequest, states: Sequence[BenchmarkState]) -> BuiltSite:
    """Write what is missing or changed, while no other build writes there.

    The manifest says beforehand what is about to be written, so that a build that is killed leaves
    nothing that the next one takes for whole.
    """
    before = read_manifest(request.out)
    _put(request, before)
    for folder in FOLDERS:
        (request.out / folder).mkdir(exist_ok=True)
    copy_assets(request.out)
    stale = _stale(request, before, states)
    unsure = {
        state.name: before.benchmarks[state.name].model_copy(update={"key": ""})
        for state in stale
        if state.name in before.benchmarks
    }
    _put(request, before.model_copy(update={"benchmarks": {**before.benchmarks, **unsure}}))
    outlines, written = _benchmarks(store, request, before, states, stale)
    written += _overviews(request, outlines)
    remove_others(request.out, {name for state in states for name in state.pages})
    _put(request, before.model_copy(update={"benchmarks": {each.name: each for each in outlines}}))
    return BuiltSite(
        index=request.out / "index.html",
        benchmarks=len(outlines),
        runs=sum(each.runs for each in outlines),
        comparisons=sum(len(each.comparisons) for each in outlines),
        written=written,
    )


def _put(request: SiteRequest, manifest: Manifest) -> None:
    write_page(request.out / NAME, manifest.model_dump_json())


def histories_of(store: RunStore, request: SiteRequest) -> Iterator[BenchmarkHistory]:
    """Yield the histories of what is asked for, one at a time. Raises as `build_site` does."""
    for name in _names(store, request.benchmarks):
        documents = store.documents(name, request.since)
        runs = [with_cost(run, cost_of(run, document)) for run, document in documents]
        yield benchmark_history(name, runs, request.now, request.policy)


def _names(store: RunStore, wanted: tuple[str, ...]) -> list[str]:
    known = sorted({*store.benchmarks(), *store.comparisons.benchmarks()})
    for name in wanted:
        if name not in known:
            raise UsageError(f"no run of a benchmark {name!r} in this store{nearest(name, known)}")
    return sorted(set(wanted)) or known


def _costs(before: Manifest, name: str) -> dict[str, RunCost]:
    known = before.benchmarks.get(name)
    return {} if known is None else known.costs


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or out
        raise RunError(f"--out {where}: {error.strerror or error}") from None


def _stale(
    request: SiteRequest, before: Manifest, states: Sequence[BenchmarkState]
) -> list[BenchmarkState]:
    """Return the benchmarks whose pages are missing, or made from something else."""
    known, present = before.benchmarks, set(page_names(request.out))
    return [
        state
        for state in states
        if state.name not in known
        or known[state.name].key != state.key
        or not state.is_written(present)
    ]


def _benchmarks(
    store: RunStore,
    request: SiteRequest,
    before: Manifest,
    states: Sequence[BenchmarkState],
    stale: Sequence[BenchmarkState],
) -> tuple[list[BenchmarkOutline], int]:
    """Write the pages of benchmarks that changed; return all outlines, and how many pages."""
    known = before.benchmarks
    is_new = not known
    if len(stale) > 1 and sum(len(state.run_pages) for state in stale) > MANY_RUNS:
        results = write_in_processes(store.url, request, stale, is_new=is_new)
    else:
        pages = BenchmarkPages(store, request, is_new)
        results = [Written(*pages.write(state)) for state in stale]
    fresh = {result.outline.name: result.outline for result in results}
    outlines = [fresh.get(state.name) or known[state.name] for state in states]
    return outlines, sum(result.pages for result in results)


def _overviews(request: SiteRequest, outlines: Sequence[BenchmarkOutline]) -> int:
    """Write the pages over all benchmarks; return how many."""
    templates = environment()
    page = Page(
        root="",
        built_at=request.now,
        newest=max((each.newest for each in outlines if each.newest), default=None),
        demo=any(each.demo for each in outlines),
    )
    pages = {
        "index.html": render_start(templates, page, outlines),
        "summary.html": render_summary(templates, page, outlines),
        "glossary.html": render_glossary(templates, page),
    }
    for name, text in pages.items():
        write_page(request.out / name, text)
    return len(pages)
