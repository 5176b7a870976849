from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from beambench.machine.noise import (
    OTHER_CPU_SHARE_LIMIT,
    STEAL_OF_DEMAND_LIMIT,
    NoiseMonitor,
    summarise,
)

STAT_START = """\
cpu  1000 100 500 8000 200 50 50 100 70 7
cpu0 500 50 250 4000 100 25 25 50 35 3
cpu1 500 50 250 4000 100 25 25 50 35 4
intr 1 2 3
"""
# In ticks: user +500, nice +10, system +80, idle +1300, iowait +60, irq +4, softirq +6, steal +40.
STAT_END = """\
cpu  1500 110 580 9300 260 54 56 140 170 7
cpu0 750 55 290 4650 130 27 28 70 85 3
cpu1 750 55 290 4650 130 27 28 70 85 4
intr 1 2 3
"""


class Machine:
    """A fake /proc and /sys, a clock that is set, and the monitor that looks at them."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.sys = folder / "sys"
        self.now = 100.0
        self.epoch = 1_000_000.0  # of the wall clock, less that of the other
        self.degrees: dict[str, float] | None = None
        self.monitor = NoiseMonitor(
            self.proc,
            self.sys,
            clock=lambda: self.now,
            wall=lambda: self.epoch + self.now,
            ticks_per_second=100,
            temperatures=lambda: self.degrees,
        )

    def write(self, path: str, text: str) -> None:
        file = self.proc.parent / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def between(
        self, start: str, end: str, seconds: float = 10.0, own: float | None = None
    ) -> dict[str, Any]:
        self.write("proc/stat", start)
        self.monitor.start()
        self.now += seconds
        self.write("proc/stat", end)
        return self.monitor.stop(own)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def stat(user: int = 0, idle: int = 0, iowait: int = 0, steal: int = 0) -> str:
    return f"cpu {user} 0 0 {idle} {iowait} 0 0 {steal} 0 0\ncpu0 0\ncpu1 0\n"


def test_shares_are_of_all_ticks_and_guest_time_counts_once(machine: Machine) -> None:
    noise = machine.between(STAT_START, STAT_END)
    assert noise["elapsed_seconds"] == 10.0
    assert noise["steal_share"] == 40 / 2000
    assert noise["iowait_share"] == 60 / 2000
    assert noise["busy_share"] == 600 / 2000
    assert noise["steal_of_demand"] == 40 / 640


def test_other_cpu_share_is_what_the_machine_was_busy_beyond_our_own(machine: Machine) -> None:
    # 6 busy seconds of 10 s x 2 cores, 4.5 of them ours.
    noise = machine.between(STAT_START, STAT_END, own=4.5)
    assert noise["other_cpu_share"] == pytest.approx(1.5 / 20)


def test_work_kept_to_some_cores_is_judged_by_these_alone(machine: Machine) -> None:
    monitor = NoiseMonitor(
        machine.proc, machine.sys, clock=lambda: machine.now, ticks_per_second=100, cores={1}
    )
    machine.monitor = monitor
    idle = "cpu  9 0 0 9 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\n"
    noise = machine.between(
        idle + "cpu1 100 0 0 800 0 0 0 0 0 0\n",
        idle.replace("cpu0 0", "cpu0 900") + "cpu1 900 0 0 960 0 0 0 40 0 0\n",
        own=7.5,
    )
    assert noise["busy_share"] == 800 / 1000
    assert noise["steal_of_demand"] == 40 / 840
    assert noise["other_cpu_share"] == pytest.approx(0.5 / 10)
    assert machine.between(idle, idle, own=0.0)["not_judged"] == [
        "steal_of_demand",
        "other_cpu_share",
    ]


def test_other_cpu_share_is_unknown_without_our_own(machine: Machine) -> None:
    noise = machine.between(STAT_START, STAT_END, own=None)
    assert noise["other_cpu_share"] is None
    assert "other_cpu_share" in noise["not_judged"]


@pytest.mark.parametrize(
    ("own", "share"),
    [(6.5, 0.0), (12.0, None)],
    ids=["within the error of tick counting", "of another interval"],
)
def test_more_own_time_than_the_machine_was_busy(
    machine: Machine, own: float, share: float | None
) -> None:
    assert machine.between(STAT_START, STAT_END, own=own)["other_cpu_share"] == share


def test_other_cpu_share_is_unknown_if_a_core_went_away(machine: Machine) -> None:
    end = "\n".join(line for line in STAT_END.splitlines() if not line.startswith("cpu1"))
    assert machine.between(STAT_START, end, own=4.5)["other_cpu_share"] is None


def test_a_quiet_machine_is_not_disturbed(machine: Machine) -> None:
    noise = machine.between(stat(), stat(user=1000, idle=1000), own=9.9)
    assert noise["disturbed"] is False
    assert noise["reasons"] == []
    assert noise["not_judged"] == []


def test_steal_disturbs_even_if_most_cores_are_idle(machine: Machine) -> None:
    # One in 40 of what was asked for, though only one in 400 of all CPU time.
    noise = machine.between(stat(), stat(user=195, idle=1800, steal=5), own=1.95)
    assert noise["steal_share"] == 0.0025 < STEAL_OF_DEMAND_LIMIT < noise["steal_of_demand"]
    assert noise["disturbed"] is True
    assert noise["reasons"] == ["the hypervisor kept 2.5% of the CPU time asked for (limit 2%)"]


def test_other_processes_disturb(machine: Machine) -> None:
    noise = machine.between(stat(), stat(user=1000, idle=1000), own=8.8)
    assert noise["other_cpu_share"] == pytest.approx(0.06)
    assert noise["disturbed"] is True
    assert noise["reasons"] == ["other processes used 6.0% of the machine (limit 5%)"]


def test_a_value_at_its_limit_does_not_disturb(machine: Machine) -> None:
    stolen = machine.between(stat(), stat(user=98, idle=1900, steal=2), own=0.98)
    assert stolen["steal_of_demand"] == STEAL_OF_DEMAND_LIMIT
    assert stolen["disturbed"] is False
    shared = machine.between(stat(), stat(user=100, idle=1900), own=0.0)
    assert shared["other_cpu_share"] == OTHER_CPU_SHARE_LIMIT
    assert shared["disturbed"] is False


def test_cpu_pressure_alone_does_not_disturb(machine: Machine) -> None:
    machine.write("proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
    machine.write("proc/stat", stat())
    machine.monitor.start()
    machine.now += 10
    machine.write("proc/pressure/cpu", "some avg10=90.00 avg60=0.00 avg300=0.00 total=9000000\n")
    machine.write("proc/stat", stat(user=1000, idle=1000))
    noise = machine.monitor.stop(10.0)
    assert noise["cpu_pressure"] == pytest.approx(0.9)
    assert noise["disturbed"] is False


def test_pressure_takes_the_some_total_of_each_resource(machine: Machine) -> None:
    for name, total in {"memory": 1_000_000, "io": 5_000_000}.items():
        text = f"full avg10=7.00 total=3\nsome avg10=7.00 avg60=7.00 avg300=7.00 total={total}\n"
        machine.write(f"proc/pressure/{name}", text)
    machine.monitor.start()
    machine.now += 4
    machine.write("proc/pressure/memory", "full total=900000000\nsome avg10=0.00 total=2000000\n")
    noise = machine.monitor.stop(None)
    assert noise["memory_pressure"] == 0.25
    assert noise["io_pressure"] == 0.0
    assert noise["cpu_pressure"] is None


@pytest.mark.parametrize(
    ("end", "unknown"),
    [
        (stat(user=1000, idle=2000, iowait=290), "iowait_share"),
        (stat(user=1000, idle=2000, iowait=300, steal=-1), "steal_share"),
        (stat(user=1000, idle=2000, iowait=300, steal=-1), "steal_of_demand"),
    ],
)
def test_a_counter_that_ran_backwards_is_unknown(machine: Machine, end: str, unknown: str) -> None:
    noise = machine.between(stat(iowait=300), end)
    assert noise[unknown] is None
    assert noise["busy_share"] == pytest.approx(1000 / 3000, rel=0.01)


def test_no_time_passed_is_unknown(machine: Machine) -> None:
    noise = machine.between(STAT_START, STAT_START, seconds=0.0, own=0.0)
    shares = ("steal_share", "busy_share", "iowait_share", "steal_of_demand", "other_cpu_share")
    assert [noise[name] for name in shares] == [None] * 5
    assert noise["disturbed"] is None


def test_load_frequency_governor_and_temperatures(machine: Machine) -> None:
    frequency = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq"
    machine.write("proc/loadavg", "1.50 2.00 3.00 2/87 5382\n")
    machine.write("proc/cpuinfo", "cpu MHz\t\t: 1.0\n")
    machine.write(frequency.format(0), "2400000\n")
    machine.write(frequency.format(11), "3000000\n")
    machine.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n")
    machine.write("sys/devices/system/cpu/cpu11/cpufreq/scaling_governor", "performance\n")
    machine.degrees = {"coretemp": 41.0}
    machine.monitor.start()
    machine.write("proc/loadavg", "4.25 2.00 3.00 2/87 5382\n")
    machine.write(frequency.format(0), "1800000\n")
    machine.degrees = {"coretemp": 88.5}
    noise = machine.monitor.stop(None)
    assert (noise["load_1min_start"], noise["load_1min_end"]) == (1.5, 4.25)
    assert (noise["cpu_mhz_start"], noise["cpu_mhz_end"]) == (2700.0, 2400.0)
    assert noise["governor"] == "performance,powersave"
    assert noise["temperatures_start"] == {"coretemp": 41.0}
    assert noise["temperatures_end"] == {"coretemp": 88.5}


def test_frequency_falls_back_to_cpuinfo(machine: Machine) -> None:
    cpuinfo = "processor\t: 0\ncpu MHz\t\t: 2000.5\n\nprocessor\t: 1\ncpu MHz\t\t: 2001.5\n"
    machine.write("proc/cpuinfo", cpuinfo)
    machine.monitor.start()
    noise = machine.monitor.stop(None)
    assert noise["cpu_mhz_start"] == 2001.0
    assert noise["governor"] is None


def test_without_proc_everything_is_unknown_and_nothing_is_zero(machine: Machine) -> None:
    machine.monitor.start()
    machine.now += 5
    noise = machine.monitor.stop(own_cpu_seconds=3.0)
    known = {name for name, value in noise.items() if value is not None}
    judged = {"judged_over", "judged_over_reason", "reasons", "not_judged"}
    assert known == {"elapsed_seconds", *judged}
    assert noise["elapsed_seconds"] == 5.0
    assert noise["not_judged"] == ["steal_of_demand", "other_cpu_share"]


def test_a_kernel_that_does_not_count_steal_is_unknown(machine: Machine) -> None:
    noise = machine.between("cpu 1 2 3 4\ncpu0 1\n", "cpu 2 3 4 5\ncpu0 1\n", own=0.0)
    assert noise["steal_share"] is None
    assert noise["disturbed"] is None


def test_stop_needs_a_start_each_time(machine: Machine) -> None:
    with pytest.raises(RuntimeError, match="without start"):
        machine.monitor.stop(None)
    machine.between(STAT_START, STAT_END)
    with pytest.raises(RuntimeError, match="without start"):
        machine.monitor.stop(None)


def test_a_monitor_starts_afresh(machine: Machine) -> None:
    machine.between(stat(), stat(user=100, steal=900))
    noise = machine.between(stat(user=100, steal=900), stat(user=200, idle=100, steal=900))
    assert noise["steal_share"] == 0.0
    assert noise["busy_share"] == 0.5


# The window that is judged


def read_at(machine: Machine, now: float, own: float | None, **ticks: int) -> None:
    machine.now = now
    machine.write("proc/stat", stat(**ticks))
    machine.monitor.read(own)


def disturbed_start(machine: Machine) -> None:
    """20 s of start-up in which others used 10 s of CPU time, then 10 s in which nobody did.

    On two cores; the worker has kept one of them busy all the time, and idled 2 s at its end.
    """
    machine.write("proc/stat", stat())
    machine.monitor.start()
    read_at(machine, 119.0, 19.0, user=2850, idle=950)
    read_at(machine, 120.0, 20.0, user=3000, idle=1000)
    read_at(machine, 125.0, 25.0, user=3500, idle=1500)
    read_at(machine, 130.0, 30.0, user=4000, idle=2000)
    machine.now = 132.0
    machine.write("proc/stat", stat(user=4000, idle=2400))


def test_what_disturbs_the_start_alone_does_not_disturb_the_window(machine: Machine) -> None:
    disturbed_start(machine)
    noise = machine.monitor.stop(30.0, window=(machine.epoch + 120.5, machine.epoch + 129.5))
    assert (noise["judged_over"], noise["judged_over_reason"]) == ("window", None)
    assert noise["elapsed_seconds"] == 10.0
    assert noise["busy_share"] == 1000 / 2000
    assert noise["other_cpu_share"] == 0.0
    assert noise["disturbed"] is False


def test_without_a_window_the_whole_worker_is_judged_and_the_reason_said(machine: Machine) -> None:
    disturbed_start(machine)
    noise = machine.monitor.stop(30.0)
    assert noise["judged_over"] == "worker"
    assert noise["judged_over_reason"] == "the measured window is unknown"
    assert noise["elapsed_seconds"] == 32.0
    assert noise["other_cpu_share"] == pytest.approx(10 / 64)
    assert noise["disturbed"] is True


def test_what_disturbs_the_window_is_not_diluted_by_a_quiet_start(machine: Machine) -> None:
    # 97 s of quiet; then 0.24 s of others in 2 s of two cores: 6 % of the window, 0.12 % of all.
    machine.write("proc/stat", stat())
    machine.monitor.start()
    read_at(machine, 197.0, 97.0, user=9700, idle=9700)
    read_at(machine, 199.0, 99.0, user=9924, idle=9876)
    machine.now = 200.0
    window = (machine.epoch + 197.0, machine.epoch + 199.0)
    noise = machine.monitor.stop(99.0, window)
    assert noise["other_cpu_share"] == pytest.approx(0.06)
    assert noise["disturbed"] is True


@pytest.mark.parametrize(
    ("window", "step", "reason"),
    [
        ((120.5, 120.9), 0.0, None),
        ((119.1, 119.2), 0.0, None),
        ((125.0, 125.0), 0.0, "a window of 0 s is too short for ticks of 10 ms"),
        ((90.0, 125.0), 0.0, "the measured window is not within the time of the worker"),
        ((120.0, 140.0), 0.0, "the measured window is not within the time of the worker"),
        ((129.0, 120.0), 0.0, "the measured window is not within the time of the worker"),
        ((120.0, 131.0), -0.5, "the clock was set while the worker ran"),
        ((120.0, 131.0), 0.5, "the clock was set while the worker ran"),
        ((120.0, 131.0), 0.05, None),
    ],
)
def test_a_window_that_cannot_be_judged_is_not(
    machine: Machine, window: tuple[float, float], step: float, reason: str | None
) -> None:
    disturbed_start(machine)
    begin, end = (machine.epoch + moment for moment in window)
    machine.epoch += step
    noise = machine.monitor.stop(30.0, (begin, end))
    assert noise["judged_over_reason"] == reason
    assert noise["judged_over"] == ("window" if reason is None else "worker")


def test_own_time_that_was_unknown_at_the_begin_of_the_window(machine: Machine) -> None:
    machine.write("proc/stat", stat())
    machine.monitor.start()
    read_at(machine, 110.0, None, user=100, idle=1900)
    machine.now = 120.0
    machine.write("proc/stat", stat(user=1000, idle=3000))
    noise = machine.monitor.stop(9.0, window=(machine.epoch + 110.0, machine.epoch + 119.0))
    assert noise["judged_over"] == "window"
    assert noise["other_cpu_share"] is None
    assert noise["not_judged"] == ["other_cpu_share"]


def test_a_run_of_hours_holds_few_readings_near_any_window(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("beambench.machine.noise.MAX_READINGS", 64)
    machine.write("proc/stat", stat())
    machine.monitor.start()
    for index in range(1, 10_001):  # 2,000 s at five a second; 64 of them are 31 s apart
        read_at(machine, 100.0 + index / 5, index / 5, user=index * 20, idle=index * 20)
    begin = machine.epoch + 1000.0
    noise = machine.monitor.stop(2000.0, window=(begin, begin + 500.0))
    assert noise["judged_over"] == "window"
    assert 500 <= noise["elapsed_seconds"] <= 500 + 4 * 2000 / 64
    assert noise["disturbed"] is False


def test_reading_needs_a_start(machine: Machine) -> None:
    with pytest.raises(RuntimeError, match="without start"):
        machine.monitor.read(None)


def test_this_machine() -> None:
    if not Path("/proc/stat").exists():
        pytest.skip("not Linux")
    monitor = NoiseMonitor()
    monitor.start()
    noise = monitor.stop(own_cpu_seconds=0.0)
    json.dumps(noise, allow_nan=False)
    assert 0 < noise["elapsed_seconds"] < 60
    assert noise["load_1min_end"] >= 0
    for name in ("steal_share", "busy_share", "other_cpu_share"):
        assert noise[name] is None or 0 <= noise[name] < math.inf


def test_summary_of_a_run(machine: Machine) -> None:
    quiet = machine.between(stat(), stat(user=1000, idle=1000), own=9.9)
    busy = machine.between(stat(), stat(user=1000, idle=1000), own=2.0)
    stolen = machine.between(stat(), stat(user=900, idle=1000, steal=100), own=9.0)
    run = summarise([quiet, busy, {}, stolen])
    assert run["repeats"] == 4
    assert run["disturbed_repeats"] == [1, 3]
    assert run["unjudged_repeats"] == [2]
    assert run["worst"]["other_cpu_share"] == pytest.approx(0.4)
    assert run["worst"]["steal_of_demand"] == pytest.approx(0.1)
    assert run["worst"]["steal_share"] == pytest.approx(0.05)
    assert run["worst"]["cpu_mhz_end"] is None


def test_worst_is_the_lowest_frequency_and_the_hottest_sensor() -> None:
    run = summarise(
        [
            {"cpu_mhz_end": 3000.0, "temperatures_end": {"coretemp": 60.0, "nvme": 71.0}},
            {"cpu_mhz_end": 1800.0, "temperatures_end": None},
            {"cpu_mhz_end": None, "temperatures_end": {"coretemp": 65.0}},
        ]
    )
    assert run["worst"]["cpu_mhz_end"] == 1800.0
    assert run["worst"]["temperatures_end"] == 71.0


def test_summary_of_no_repeats_knows_nothing() -> None:
    run = summarise([])
    assert run["repeats"] == 0
    assert run["disturbed_repeats"] == run["unjudged_repeats"] == []
    assert set(run["worst"].values()) == {None}
