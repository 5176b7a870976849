"""The alarm policy on simulated histories, and on real ones.

    .venv/bin/python benchmarks/alarms.py [--repetitions 500] [--seed 1] [--real series.json]

Histories have 60 runs and, where they have one, a step at index 45; they are watched run by run,
and alarms count from the 20th on. A step is seen if the first alarm at or after it has an index
within 5 of it. `--real` takes a JSON list of `{"name", "build", "values", "first_bad_index"}`, as
the SAP data set of performance regressions has it; each build's median is a value.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from itertools import groupby
from pathlib import Path

import numpy as np

from beambench.analysis.change_points.evaluation import (
    FIRST_LOOK,
    alarms_of,
    detection,
    false_alarms,
)
from beambench.analysis.change_points.monitor import AlarmMonitor
from beambench.analysis.change_points.segmentation import detect_changes

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.histories import STEP, Source


def clean(source: Source) -> None:
    print("\nfalse alarms: histories without a step that raise one")
    for cv in (0.02, 0.05, 0.1, 0.2):
        print(f"  CV {cv:.0%}: {false_alarms(np.exp(source.noise(cv))).share:.1%}")
    machines, names = source.machines(0.05)
    for label, rate in {
        "spikes": false_alarms(np.exp(source.spikes(0.05))),
        "correlation .5": false_alarms(np.exp(source.correlated(0.05))),
        "machines, named": false_alarms(np.exp(machines), groups=names.tolist()),
        "machines, not named": false_alarms(np.exp(machines)),
    }.items():
        print(f"  CV 5%, {label}: {rate.share:.1%}")
    alarms = [alarm for row in np.exp(source.drift(0.05)) for alarm in alarms_of(row)]
    drifts = sum(alarm.kind == "drift" for alarm in alarms)
    print(f"  drift of .2 % a run: {len(alarms)} alarms, of which {drifts} are called a drift")


def steps(source: Source) -> None:
    print("\nsteps: share seen, mean runs until then, median distance, called a drift")
    for cv, sizes in {0.02: (0.03, 0.05), 0.05: (0.05, 0.1, 0.2)}.items():
        for size in (*sizes, *(-size for size in sizes)):
            seen = detection(np.exp(source.step(cv, size)), STEP)
            print(
                f"  CV {cv:.0%} {size:+.0%}: {seen.share:.1%}, {seen.runs:.2f}, "
                f"{seen.distance:g}, {seen.drifts / max(seen.seen, 1):.1%}"
            )
    histories = source.step(0.05, 0.2)
    histories[:, 20:] += np.log(0.7)
    print(f"  -30% at 20, +20% at 45: {detection(np.exp(histories), STEP).share:.1%}")
    histories = source.step(0.05, 0.3, at=49)
    histories[:, -2:] += np.log(3)
    changes = [detect_changes(row) for row in np.exp(histories)]
    near = [any(abs(change.index - 49) <= 3 for change in row) for row in changes]
    print(f"  in hindsight: +30% at 49, the last two x 3: {np.mean(near):.1%} within 3")
    none = [bool(detect_changes(row)) for row in np.exp(source.noise(0.05))]
    print(f"  in hindsight: false alarms at CV 5%: {np.mean(none):.1%}")


def real(path: Path) -> None:
    print(f"\n{path.name}: medians of builds, alarms (index, ratio, seen at)")
    alarms = looks = 0
    for series in json.loads(path.read_text()):
        pairs = enumerate(series["build"])
        builds = [[at for at, _ in group] for _, group in groupby(pairs, key=lambda pair: pair[1])]
        values = [statistics.median(series["values"][at] for at in build) for build in builds]
        raised = [alarm for alarm in alarms_of(values) if alarm.observed_at >= FIRST_LOOK - 1]
        bad = series["first_bad_index"]
        start = next(
            (n for n, build in enumerate(builds) if bad is not None and bad in build), None
        )
        if start is None:
            alarms, looks = alarms + len(raised), looks + max(0, len(values) - FIRST_LOOK + 1)
        shown = [(alarm.index, round(alarm.ratio, 3), alarm.observed_at) for alarm in raised]
        print(f"  {series['name']} ({len(values)} builds, first bad: {start}): {shown}")
    print(f"  without regression: {100 * alarms / looks:.2f} alarms per 100 looks ({looks} looks)")


def speed() -> None:
    values = np.exp(Source(1, 1, 10_000).noise(0.05))[0].tolist()
    monitor, times = AlarmMonitor(), list[float]()
    for value in values[:500]:
        begun = time.perf_counter()
        monitor.observe(value)
        times.append(time.perf_counter() - begun)
    print(f"\nobserve, 100 values in view: median {1e3 * statistics.median(times[100:]):.2f} ms")
    for n in (100, 10_000):
        times.clear()
        for _ in range(10):
            begun = time.perf_counter()
            detect_changes(values[:n])
            times.append(time.perf_counter() - begun)
        print(f"detect_changes, {n} values: median of 10 {1e3 * statistics.median(times):.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", type=Path)
    options = parser.parse_args()
    print(f"{options.repetitions} histories a cell, seed {options.seed}")
    speed()
    source = Source(options.seed, options.repetitions)
    clean(source)
    steps(source)
    if options.real:
        real(options.real)


if __name__ == "__main__":
    main()
