"""Values, and documents as a whole: JSON for scripts, text as it is."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

from beambench.printable import json_text, printable

WRITTEN_OUT = 1e15
"""Above it a number is written with a power of ten."""


def print_json(document: Any) -> None:
    r"""Print JSON; what the encoding of stdout lacks is written as `\uXXXX`."""
    text = json_text(document)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = json.dumps(document, indent=2, allow_nan=False).replace("\x7f", "\\u007f")
    sys.stdout.write(text + "\n")


def print_text(text: str) -> None:
    """Print lines, in the encoding of stdout (`typer.echo` would not for ASCII); all in a file."""
    if sys.stdout.isatty():
        text = "\n".join(map(printable, text.split("\n")))
    sys.stdout.write(text + "\n")


def show_value(value: float, unit: str) -> str:
    """Return a value with its unit, to four significant digits, in a scale that people read."""
    if unit == "s":
        scales: Sequence[tuple[float, str]] = ((1, "s"), (1e-3, "ms"), (1e-6, "µs"))
    elif unit in ("B", "B/s"):
        tail = unit.removeprefix("B")
        scales = ((1e9, f"GB{tail}"), (1e6, f"MB{tail}"), (1e3, f"kB{tail}"), (1, unit))
    else:
        scales = ((1, "" if unit == "1" else unit),)
    size, name = next((scale for scale in scales if abs(value) >= scale[0]), scales[-1])
    scaled = value / size
    digits = ",.0f" if 1000 <= abs(scaled) < WRITTEN_OUT else ".4g"
    return f"{scaled:{digits}} {name}".strip()


def shown_confidence(confidence: float) -> str:
    """Return a confidence in percent that never claims certainty."""
    return f"{math.floor(min(confidence, 0.9999) * 10000) / 100:g} %"


def summing_to_hundred(shares: Sequence[float]) -> list[str]:
    """Return shares that sum to one as percentages with one digit that sum to 100.0.

    What rounding leaves goes to those that lost most by it.
    """
    tenths = [share * 1000 for share in shares]
    rounded = [math.floor(tenth) for tenth in tenths]
    left = round(sum(tenths)) - sum(rounded)
    by_loss = sorted(range(len(tenths)), key=lambda at: rounded[at] - tenths[at])
    for at in by_loss[:left]:
        rounded[at] += 1
    return [f"{tenth / 10:.1f}" for tenth in rounded]
