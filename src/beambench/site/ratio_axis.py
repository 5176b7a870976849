"""The axis that ratios of a comparison are drawn on, and the marks on it, in percent of its width.

Ratios are drawn by their logarithms: twice as fast is as far from 1 as half as fast.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TICKS = (0.25, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0, 1.01, 1.02, 1.05, 1.1, 1.25, 2.0, 4.0)
WIDEST = 4.0
"""A ratio beyond it, or below its inverse, is drawn at the edge, with an arrow."""

LEAST = 1.02
LEAST_DISTANCE = 13.0
"""Of two ticks, in percent of the axis, so that their labels do not touch."""

PADDING = 1.12


@dataclass(frozen=True)
class Tick:
    """A line across the axis: its ratio as a change in percent, and where it stands."""

    label: str
    at: float


@dataclass(frozen=True)
class Mark:
    """A ratio with its interval, in percent of the axis.

    Attributes:
        low, high: ends of the interval; None without one.
        beyond: the side of the axis that the ratio or an end of its interval lies beyond, if one.
    """

    at: float
    low: float | None
    high: float | None
    beyond: str | None


class RatioAxis:
    """An axis with 1 in the middle that holds ratios.

    Attributes:
        margin: where the band stands within which both sides are the same.
    """

    def __init__(self, ratios: Iterable[float], margin: float = 0.0) -> None:
        """Take in ratios above 0, and the margin around 1 within which both sides are the same."""
        known = [ratio for ratio in ratios if 0 < ratio < math.inf]
        reach = max([LEAST, 1 + 2 * margin, *(max(ratio, 1 / ratio) for ratio in known)])
        self._end = math.log(min(reach, WIDEST)) * PADDING
        self.margin = (self.at(1 / (1 + margin)), self.at(1 + margin))

    def at(self, ratio: float) -> float:
        """Return where a ratio stands, 0 to 100."""
        if ratio <= 0:
            return 0.0
        share = 0.5 + math.log(ratio) / self._end / 2 if ratio < math.inf else 1.0
        return round(100 * min(1.0, max(0.0, share)), 2)

    def mark(self, ratio: float, low: float | None, high: float | None) -> Mark:
        beyond = None
        if max(ratio, high or 0) > math.exp(self._end):
            beyond = "right"
        elif min(ratio, ratio if low is None else low) < math.exp(-self._end):
            beyond = "left"
        low_at, high_at = (None if end is None else self.at(end) for end in (low, high))
        return Mark(self.at(ratio), low_at, high_at, beyond)

    def ticks(self) -> Sequence[Tick]:
        """Return ticks from the middle outwards, without those too near to one that is there."""
        shown = [1.0]
        for ratio in sorted(TICKS, key=lambda ratio: (abs(math.log(ratio)), ratio)):
            inside = abs(math.log(ratio)) <= self._end
            apart = min(abs(self.at(ratio) - self.at(other)) for other in shown)
            if inside and apart >= LEAST_DISTANCE:
                shown.append(ratio)
        return [Tick(tick_label(ratio), self.at(ratio)) for ratio in sorted(shown)]


def tick_label(ratio: float) -> str:
    """Return a ratio as the change in percent that is read on an axis."""
    change = 100 * (ratio - 1)
    return f"{change:+.3g} %".replace("-", "−") if abs(change) > 1e-9 else "0"
