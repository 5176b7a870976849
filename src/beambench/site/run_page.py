"""The page of a run: its headline numbers, and the whole record."""

from __future__ import annotations

import jinja2

from beambench.site.templating import Page, render
from beambench.store.summaries import HistoryRun


def render_run(
    templates: jinja2.Environment, run: HistoryRun, document_json: str, page: Page
) -> str:
    """Return the page of a run.

    Args:
        templates: of the site.
        run: what lists show of it.
        document_json: the whole record.
        page: what every page is given.
    """
    return render(templates, "run.html", page, {"run": run, "document": document_json})
