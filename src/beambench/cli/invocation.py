"""What a command line carries to its verb beside options, as the object of typer's context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from beambench.clock import Clock


@dataclass(frozen=True)
class Invocation:
    """What a verb that runs something is told beside its options.

    Attributes:
        beam_flags: Beam's own flags, which followed `--`.
        clock: by which runs wait and are dated; None: that of this machine.
    """

    beam_flags: Sequence[str] = ()
    clock: Clock | None = None
