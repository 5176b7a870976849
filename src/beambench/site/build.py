"""Builds the site: reads the store, writes the pages that are missing or changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from beambench.analysis.change_points.policy import AlarmPolicy
from beambench.errors import RunError, UsageError, nearest
from beambench.record.comparison import Comparison
from beambench.site.chart_data import chart_data, script_of
from beambench.site.comparison_page import render_comparison, sides_of, with_same_base
from beambench.site.files import FOLDERS, copy_assets, remove_others, write_page
from beambench.site.glossary_page import render_glossary
from beambench.site.histories import benchmark_history
from beambench.site.manifest import NAME, BenchmarkOutline, Manifest, read_manifest
from beambench.site.run_page import render_run
from beambench.site.slugs import slug
from beambench.site.templating import Page, environment, render
from beambench.store.run_store import RunStore
from beambench.store.summaries import HistoryRun

NEWEST_RUNS = 50
"""Rows of the table of a benchmark's runs."""

DEMO_LABEL = "demo"
"""Label of runs that were made up to show the site."""


@dataclass(frozen=True)
class SiteRequest:
    """What is asked for.

    Attributes:
        out: folder of the site.
        benchmarks: names; none: all that have runs or comparisons.
        since: ISO 8601 time from which on runs are shown; None: all.
        now: time of the build, ISO 8601.
        policy: what counts as a change of a history.
    """

    out: Path
    now: str
    benchmarks: tuple[str, ...] = ()
    since: str | None = None
    policy: AlarmPolicy = field(default_factory=AlarmPolicy)


@dataclass
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
    benchmarks: int = 0
    runs: int = 0
    comparisons: int = 0
    written: int = 0


def build_site(store: RunStore, request: SiteRequest) -> BuiltSite:
    """Build a site, or bring one up to date.

    Raises:
        UsageError: the folder holds something else, or the store lacks a benchmark that was named.
        RunError: the folder cannot be written.
        StoreError: the store cannot be read.
    """
    names = _names(store, request.benchmarks)
    before = read_manifest(request.out)
    with _writing(request.out):
        builder = _Builder(store, request, before)
        for folder in FOLDERS:
            (request.out / folder).mkdir(parents=True, exist_ok=True)
        copy_assets(request.out)
        return builder.build(names)


def _names(store: RunStore, wanted: tuple[str, ...]) -> list[str]:
    known = sorted({*store.benchmarks(), *store.comparisons.benchmarks()})
    for name in wanted:
        if name not in known:
            raise UsageError(f"no run of a benchmark {name!r} in this store{nearest(name, known)}")
    return sorted(set(wanted)) or known


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or out
        raise RunError(f"--out {where}: {error.strerror or error}") from None


@dataclass
class _Builder:
    store: RunStore
    request: SiteRequest
    before: Manifest
    templates: jinja2.Environment = field(default_factory=environment)
    pages: set[Path] = field(default_factory=set)
    written: int = 0

    @property
    def out(self) -> Path:
        return self.request.out

    def build(self, names: list[str]) -> BuiltSite:
        present = {path.name for path in (self.out / "runs").iterdir()}
        if not self.before.benchmarks:
            present = set()
        outlines = [self._benchmark(name, present) for name in names]
        self._overviews(outlines)
        for folder in ("benchmarks", "runs", "comparisons"):
            names_there = {path.name for path in self.pages if path.parent.name == folder}
            remove_others(self.out / folder, names_there)
        manifest = Manifest(
            made_by=self.before.made_by, benchmarks={each.name: each for each in outlines}
        )
        write_page(self.out / NAME, manifest.model_dump_json())
        return BuiltSite(
            index=self.out / "index.html",
            benchmarks=len(outlines),
            runs=sum(each.runs for each in outlines),
            comparisons=sum(len(each.comparisons) for each in outlines),
            written=self.written,
        )

    def _benchmark(self, name: str, present: set[str]) -> BenchmarkOutline:
        """Write the pages of a benchmark where they are not up to date."""
        run_ids = self.store.run_ids(name, self.request.since)
        comparisons = self.store.comparisons.newest(name)
        key = _key(run_ids, comparisons)
        page_slug = slug(name)
        expected = {
            self.out / "benchmarks" / f"{page_slug}.html",
            self.out / "benchmarks" / f"{page_slug}.js",
            *(self.out / "runs" / f"{slug(run_id)}.html" for run_id in run_ids),
            *(self.out / "comparisons" / f"{slug(each.comparison_id)}.html"
              for each in comparisons),
        }  # fmt: skip
        self.pages |= expected
        known = self.before.benchmarks.get(name)
        if known is not None and known.key == key and all(path.exists() for path in expected):
            return known
        light = list[HistoryRun]()
        for run, document in self.store.documents(name, self.request.since):
            light.append(run)
            if f"{slug(run.run_id)}.html" not in present:
                page = self._page("../", run.started_at, demo=DEMO_LABEL in run.labels)
                text = render_run(self.templates, run, document, page)
                self._write(f"runs/{slug(run.run_id)}.html", text)
        newest = light[-1].started_at if light else None
        demo = any(DEMO_LABEL in run.labels for run in light)
        page = self._page("../", newest, demo=demo)
        for comparison in comparisons:
            text = render_comparison(
                self.templates,
                comparison,
                page,
                runs=sides_of(self.store, comparison),
                candidates=with_same_base(comparison, comparisons),
            )
            self._write(f"comparisons/{slug(comparison.comparison_id)}.html", text)
        history = benchmark_history(name, light, self.request.now, self.request.policy)
        data = chart_data(history, self.request.now, demo=demo)
        self._write(f"benchmarks/{page_slug}.js", script_of(data))
        values = {"name": name, "slug": page_slug, "newest_runs": light[: -NEWEST_RUNS - 1 : -1]}
        self._write(
            f"benchmarks/{page_slug}.html", render(self.templates, "benchmark.html", page, values)
        )
        return BenchmarkOutline(
            name=name,
            slug=page_slug,
            key=key,
            runs=len(light),
            comparisons=[each.comparison_id for each in comparisons],
            newest=newest,
            demo=demo,
        )

    def _overviews(self, outlines: list[BenchmarkOutline]) -> None:
        newest = max((each.newest for each in outlines if each.newest), default=None)
        page = self._page("", newest, demo=any(each.demo for each in outlines))
        values = {"rows": outlines}
        self._write("index.html", render(self.templates, "index.html", page, values))
        self._write("summary.html", render(self.templates, "summary.html", page, {}))
        self._write("glossary.html", render_glossary(self.templates, page))

    def _page(self, root: str, newest: str | None, *, demo: bool) -> Page:
        return Page(root=root, built_at=self.request.now, newest=newest, demo=demo)

    def _write(self, name: str, text: str) -> None:
        write_page(self.out / name, text)
        self.written += 1


def _key(run_ids: list[str], comparisons: list[Comparison]) -> str:
    """Return a digest of what a benchmark's page is made from; runs never change."""
    digest = hashlib.sha256()
    for text in (*run_ids, *(each.model_dump_json() for each in comparisons)):
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()
