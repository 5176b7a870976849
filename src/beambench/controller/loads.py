"""What a reader must know of the model loads of a repeat: when they ended, and from where."""

from __future__ import annotations

from beambench.record.run_record import Repeat

CACHED = 0.99
"""A share of the weights; with less a load has read from the disk."""


def warnings_of_loads(where: str, repeat: Repeat) -> list[str]:
    """Name loads within the windows of the throughput, and weights that were not in memory.

    Args:
        where: how the repeat is called.
        repeat: as it stands in the record.
    """
    warnings = []
    for count, window in (
        (repeat.late_loads, "the window of the throughput, after the first element was read"),
        (repeat.steady_loads, "the steady window"),
    ):
        if count:
            loads = "1 model load" if count == 1 else f"{count} model loads"
            warnings.append(
                f"{where}: {loads} ended in {window}: its rate is not of inference alone"
            )
    if repeat.weights_cached is not None and repeat.weights_cached < CACHED:
        warnings.append(
            f"{where}: the page cache held {repeat.weights_cached:.0%} of the weights before the "
            "load, so the load read from the disk and is not that of a warm file"
        )
    return warnings
