"""The templates of pages: what they are given, and how values are written in them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timezone
from pathlib import Path

import jinja2
from markupsafe import Markup

from beambench.presentation.values import show_value
from beambench.printable import printable
from beambench.site.slugs import slug
from beambench.times import parse_time
from beambench.version import __version__

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; base-uri 'none'; form-action 'none'"
)
"""Of every page. It allows no inline script, whatever a record says."""

TEN_TIMES = 10


@dataclass(frozen=True)
class Page:
    """What every page is given.

    Attributes:
        root: relative path to the folder of the site: empty, or ``../``.
        built_at: when the page was written, ISO 8601.
        newest: when the newest run of the site began, ISO 8601; None without runs.
        demo: whether its runs were made up to show the site.
        version: of beambench.
    """

    root: str
    built_at: str
    newest: str | None = None
    demo: bool = False
    version: str = __version__


def environment() -> jinja2.Environment:
    """Return the templates. Escaping is on in all of them, whatever their names."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["content_security_policy"] = CONTENT_SECURITY_POLICY
    templates.filters |= {
        "value": show_value,
        "when": when,
        "change": change,
        "slug": slug,
        "script_json": script_json,
        "printable": printable,
    }
    return templates


def render(
    templates: jinja2.Environment, name: str, page: Page, values: Mapping[str, object]
) -> str:
    """Return a page: a template with its values."""
    return templates.get_template(name).render(values, page=page, root=page.root)


def when(time: str | None) -> str:
    """Return an ISO 8601 time in UTC to the minute, with the zone; what is no time as it is."""
    if time is None:
        return "unknown"
    try:
        return f"{parse_time(time).astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):
        return printable(time)


def change(ratio: float) -> str:
    """Return a ratio as a signed change in percent, from ten times on as a multiple."""
    if ratio >= TEN_TIMES:
        return f"×{ratio:.3g}"
    return f"{(ratio - 1) * 100:+.1f} %".replace("-", "\u2212")


def script_json(data: object) -> Markup:
    """Return JSON that may stand in a script element and in a script: no sign in it ends either.

    Raises ValueError for a number that is not finite, which JSON has not.
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))  # ASCII: U+2028 is escaped
    return Markup(re.sub("[<>&]", lambda sign: f"\\u{ord(sign[0]):04x}", text))  # noqa: S704
