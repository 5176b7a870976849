"""The glossary: every metric that a run of this installation can have."""

from __future__ import annotations

import jinja2

from beambench.metrics.registry import metrics
from beambench.site.data.costs import FORMULA, METRIC
from beambench.site.templating import Page, render


def render_glossary(templates: jinja2.Environment, page: Page) -> str:
    """Return the page of all metrics."""
    return render(
        templates,
        "glossary.html",
        page,
        {"metrics": metrics(), "cost": {"name": METRIC, "formula": FORMULA}},
    )
