"""Comparisons of many benchmarks: those that both sides have, the clearest change first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from beambench.errors import UsageError
from beambench.experiments.comparison.effects import Limits
from beambench.experiments.comparison.likeness import is_refused
from beambench.experiments.comparison.sentence import headline
from beambench.experiments.comparison.stored import compare_stored
from beambench.record.comparison import Comparison, Verdict
from beambench.record.run_record import RunRecord
from beambench.store.run_store import RunStore

VERDICTS: tuple[Verdict, ...] = ("slower", "faster", "same", "inconclusive")


@dataclass(frozen=True)
class ComparedBenchmarks:
    """Comparisons of several benchmarks.

    Attributes:
        comparisons: the clearest change first: see `clearness`.
        left_out: why others were not compared, by their names.
    """

    comparisons: Sequence[Comparison]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def sentence(self) -> str:
        """Return `12 comparisons: 1 slower, 11 same within 3 %; 2 benchmarks left out`."""
        counts = Counter(comparison.verdict for comparison in self.comparisons)
        margins = {comparison.margin for comparison in self.comparisons}
        band = f" within {100 * margins.pop():g} %" if len(margins) == 1 else ""
        parts = [
            f"{counts[verdict]} {verdict}{band if verdict == 'same' else ''}"
            for verdict in VERDICTS
            if counts[verdict]
        ]
        total = len(self.comparisons)
        text = f"{total} comparison{'' if total == 1 else 's'}"
        text += f": {', '.join(parts)}" if parts else ""
        count = len(self.left_out)
        return f"{text}; {count} benchmark{'' if count == 1 else 's'} left out" if count else text


def clearness(comparison: Comparison) -> float:
    """Return effect ÷ noise of the first metric: |log ratio| ÷ deviation of such a logarithm.

    A change of 2 % where two runs differ by 0.5 % is clearer than one of 5 % where they differ by
    10 %. It is 0 where the noise is not known.
    """
    first = headline(comparison.metrics)
    if first is None or first[1].noise is None:
        return 0.0
    effect = abs(math.log(first[1].ratio))
    return effect / first[1].noise if first[1].noise > 0 else (math.inf if effect else 0.0)


def clearest_first(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Return comparisons by `clearness`, those of the same in the order of their names."""
    return sorted(comparisons, key=lambda each: (-clearness(each), each.benchmark))


def compare_labelled(
    store: RunStore,
    base: Mapping[str, str],
    candidate: Mapping[str, str],
    limits: Limits,
    *,
    allow_different: bool,
) -> ComparedBenchmarks:
    """Compare the newest run of each benchmark, variant and profile that has the labels of a side.

    Args:
        store: of the runs; the comparisons are stored there.
        base: labels, all of which a run of the base has.
        candidate: likewise of the candidate.
        limits: by what verdicts are given.
        allow_different: compare runs that are not alike.

    Raises:
        UsageError: no benchmark has a run of either side.
        StoreError: the store cannot be read or written.
    """
    comparisons, left_out = list[Comparison](), dict[str, str]()
    for benchmark in store.benchmarks():
        sides = [_newest(store.history(benchmark), labels) for labels in (base, candidate)]
        for kind in sorted({**sides[0], **sides[1]}):
            ours, theirs = (side.get(kind) for side in sides)
            name = f"{benchmark} ({', '.join(kind)})"
            if ours is None or theirs is None:
                left_out[name] = f"no run with {_text(base if ours is None else candidate)}"
                continue
            try:
                comparison = compare_stored(
                    store, ours, theirs, limits, allow_different=allow_different
                )
            except UsageError as error:
                left_out[name] = str(error)
            else:
                comparisons.append(comparison)
    if not comparisons and not left_out:
        raise UsageError(f"no run with {_text(base)} and none with {_text(candidate)} is stored")
    return ComparedBenchmarks(clearest_first(comparisons), left_out)


def _newest(
    runs: Iterable[RunRecord], labels: Mapping[str, str]
) -> dict[tuple[str, str], RunRecord]:
    """Return the newest run with labels that did its work, by variant and profile.

    Args:
        runs: the newest first.
        labels: all of which it has.
    """
    newest: dict[tuple[str, str], RunRecord] = {}
    for run in runs:
        if labels.items() <= run.labels.items() and not is_refused(run):
            newest.setdefault((run.variant, run.profile), run)
    return newest


def _text(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels.items())
