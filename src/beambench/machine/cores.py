"""The CPU cores that work may run on, and keeping some of it to some of them.

Linux only: elsewhere which cores a thread may use is unknown and cannot be set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from beambench.machine.processes import read_text

Cores = frozenset[int]


def usable_cores() -> Cores | None:
    """Return the cores that this thread, and what it starts, may use; None if unknown."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


@contextmanager
def kept_to(cores: Cores | None) -> Iterator[None]:
    """Keep this thread, and the threads and processes that it starts, to some cores; None: to all.

    Threads that run already are not moved.
    """
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def equal_parts(cores: Cores, count: int, sys_root: Path = Path("/sys")) -> Sequence[Cores]:
    """Return disjoint parts of the same number of cores; cores that are left over are in none.

    Hyperthreads of one physical core are in the same part if there are enough physical cores: two
    parts that share one would slow each other down. Empty with fewer cores than parts.
    """
    size = len(cores) // count
    if not size:
        return []
    siblings: dict[str, list[int]] = {}
    for core in sorted(cores):
        path = sys_root / f"devices/system/cpu/cpu{core}/topology/thread_siblings_list"
        siblings.setdefault((read_text(path) or str(core)).strip(), []).append(core)
    groups = sorted(siblings.values(), key=len, reverse=True)  # whole ones first
    ordered = [core for group in groups for core in group]
    widest = len(groups[0])
    if size >= widest:
        size -= size % widest
    return [frozenset(ordered[at * size : (at + 1) * size]) for at in range(count)]
