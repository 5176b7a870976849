"""What a command line did."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

PROGRESS = re.compile(r"[a-z0-9-]+ \[\d+/\d+\] .*")


@dataclass(frozen=True)
class Answer:
    """Exit code, and what was printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def messages(self) -> list[str]:
        """The lines on stderr that are no progress."""
        return [line for line in self.err.splitlines() if not PROGRESS.fullmatch(line)]
