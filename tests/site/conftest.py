"""A site of made-up runs, built once, and a browser that looks at it."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from made_up_charts import LARGE_RUNS, chart_data
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright
from stepped_history import stepped_runs

from attack_records import attack_comparison, attack_record
from beambench.site.build import SiteRequest, build_site
from beambench.site.data.chart_data import script_of
from beambench.store.run_store import RunStore
from published_runs import run_record
from served import serving

NOW = "2026-02-12T00:00:00.000Z"
TIMEOUT_MS = 15_000
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a site with pages of every kind; of a benchmark with a planted change, `stepped`.

    Two pages have charts that are made up: `made-up` with four series, and `large`.
    """
    folder = tmp_path_factory.mktemp("site")
    out = folder / "out"
    attack = attack_record()
    broken = run_record(2, benchmark="broken", status="failed", metrics={}, error="no model")
    with RunStore.open(f"sqlite:///{folder}/runs.db") as store:
        for run in (*stepped_runs(), run_record(1), broken, attack):
            store.add(run)
        store.comparisons.add(attack_comparison(attack))
        build_site(store, SiteRequest(out, NOW))
    page = (out / "benchmarks/stepped.html").read_text("utf-8")
    for name, data in (
        ("made-up", chart_data()),
        ("large", chart_data(series=1, runs=LARGE_RUNS)),
    ):
        (out / f"benchmarks/{name}.html").write_text(page.replace("stepped.js", f"{name}.js"))
        (out / f"benchmarks/{name}.js").write_text(script_of(data))
    return out


@pytest.fixture(scope="session")
def served_site(site: Path) -> Iterator[str]:
    """Address of the site on loopback."""
    handler = functools.partial(_QuietFiles, directory=str(site))
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as port:
        yield f"http://127.0.0.1:{port}"


class _QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visits:
    """Opens pages, and notes what must not happen: errors, dialogs, requests elsewhere."""

    browser: Browser
    base: str
    trouble: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def __call__(self, path: str, *, scheme: str = "light", width: int = 1280) -> Page:
        context = self.browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        context.set_default_timeout(TIMEOUT_MS)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("dialog", lambda dialog: self.trouble.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self._note_request(request.url))
        page.goto(f"{self.base}/{path}")
        return page

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.trouble.append(message.text)

    def _note_request(self, url: str) -> None:
        if not url.startswith((self.base, "data:", "blob:")):
            self.trouble.append(f"request to {url}")

    def close(self) -> None:
        for context in self.contexts:
            context.close()


def _visits(browser: Browser, base: str) -> Iterator[Visits]:
    visits = Visits(browser, base)
    yield visits
    visits.close()
    assert visits.trouble == []


@pytest.fixture
def visit(chromium: Browser, site: Path) -> Iterator[Callable[..., Page]]:
    """Open a page of the site from disk."""
    yield from _visits(chromium, site.as_uri())


@pytest.fixture
def visit_served(chromium: Browser, served_site: str) -> Iterator[Callable[..., Page]]:
    """Open a page of the site from a server."""
    yield from _visits(chromium, served_site)
