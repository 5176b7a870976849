"""What the machine has counted so far: CPU time by kind, and time in which tasks had to wait.

Values come from Linux' ``/proc``; one that cannot be read is null (unknown).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from beambench.machine.processes import read_text

# In /proc/stat: user nice system idle iowait irq softirq steal. The guest columns that follow are
# contained in user and nice.
TICK_NAMES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_BUSY_TICKS = ("user", "nice", "system", "irq", "softirq")

RESOURCES = ("cpu", "memory", "io")


@dataclass(frozen=True)
class Counters:
    """What only grows: the difference of two is what happened in between.

    Attributes:
        at: when they were read, in monotonic seconds.
        wall: the same in seconds since 1970, by a clock that can be set.
        ticks: CPU time of the cores together.
        cores: how many these are.
        stalled_seconds: in which at least one task waited, by resource.
        own_cpu_seconds: CPU time that the benchmark's own processes had used.
    """

    at: float
    wall: float
    ticks: dict[str, int] | None
    cores: int
    stalled_seconds: dict[str, float | None]
    own_cpu_seconds: float | None


def read_counters(
    proc: Path,
    at: float,
    wall: float,
    own_cpu_seconds: float | None,
    cores: Collection[int] | None = None,
) -> Counters:
    """Read the counters now, which is the time that is given; of some cores, or None: of all."""
    stat = (read_text(proc / "stat") or "").splitlines()
    everyone = sum(line.startswith("cpu") and line[3:4].isdigit() for line in stat)
    return Counters(
        at=at,
        wall=wall,
        ticks=_ticks(stat, cores),
        cores=everyone if cores is None else len(cores),
        stalled_seconds={name: _stalled_seconds(proc, name) for name in RESOURCES},
        own_cpu_seconds=own_cpu_seconds,
    )


def _stalled_seconds(proc: Path, resource: str) -> float | None:
    """Return the ``some`` total of PSI, which the kernel counts in microseconds."""
    for line in (read_text(proc / "pressure" / resource) or "").splitlines():
        kind, *fields = line.split()
        for field in fields:
            if kind == "some" and field.startswith("total="):
                return int(field.removeprefix("total=")) / 1e6
    return None


def _ticks(stat: Iterable[str], cores: Collection[int] | None) -> dict[str, int] | None:
    """Return the ticks of the cores together, null if the kernel does not count all of them."""
    wanted = {"cpu"} if cores is None else {f"cpu{core}" for core in cores}
    lines = {line.split()[0]: line.split()[1:] for line in stat if line.strip()}
    numbers = [lines[name] for name in wanted if len(lines.get(name, ())) >= len(TICK_NAMES)]
    if len(numbers) < len(wanted):
        return None
    columns = zip(*numbers, strict=False)
    return {name: sum(map(int, column)) for name, column in zip(TICK_NAMES, columns, strict=False)}


def tick_difference(start: Counters, end: Counters) -> dict[str, int] | None:
    """Return the ticks between two readings, null if one does not know them."""
    if start.ticks is None or end.ticks is None:
        return None
    return {name: end.ticks[name] - start.ticks[name] for name in TICK_NAMES}


def busy_ticks(ticks: Mapping[str, int]) -> int:
    """Return the ticks in which a core worked, for whomever."""
    return sum(ticks[name] for name in _BUSY_TICKS)
