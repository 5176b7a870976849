"""What else the machine did while a repeat ran, and whether that disturbed the repeat.

Everything is read twice, before and after; nothing samples in between, so nothing is disturbed by
it. Values come from Linux' ``/proc`` and ``/sys``; one that cannot be read is null (unknown).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from beambench.machine.processes import read_text

# The hypervisor kept 2 % of the CPU time that this machine asked for: quiet repeats of the same
# configuration differ by about as much, so more than this would be seen in the result.
STEAL_OF_DEMAND_LIMIT = 0.02

# Other processes used 5 % of the machine: more than an idle system's background work (about 1 %
# of a small machine), and enough to take a core from a workload that keeps all cores busy.
OTHER_CPU_SHARE_LIMIT = 0.05

# CPU time is counted in ticks and at slightly different moments for the machine and for our own
# processes, so their difference can fall a little below 0. Further below, the two are not of the
# same interval, and the difference says nothing.
OTHER_CPU_SHARE_TOLERANCE = 0.05

# Pressure is not among the judged: threads of one's own that outnumber the cores cause it as well.
_JUDGED = ("steal_of_demand", "other_cpu_share")

# In /proc/stat: user nice system idle iowait irq softirq steal. The guest columns that follow are
# contained in user and nice.
_TICK_NAMES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_BUSY_TICKS = ("user", "nice", "system", "irq", "softirq")

_RESOURCES = ("cpu", "memory", "io")

_WORST_IS_HIGHEST = (
    "steal_share",
    "steal_of_demand",
    "other_cpu_share",
    "iowait_share",
    "cpu_pressure",
    "memory_pressure",
    "io_pressure",
    "load_1min_start",
    "temperatures_end",
)
_WORST_IS_LOWEST = ("cpu_mhz_end",)


@dataclass(frozen=True)
class _Counters:
    """What only grows: the difference of two is what happened in between."""

    at: float
    ticks: dict[str, int] | None
    cores: int
    stalled_seconds: dict[str, float | None]


def _temperatures() -> dict[str, float] | None:
    """Return the highest temperature in degrees Celsius of each sensor chip."""
    read = getattr(psutil, "sensors_temperatures", None)
    if read is None:
        return None
    try:
        chips = read()
    except (OSError, ValueError, psutil.Error):
        return None
    highest = {
        chip: max(float(sensor.current) for sensor in sensors)
        for chip, sensors in sorted(chips.items())
        if sensors
    }
    return highest or None


class NoiseMonitor:
    """Compares the machine's counters before and after.

    ``stop`` returns these keys; shares are between 0 and 1:

    ``elapsed_seconds``
        From ``start`` to ``stop``.
    ``steal_share``, ``busy_share``, ``iowait_share``
        Of all CPU time (ticks of all cores, idle ones too), as ``top`` shows them. Busy is user,
        nice, system and interrupts, of this benchmark and all others; stolen time is not in it.
    ``steal_of_demand``
        steal / (busy + steal): the share of the CPU time asked for that the hypervisor gave to
        others. On a machine with many idle cores ``steal_share`` hides this.
    ``other_cpu_share``
        (busy seconds - own CPU seconds) / (elapsed x cores); null unless the own ones are given.
    ``cpu_pressure``, ``memory_pressure``, ``io_pressure``
        Share of the elapsed time in which at least one task waited for it (PSI ``some``).
    ``load_1min_start``, ``load_1min_end``
        The load average over one minute.
    ``cpu_mhz_start``, ``cpu_mhz_end``
        Mean frequency over the cores.
    ``governor``
        Of frequency scaling; several are joined by a comma.
    ``temperatures_start``, ``temperatures_end``
        Highest temperature in degrees Celsius of each sensor chip.
    ``disturbed``, ``reasons``, ``not_judged``
        True if a judged value (``steal_of_demand``, ``other_cpu_share``) is above its limit, with
        a line for each that is; null if none of them is known. ``not_judged`` names the unknown.
    """

    def __init__(
        self,
        proc: Path = Path("/proc"),
        sys_root: Path = Path("/sys"),
        clock: Callable[[], float] = time.monotonic,
        ticks_per_second: int | None = None,
        temperatures: Callable[[], dict[str, float] | None] = _temperatures,
    ) -> None:
        self._proc = proc
        self._cpus = sys_root / "devices" / "system" / "cpu"
        self._clock = clock
        self._ticks_per_second = ticks_per_second or os.sysconf("SC_CLK_TCK")
        self._temperatures = temperatures
        self._start: _Counters | None = None
        self._state_at_start: dict[str, Any] = {}

    def start(self) -> None:
        # The counters last, and first in stop: what reading the rest costs is then not counted.
        self._state_at_start = self._state("start")
        self._start = self._counters()

    def stop(self, own_cpu_seconds: float | None) -> dict[str, Any]:
        """Return what happened since ``start``.

        ``own_cpu_seconds`` is the user and system time that all processes of this benchmark used
        meanwhile, null if unknown.

        Raises RuntimeError if it was not started.
        """
        end = self._counters()
        start, self._start = self._start, None
        if start is None:
            raise RuntimeError("NoiseMonitor.stop() without start()")
        elapsed = end.at - start.at
        noise: dict[str, Any] = {
            "elapsed_seconds": elapsed,
            **_tick_shares(start, end),
            "other_cpu_share": self._other_cpu_share(start, end, own_cpu_seconds),
            **_pressure(start, end),
            **self._state_at_start,
            **self._state("end"),
            "governor": self._governor(),
        }
        return {**noise, **_judge(noise)}

    def _other_cpu_share(
        self, start: _Counters, end: _Counters, own_cpu_seconds: float | None
    ) -> float | None:
        ticks = _difference(start, end)
        capacity = (end.at - start.at) * end.cores
        if own_cpu_seconds is None or ticks is None or capacity <= 0 or start.cores != end.cores:
            return None
        busy_seconds = _busy(ticks) / self._ticks_per_second
        share = (busy_seconds - own_cpu_seconds) / capacity
        return max(share, 0.0) if share >= -OTHER_CPU_SHARE_TOLERANCE else None

    def _counters(self) -> _Counters:
        stat = (read_text(self._proc / "stat") or "").splitlines()
        return _Counters(
            at=self._clock(),
            ticks=_ticks(stat),
            cores=sum(line.startswith("cpu") and line[3:4].isdigit() for line in stat),
            stalled_seconds={name: self._stalled_seconds(name) for name in _RESOURCES},
        )

    def _stalled_seconds(self, resource: str) -> float | None:
        """Return the ``some`` total of PSI, which the kernel counts in microseconds."""
        for line in (read_text(self._proc / "pressure" / resource) or "").splitlines():
            kind, *fields = line.split()
            for field in fields:
                if kind == "some" and field.startswith("total="):
                    return int(field.removeprefix("total=")) / 1e6
        return None

    def _state(self, when: str) -> dict[str, Any]:
        """Return what goes up and down, under keys that end with ``when``."""
        load = (read_text(self._proc / "loadavg") or "").split()
        return {
            f"load_1min_{when}": float(load[0]) if load else None,
            f"cpu_mhz_{when}": self._cpu_mhz(),
            f"temperatures_{when}": self._temperatures(),
        }

    def _cpu_mhz(self) -> float | None:
        # scaling_cur_freq is in kHz.
        mhz = [float(text) / 1000 for text in self._scaling("scaling_cur_freq")]
        if not mhz:
            cpuinfo = (read_text(self._proc / "cpuinfo") or "").splitlines()
            lines = [line.partition(":") for line in cpuinfo if line.startswith("cpu MHz")]
            mhz = [float(value) for _, _, value in lines]
        return sum(mhz) / len(mhz) if mhz else None

    def _governor(self) -> str | None:
        return ",".join(sorted(set(self._scaling("scaling_governor")))) or None

    def _scaling(self, name: str) -> list[str]:
        texts = (read_text(path) for path in self._cpus.glob(f"cpu[0-9]*/cpufreq/{name}"))
        return [text.strip() for text in texts if text and not text.startswith("<unknown>")]


def _ticks(stat: Iterable[str]) -> dict[str, int] | None:
    """Return the ticks of all cores together, null if the kernel does not count all of them."""
    for line in stat:
        name, *numbers = line.split() or [""]
        if name == "cpu" and len(numbers) >= len(_TICK_NAMES):
            return dict(zip(_TICK_NAMES, map(int, numbers), strict=False))
    return None


def _difference(start: _Counters, end: _Counters) -> dict[str, int] | None:
    if start.ticks is None or end.ticks is None:
        return None
    return {name: end.ticks[name] - start.ticks[name] for name in _TICK_NAMES}


def _busy(ticks: Mapping[str, int]) -> int:
    return sum(ticks[name] for name in _BUSY_TICKS)


def _tick_shares(start: _Counters, end: _Counters) -> dict[str, float | None]:
    ticks = _difference(start, end)
    if ticks is None:
        names = ("steal_share", "busy_share", "iowait_share", "steal_of_demand")
        return dict.fromkeys(names, None)
    total, busy = sum(ticks.values()), _busy(ticks)
    return {
        "steal_share": _share(ticks["steal"], total),
        "busy_share": _share(busy, total),
        "iowait_share": _share(ticks["iowait"], total),
        "steal_of_demand": _share(ticks["steal"], busy + ticks["steal"]),
    }


def _share(part: int, whole: int) -> float | None:
    """Return part / whole, null if there is no whole or a counter ran backwards.

    Linux documents that iowait may; others do when a core is taken away.
    """
    return part / whole if whole > 0 and part >= 0 else None


def _pressure(start: _Counters, end: _Counters) -> dict[str, float | None]:
    elapsed = end.at - start.at
    shares: dict[str, float | None] = {f"{name}_pressure": None for name in _RESOURCES}
    for name in _RESOURCES:
        before, after = start.stalled_seconds[name], end.stalled_seconds[name]
        if before is not None and after is not None and elapsed > 0:
            shares[f"{name}_pressure"] = (after - before) / elapsed
    return shares


def _judge(noise: Mapping[str, Any]) -> dict[str, Any]:
    steal, other = noise["steal_of_demand"], noise["other_cpu_share"]
    reasons = []
    if steal is not None and steal > STEAL_OF_DEMAND_LIMIT:
        reasons.append(
            f"the hypervisor kept {steal:.1%} of the CPU time asked for"
            f" (limit {STEAL_OF_DEMAND_LIMIT:.0%})"
        )
    if other is not None and other > OTHER_CPU_SHARE_LIMIT:
        reasons.append(
            f"other processes used {other:.1%} of the machine (limit {OTHER_CPU_SHARE_LIMIT:.0%})"
        )
    not_judged = [name for name in _JUDGED if noise[name] is None]
    unknown = not reasons and len(not_judged) == len(_JUDGED)
    return {
        "disturbed": None if unknown else bool(reasons),
        "reasons": reasons,
        "not_judged": not_judged,
    }


def summarise(repeats: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the noise of a run from that of its repeats.

    ``repeats`` is how many there are; ``disturbed_repeats`` and ``unjudged_repeats`` are positions
    in the sequence, the latter of those of which nothing is known (a repeat that crashed, or a
    machine without ``/proc``). ``worst`` holds, under the names that a repeat has, the highest
    value of each (the lowest of ``cpu_mhz_end``), null if no repeat knows it.
    """
    worst: dict[str, float | None] = {}
    for name in _WORST_IS_HIGHEST:
        worst[name] = max(_known(repeats, name), default=None)
    for name in _WORST_IS_LOWEST:
        worst[name] = min(_known(repeats, name), default=None)
    judgements = [repeat.get("disturbed") for repeat in repeats]
    return {
        "repeats": len(repeats),
        "disturbed_repeats": [at for at, judgement in enumerate(judgements) if judgement],
        "unjudged_repeats": [at for at, judgement in enumerate(judgements) if judgement is None],
        "worst": worst,
    }


def _known(repeats: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """Return all values known under that name, of all parts where the value has parts."""
    known: list[float] = []
    for repeat in repeats:
        value = repeat.get(name)
        if isinstance(value, Mapping):
            known.extend(value.values())
        elif value is not None:
            known.append(value)
    return known
