"""The page of a comparison: its verdict, ratios, pairs and noise."""

from __future__ import annotations

import jinja2

from beambench.record.comparison import Comparison
from beambench.site.templating import Page, render


def render_comparison(templates: jinja2.Environment, comparison: Comparison, page: Page) -> str:
    """Return the page of a comparison."""
    return render(templates, "comparison.html", page, {"comparison": comparison})
