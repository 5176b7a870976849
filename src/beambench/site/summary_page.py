"""The summary: what got worse in the quarter, and which of it is real, over all benchmarks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import jinja2

from beambench.site.data.movers import CHANCE, QUARTER, Mover
from beambench.site.data.outlines import BenchmarkOutline
from beambench.site.templating import Page, render
from beambench.times import parse_time

SILENT = f"benchmark without a run in the last {QUARTER.days} days"


@dataclass(frozen=True)
class Moved:
    """A series that was compared.

    Attributes:
        benchmark: name and file name of its page.
    """

    benchmark: BenchmarkOutline
    mover: Mover

    @property
    def is_worse(self) -> bool:
        return (self.mover.effect or 0) > 0


@dataclass(frozen=True)
class Summary:
    """What the page shows.

    Attributes:
        movers: beyond noise, the clearest first.
        within: within noise, the clearest first.
        left_out: how many series were not compared, by reason.
        watched: all series.
    """

    movers: tuple[Moved, ...]
    within: tuple[Moved, ...]
    left_out: dict[str, int]
    watched: int

    @property
    def comparable(self) -> int:
        return len(self.movers) + len(self.within)

    def count(self, *, worse: bool, real: bool) -> int:
        """Return how many series got worse, or better; real ones, or those that may be noise."""
        return sum(
            each.is_worse is worse and (each.mover.judgement != "unsure") is real
            for each in self.movers
        )


def summary_of(outlines: Sequence[BenchmarkOutline], now: str) -> Summary:
    """Return what moved; `now` is an ISO 8601 time."""
    begin = parse_time(now) - QUARTER
    left_out, compared = Counter[str](), list[Moved]()
    for outline in outlines:
        is_silent = outline.newest is None or parse_time(outline.newest) < begin
        for mover in outline.movers:
            reason = SILENT if is_silent else mover.reason
            if reason is not None:
                left_out[reason] += 1
            else:
                compared.append(Moved(outline, mover))
    compared.sort(key=lambda each: -abs(each.mover.effect or 0))
    return Summary(
        movers=tuple(each for each in compared if each.mover.judgement != "noise"),
        within=tuple(each for each in compared if each.mover.judgement == "noise"),
        left_out=dict(left_out.most_common()),
        watched=len(compared) + sum(left_out.values()),
    )


def render_summary(
    templates: jinja2.Environment, page: Page, outlines: Sequence[BenchmarkOutline]
) -> str:
    """Return the summary page."""
    values = {
        "summary": summary_of(outlines, page.built_at),
        "chance": f"{1000 * CHANCE:.0f} of 1,000",
        "days": QUARTER.days,
    }
    return render(templates, "summary.html", page, values)
