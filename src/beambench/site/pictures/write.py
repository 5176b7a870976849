"""Writes the charts of benchmarks as PNG and SVG, a page of Markdown with them, and badges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from beambench.errors import RunError, UsageError
from beambench.presentation.markdown import cell
from beambench.site.data.chart_list import Chart, charts_of
from beambench.site.data.histories import BenchmarkHistory
from beambench.site.files import write_page
from beambench.site.pictures.badges import badges_of, svg_of
from beambench.site.slugs import slug
from beambench.site.templating import environment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = "README.md"
DPI = 150


def require_matplotlib() -> None:
    """Refuse to begin what ends without pictures. Raises UsageError."""
    if find_spec("matplotlib") is None:
        raise UsageError(
            "matplotlib is not installed: pip install 'beambench[pictures]' for --images"
        )


def write_pictures(histories: Iterable[BenchmarkHistory], out: Path, built_at: str) -> list[Path]:
    """Write the pictures of benchmarks; return the files.

    Each benchmark has a folder under its name, with a file for each chart under its id.

    Args:
        histories: of the benchmarks, of which each is drawn before the next one is asked for.
        out: folder that they are written to; others that lie there stay.
        built_at: ISO 8601.

    Raises:
        UsageError: Matplotlib is not installed.
        RunError: the folder cannot be written.
    """
    require_matplotlib()
    files: list[Path] = []
    lines = ["# Benchmarks", "", f"Written by `beambench report --images` on {built_at[:10]}.", ""]
    try:
        out.mkdir(parents=True, exist_ok=True)
        for history in histories:
            folder = out / slug(history.name)
            folder.mkdir(exist_ok=True)
            badges = list(_write_badges(history, folder))
            charts = list(_write_charts(history, folder, built_at))
            lines += _section(history, badges, [chart for chart, _ in charts])
            files += [*badges, *(path for _, paths in charts for path in paths)]
        page = out / PAGE
        write_page(page, "\n".join(lines) + "\n")
    except OSError as error:
        where = error.filename or out
        raise RunError(f"--images {where}: {error.strerror or error}") from None
    return [page, *files]


def _write_badges(history: BenchmarkHistory, folder: Path) -> Iterator[Path]:
    templates = environment()
    for badge in badges_of(history):
        path = folder / f"badge-{badge.label}.svg"
        write_page(path, svg_of(templates, badge))
        yield path


def _write_charts(
    history: BenchmarkHistory, folder: Path, built_at: str
) -> Iterator[tuple[Chart, list[Path]]]:
    from beambench.site.pictures.figure import figure_of

    for chart in charts_of(history.metric_names()):
        figure = figure_of(history, chart, built_at)
        if figure is not None:
            yield chart, _save(figure, folder / slug(chart.id))


def _save(figure: Figure, path: Path) -> list[Path]:
    """Write a figure in both formats, an equal one as an equal file; in the SVG text is text."""
    from matplotlib import rc_context

    paths = [path.with_name(f"{path.name}.{suffix}") for suffix in ("svg", "png")]
    with rc_context({"svg.hashsalt": "beambench", "svg.fonttype": "none"}):
        figure.savefig(paths[0], metadata={"Date": None})
        figure.savefig(paths[1], dpi=DPI, metadata={"Software": None})
    return paths


def _section(
    history: BenchmarkHistory, badges: Sequence[Path], charts: Sequence[Chart]
) -> list[str]:
    """Return what the page says of a benchmark."""
    folder = slug(history.name)
    shown = [f"![{path.stem.removeprefix('badge-')}]({folder}/{path.name})" for path in badges]
    lines = [f"## {cell(history.name)}", "", " ".join(shown), ""]
    for chart in charts:
        lines += [f"### {cell(chart.title)}", "",
                  f"![{cell(chart.title)}]({folder}/{slug(chart.id)}.png)", ""]  # fmt: skip
    return lines
