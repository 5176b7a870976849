"""What was really raised, where a runner passes errors on as a text."""

from __future__ import annotations

import re

TRACEBACK = "Traceback (most recent call last):"
RAISED = re.compile(r"([A-Za-z_][\w.]*(?:Error|Exception))(?:: |$|(?= \[while))(.*)", re.DOTALL)
STEP = re.compile(r"\s*\[while running '[^']*'\]")
"""What Beam adds to the text of an error."""


def innermost(name: str, text: str) -> tuple[str, str]:
    """Return class name and text of an error that a runner may have wrapped as a text."""
    last = text.rpartition(TRACEBACK)[2] if TRACEBACK in text else None
    if last is not None:  # what was raised stands below the indented lines
        text = "\n".join(line for line in last.splitlines() if line and not line[0].isspace())
    if last is not None or name == "RuntimeError":
        wrapped = RAISED.match(text)
        if wrapped is not None:
            return wrapped[1].rpartition(".")[2], wrapped[2]
    return name, text
