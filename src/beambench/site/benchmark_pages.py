"""The pages of one benchmark: its own with the data of its charts, its runs and its comparisons."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from beambench.analysis.change_points.policy import AlarmPolicy
from beambench.record.comparison import Comparison
from beambench.site.benchmark_page import render_benchmark
from beambench.site.comparison_page import render_comparison, sides_of, with_same_base
from beambench.site.data.chart_data import chart_data, script_of
from beambench.site.data.costs import RunCost, cost_of, with_cost
from beambench.site.data.histories import BenchmarkHistory, benchmark_history
from beambench.site.data.outlines import BenchmarkOutline, outline_of
from beambench.site.files import write_page
from beambench.site.run_page import render_run
from beambench.site.slugs import slug
from beambench.site.templating import Page, environment
from beambench.store.run_store import RunStore
from beambench.store.summaries import HistoryRun

DEMO_LABEL = "demo"
"""Label of runs that were made up to show the site."""


@dataclass(frozen=True)
class SiteRequest:
    """What is asked for.

    Attributes:
        out: folder of the site.
        now: time of the build, ISO 8601.
        benchmarks: names; none: all that have runs or comparisons.
        since: ISO 8601 time from which on runs are shown; None: all.
        policy: what counts as a change of a history.
    """

    out: Path
    now: str
    benchmarks: tuple[str, ...] = ()
    since: str | None = None
    policy: AlarmPolicy = field(default_factory=AlarmPolicy)


@dataclass(frozen=True)
class BenchmarkState:
    """What the pages of a benchmark are made from, without reading it.

    Attributes:
        key: digest of all of it; runs never change, so their ids stand for them.
        run_pages: file of each run, by its id, relative to the site.
        other_pages: its other files.
        costs: of runs that were priced before, by id.
    """

    name: str
    key: str
    run_pages: dict[str, str]
    other_pages: frozenset[str]
    costs: dict[str, RunCost]

    @property
    def pages(self) -> set[str]:
        """All its files."""
        return {*self.run_pages.values(), *self.other_pages}

    def is_written(self, present: Collection[str]) -> bool:
        """Tell whether its pages are there, but for those of runs that could not be read.

        Args:
            present: files of the site.
        """
        read = (self.run_pages[run_id] for run_id in self.costs if run_id in self.run_pages)
        return all(name in present for name in (*read, *self.other_pages))


def state_of(
    store: RunStore, name: str, request: SiteRequest, costs: dict[str, RunCost]
) -> BenchmarkState:
    """Return what the pages of a benchmark are to be made from.

    Args:
        store: with its runs.
        name: of the benchmark.
        request: what is asked for.
        costs: of runs that were priced before, by id.
    """
    run_ids = store.run_ids(name, request.since)
    comparisons = store.comparisons.newest(name)
    baselines = [each for each in store.baselines.all() if each.benchmark == name]
    digest = hashlib.sha256(repr(request.policy).encode())
    documents = [each.model_dump_json() for each in (*comparisons, *baselines)]
    for text in (*run_ids, *documents):
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return BenchmarkState(
        name=name,
        key=digest.hexdigest(),
        run_pages={run_id: _run_page(run_id) for run_id in run_ids},
        other_pages=frozenset(
            {
                f"benchmarks/{slug(name)}.html",
                f"benchmarks/{slug(name)}.js",
                *map(_comparison_page, comparisons),
            }
        ),
        costs=costs,
    )


@dataclass(frozen=True)
class BenchmarkPages:
    """Writes the pages of a benchmark.

    Attributes:
        is_new: whether run pages that are there are of another version, and written again.
    """

    store: RunStore
    request: SiteRequest
    is_new: bool
    templates: jinja2.Environment = field(default_factory=environment)

    def write(self, state: BenchmarkState) -> tuple[BenchmarkOutline, int]:
        """Write them; return what the pages over all show of it, and how many were written."""
        runs, costs, written = self._run_pages(state)
        history = benchmark_history(state.name, runs, self.request.now, self.request.policy)
        comparisons = self.store.comparisons.newest(state.name)
        outline = outline_of(
            history,
            state.key,
            [each.comparison_id for each in comparisons],
            [each for each in self.store.baselines.all() if each.benchmark == state.name],
            costs,
            demo=any(DEMO_LABEL in run.labels for run in runs),
        )
        page = self._page(outline.newest, demo=outline.demo)
        pages = [
            *self._own_pages(history, outline, page),
            *self._compared(comparisons, page, state),
        ]
        for name, text in pages:
            write_page(self.request.out / name, text)
        return outline, written + len(pages)

    def _run_pages(self, state: BenchmarkState) -> tuple[list[HistoryRun], dict[str, RunCost], int]:
        """Write the pages of runs that are missing.

        Return all runs, the oldest first, what each costs, and how many pages were written.
        """
        runs, costs, written = list[HistoryRun](), dict[str, RunCost](), 0
        for run, document in self.store.documents(state.name, self.request.since):
            cost = state.costs.get(run.run_id) or cost_of(run, document)
            costs[run.run_id] = cost
            priced = with_cost(run, cost)
            runs.append(priced)
            path = self.request.out / _run_page(run.run_id)
            if self.is_new or not path.exists():
                page = self._page(None, demo=DEMO_LABEL in run.labels)
                write_page(path, render_run(self.templates, priced, document, page))
                written += 1
        return runs, costs, written

    def _own_pages(
        self, history: BenchmarkHistory, outline: BenchmarkOutline, page: Page
    ) -> Iterator[tuple[str, str]]:
        data = chart_data(history, self.request.now, demo=page.demo)
        yield f"benchmarks/{outline.slug}.js", script_of(data)
        yield (
            f"benchmarks/{outline.slug}.html",
            render_benchmark(self.templates, page, history, outline),
        )

    def _compared(
        self, comparisons: Sequence[Comparison], page: Page, state: BenchmarkState
    ) -> Iterator[tuple[str, str]]:
        for comparison in comparisons:
            yield (
                _comparison_page(comparison),
                render_comparison(
                    self.templates,
                    comparison,
                    page,
                    runs=sides_of(self.store, comparison),
                    candidates=with_same_base(comparison, comparisons),
                    pages=state.run_pages,
                ),
            )

    def _page(self, newest: str | None, *, demo: bool) -> Page:
        return Page(root="../", built_at=self.request.now, newest=newest, demo=demo)


def _run_page(run_id: str) -> str:
    return f"runs/{slug(run_id)}.html"


def _comparison_page(comparison: Comparison) -> str:
    return f"comparisons/{slug(comparison.comparison_id)}.html"
