"""What else the machine did while a repeat ran, and whether that disturbed the repeat.

A repeat is judged over the window that its numbers come from, which the worker knows only when it
has ended: so the machine's counters are noted several times a second meanwhile, which costs about a
tenth of a millisecond each. Values come from Linux' ``/proc`` and ``/sys``; one that cannot be read
is null (unknown).
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from beambench.machine.counters import (
    RESOURCES,
    Counters,
    busy_ticks,
    read_counters,
    tick_difference,
)
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

# CPU time is counted in ticks of 10 ms. Over a second, 5 % of a machine of two cores is ten ticks;
# over less, it is hardly more than the error of counting.
SHORTEST_WINDOW_SECONDS = 1.0

# Between two readings, the clocks differ by less than this unless one of them was set.
CLOCK_STEP_SECONDS = 0.1

# Readings that are held: of a run of hours every second one is dropped, again and again.
MAX_READINGS = 4096

# Pressure is not among the judged: threads of one's own that outnumber the cores cause it as well.
_JUDGED = ("steal_of_demand", "other_cpu_share")

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


class _Judged(NamedTuple):
    """The two readings between which a repeat is judged, and why these are not of its window."""

    start: Counters
    end: Counters
    reason: str | None


class NoiseMonitor:
    """Compares the machine's counters at the begin and the end of what was measured.

    ``stop`` returns these keys; shares are between 0 and 1:

    ``judged_over``, ``judged_over_reason``
        ``window``: from the last reading before the window to the first one after it; or
        ``worker``: all from ``start`` to ``stop``, and why. What follows is of that time.
    ``elapsed_seconds``
        How long that was.
    ``steal_share``, ``busy_share``, ``iowait_share``
        Of all CPU time (ticks of the cores, idle ones too), as ``top`` shows them. Busy is user,
        nice, system and interrupts, of this benchmark and all others; stolen time is not in it.
    ``steal_of_demand``
        steal / (busy + steal): the share of the CPU time asked for that the hypervisor gave to
        others. On a machine with many idle cores ``steal_share`` hides this.
    ``other_cpu_share``
        (busy seconds - own CPU seconds) / (elapsed x cores); null unless the own ones are given.
    ``cpu_pressure``, ``memory_pressure``, ``io_pressure``
        Share of the elapsed time in which at least one task waited for it (PSI ``some``).
    ``load_1min_start``, ``load_1min_end``
        The load average over one minute, at ``start`` and ``stop``, as all that follows.
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
        wall: Callable[[], float] = time.time,
        ticks_per_second: int | None = None,
        temperatures: Callable[[], dict[str, float] | None] = _temperatures,
        cores: Collection[int] | None = None,
    ) -> None:
        """Look at some cores, or None: at all of them."""
        self._proc = proc
        self._cpus = sys_root / "devices" / "system" / "cpu"
        self._clock = clock
        self._wall = wall
        self._ticks_per_second = ticks_per_second or os.sysconf("SC_CLK_TCK")
        self._temperatures = temperatures
        self._watched = cores
        self._readings: list[Counters] = []
        self._spacing = 0.0
        self._state_at_start: dict[str, Any] = {}

    def start(self) -> None:
        # The counters last, and first in stop: what reading the rest costs is then not counted.
        self._state_at_start = self._state("start")
        self._spacing, self._readings = 0.0, [self._counters(own_cpu_seconds=0.0)]

    def read(self, own_cpu_seconds: float | None) -> None:
        """Note the counters now, and the CPU time of this benchmark's processes since ``start``.

        Raises RuntimeError if it was not started.
        """
        if not self._readings:
            raise RuntimeError("NoiseMonitor.read() without start()")
        if self._clock() < self._readings[-1].at + self._spacing:
            return
        self._readings.append(self._counters(own_cpu_seconds))
        if len(self._readings) >= MAX_READINGS:
            whole = self._readings[-1].at - self._readings[0].at
            self._readings = self._readings[::2]
            self._spacing = whole / len(self._readings)

    def stop(
        self, own_cpu_seconds: float | None, window: tuple[float, float] | None = None
    ) -> dict[str, Any]:
        """Return what happened in a window, or since ``start`` if it is unknown.

        Args:
            own_cpu_seconds: user and system time that all processes of this benchmark have used
                since ``start``, None if unknown.
            window: begin and end of what was measured, in seconds since 1970, None if unknown.

        Raises RuntimeError if it was not started.
        """
        end = self._counters(own_cpu_seconds)
        readings, self._readings = self._readings, []
        if not readings:
            raise RuntimeError("NoiseMonitor.stop() without start()")
        judged = _judged_over([*readings, end], window)
        noise: dict[str, Any] = {
            "judged_over": "window" if judged.reason is None else "worker",
            "judged_over_reason": judged.reason,
            "elapsed_seconds": judged.end.at - judged.start.at,
            **_tick_shares(judged.start, judged.end),
            "other_cpu_share": self._other_cpu_share(judged.start, judged.end),
            **_pressure(judged.start, judged.end),
            **self._state_at_start,
            **self._state("end"),
            "governor": self._governor(),
        }
        return {**noise, **_judge(noise)}

    def _other_cpu_share(self, start: Counters, end: Counters) -> float | None:
        ticks = tick_difference(start, end)
        capacity = (end.at - start.at) * end.cores
        if ticks is None or capacity <= 0 or start.cores != end.cores:
            return None
        if start.own_cpu_seconds is None or end.own_cpu_seconds is None:
            return None
        busy_seconds = busy_ticks(ticks) / self._ticks_per_second
        share = (busy_seconds - (end.own_cpu_seconds - start.own_cpu_seconds)) / capacity
        return max(share, 0.0) if share >= -OTHER_CPU_SHARE_TOLERANCE else None

    def _counters(self, own_cpu_seconds: float | None) -> Counters:
        return read_counters(
            self._proc, self._clock(), self._wall(), own_cpu_seconds, self._watched
        )

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


