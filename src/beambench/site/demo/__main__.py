"""Writes the demonstration's store: ``python -m beambench.site.demo DATABASE``.

The same seed and the same last night give the same runs.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np

from beambench.definition.library import Library, Resolved
from beambench.experiments.comparison.document import Circumstances, ComparedRun, make_comparison
from beambench.experiments.comparison.effects import RepeatPair
from beambench.record.comparison import Comparison, SideName
from beambench.record.run_record import RunRecord
from beambench.site.demo.records import Night, made_up_run
from beambench.site.demo.subjects import CANDIDATES, DAYS, SUBJECTS, Candidate, Subject
from beambench.store import RunStore, sqlite_url
from beambench.watch.baselines import make_baseline

SEED = 1
PAIRS = 12
FIRST_HOUR = 2
COMPARED_DAY = DAYS - 4
BASELINE_DAYS = range(DAYS - 60, DAYS - 50)
WARNING = "made up to show the site: nothing was measured"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m beambench.site.demo", description=__doc__)
    parser.add_argument("database", type=Path, help="SQLite file, which is written anew")
    parser.add_argument("--until", type=date.fromisoformat, help="last night; default: today")
    parser.add_argument("--days", type=int, default=DAYS, help="nights up to the last one")
    given = parser.parse_args()
    until = given.until or datetime.now(timezone.utc).date()
    given.database.parent.mkdir(parents=True, exist_ok=True)
    for end in ("", "-wal", "-shm"):
        given.database.with_name(f"{given.database.name}{end}").unlink(missing_ok=True)
    with RunStore.open(sqlite_url(given.database)) as store:
        fill(store, until, given.days)


def fill(store: RunStore, until: date, days: int = DAYS) -> None:
    """Write runs of the last days of a year that ends with a night, comparisons, and baselines."""
    library = Library()
    chance = np.random.default_rng(SEED)
    for order, subject in enumerate(SUBJECTS):
        nights = [
            _night(subject, order, day, until)
            for day in range(subject.first, subject.last + 1, subject.every)
            if day >= DAYS - days
        ]
        resolved = _resolved(library, subject)
        runs = [made_up_run(subject, resolved, night, chance) for night in nights]
        store.add_missing(runs)
        of_baseline = [
            run
            for night, run in zip(nights, runs, strict=True)
            if night.day in BASELINE_DAYS and run.status == "succeeded"
        ]
        if len(of_baseline) >= BASELINE_DAYS.stop - BASELINE_DAYS.start:
            name = f"{subject.benchmark}-{subject.variant}"
            store.baselines.add(make_baseline(name, of_baseline, of_baseline[-1].finished_at))
    for comparison, runs in _comparisons(library, chance, until):
        store.add_missing(runs)
        store.comparisons.add(comparison)


def _resolved(library: Library, subject: Subject) -> Resolved:
    return library.resolve(
        subject.benchmark,
        variant=subject.variant,
        profile=subject.profile,
        overrides=subject.overrides,
    )


def _night(subject: Subject, order: int, day: int, until: date) -> Night:
    start = datetime.combine(until, datetime.min.time(), timezone.utc)
    start += timedelta(days=day - DAYS + 1, hours=FIRST_HOUR, minutes=10 * order)
    is_b = subject.machine_b_from is not None and day >= subject.machine_b_from
    return Night(day, start, "b" if is_b else "a")


def _comparisons(
    library: Library, chance: np.random.Generator, until: date
) -> Iterator[tuple[Comparison, list[RunRecord]]]:
    """Yield comparisons of candidates with one base, measured in turns, and of two stored runs."""
    subject = replace(SUBJECTS[0], night_noise=0.0, repeats=PAIRS)
    night = _night(subject, 50, COMPARED_DAY, until)
    base = made_up_run(subject, _resolved(library, subject), night, chance)
    for number, candidate in enumerate(CANDIDATES, 1):
        later = replace(night, start=night.start + timedelta(minutes=10 * number))
        varied = replace(subject, variant=candidate.variant)
        resolved = _resolved(library, varied)
        other = made_up_run(varied, resolved, later, chance, candidate.factors)
        yield _compared(base, other, candidate), [base, other]
    digits = next(each for each in SUBJECTS if each.benchmark == "onnx-digits")
    definition = _resolved(library, digits)
    before, after = (
        made_up_run(digits, definition, _night(digits, 40, day, until), chance)
        for day in (DAYS - 23, DAYS - 13)
    )
    stored = Circumstances(schedule="stored", created_at=after.finished_at, warnings=[WARNING])
    comparison = make_comparison(ComparedRun(before), ComparedRun(after), stored)
    yield _named(comparison), [before, after]


def _compared(base: RunRecord, other: RunRecord, candidate: Candidate) -> Comparison:
    orders: tuple[tuple[SideName, SideName], ...] = (("base", "candidate"), ("candidate", "base"))
    pairs = [
        RepeatPair(at, orders[(at + at // 2) % 2], ours, theirs)
        for at, (ours, theirs) in enumerate(zip(base.repeats, other.repeats, strict=True))
    ]
    return _named(
        make_comparison(
            ComparedRun(base),
            ComparedRun(other, candidate.settings),
            Circumstances(
                schedule="interleaved",
                created_at=other.finished_at,
                pairs=pairs,
                accepts_disturbed=True,
                warnings=[WARNING],
            ),
        )
    )


def _named(comparison: Comparison) -> Comparison:
    """Return it under an id that the same runs always give."""
    sides = " ".join(side.run_id for side in comparison.sides)
    name = f"{comparison.comparison_id[:-8]}{hashlib.sha256(sides.encode()).hexdigest()[:8]}"
    return comparison.model_copy(update={"comparison_id": name})


if __name__ == "__main__":
    main()