def _judged_over(readings: Sequence[Counters], window: tuple[float, float] | None) -> _Judged:
    """Return the readings around a window, or the first and the last and why not."""
    whole = readings[0], readings[-1]
    if window is None:
        return _Judged(*whole, "the measured window is unknown")
    steps = (_step(*pair) for pair in itertools.pairwise(readings))
    if any(abs(step) > CLOCK_STEP_SECONDS for step in steps):
        return _Judged(*whole, "the clock was set while the worker ran")
    before = [reading for reading in readings if reading.wall <= window[0]]
    after = [reading for reading in readings if reading.wall >= window[1]]
    if not before or not after or window[0] > window[1]:
        return _Judged(*whole, "the measured window is not within the time of the worker")
    start, end = before[-1], after[0]
    if end.at - start.at < SHORTEST_WINDOW_SECONDS:
        seconds = window[1] - window[0]
        return _Judged(*whole, f"a window of {seconds:.2g} s is too short for ticks of 10 ms")
    return _Judged(start, end, None)


def _step(earlier: Counters, later: Counters) -> float:
    """Return by how many seconds the wall clock went further than the monotonic one."""
    return (later.wall - earlier.wall) - (later.at - earlier.at)


def _tick_shares(start: Counters, end: Counters) -> dict[str, float | None]:
    ticks = tick_difference(start, end)
    if ticks is None:
        names = ("steal_share", "busy_share", "iowait_share", "steal_of_demand")
        return dict.fromkeys(names, None)
    total, busy = sum(ticks.values()), busy_ticks(ticks)
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


def _pressure(start: Counters, end: Counters) -> dict[str, float | None]:
    elapsed = end.at - start.at
    shares: dict[str, float | None] = {f"{name}_pressure": None for name in RESOURCES}
    for name in RESOURCES:
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
